"""References that something has forgotten to give back, without a block that would tell."""

from __future__ import annotations

import sys
import weakref

import pytest

from leaktrace.probes.objects import RefsProbe
from probes.probe_readings import count_of


class Thing: ...


pytestmark = pytest.mark.skipif(hasattr(sys, "gettotalrefcount"), reason="a debug build counts every reference")


@pytest.mark.reads("refs")
def test_a_reference_to_an_old_object_that_a_test_sees_counts() -> None:
    names = {"SHARED": Thing(), "NAME": "a name", "NUMBER": 3}
    held: list[object] = [None] * 5
    probe = RefsProbe()
    probe.refresh([names])
    before = min(count_of(probe) for _ in range(3))

    held[:] = [names["SHARED"]] * 5

    assert min(count_of(probe) for _ in range(3)) - before == 5


@pytest.mark.reads("refs")
def test_references_to_none_that_come_and_go_hide_no_others() -> None:
    held: list[object] = []
    probe = RefsProbe()
    before = min(count_of(probe) for _ in range(3))

    held[:] = [None] * 5_000

    assert min(count_of(probe) for _ in range(3)) == before


def test_what_a_global_was_before_is_not_kept_alive() -> None:
    names: dict[str, Thing | None] = {"SHARED": Thing()}
    probe = RefsProbe()
    probe.refresh([names])
    count_of(probe)
    assert names["SHARED"] is not None
    gone = weakref.ref(names["SHARED"])

    names["SHARED"] = None

    assert gone() is None
