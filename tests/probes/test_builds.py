"""Builds of CPython in which not everything can be counted."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

import pytest

from leaktrace.probes import aio, memory, objects
from leaktrace.probes.build import is_free_threaded
from leaktrace.probes.model import Unread
from probes.probe_readings import count_of


def test_a_build_without_the_gil_is_known_by_its_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaktrace.probes.build.sys.abiflags", "t")
    assert is_free_threaded()

    monkeypatch.setattr("leaktrace.probes.build.sys.abiflags", "d")
    assert not is_free_threaded()


def test_a_build_without_flags_is_asked_how_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("leaktrace.probes.build.sys.abiflags", raising=False)
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: {"Py_GIL_DISABLED": 1}[name])

    assert is_free_threaded()


@pytest.mark.parametrize(
    ("module", "probe"),
    [(memory, "HeapProbe"), (objects, "RefsProbe"), (aio, "AioProbe")],
    ids=["heap", "refs", "tasks"],
)
def test_without_the_gil_what_nobody_tells_is_unread_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, probe: str
) -> None:
    monkeypatch.setattr(module, "is_free_threaded", lambda: True)
    monkeypatch.delattr("leaktrace.probes.objects.sys.gettotalrefcount", raising=False)

    value = getattr(module, probe)().read()

    assert isinstance(value, Unread)
    assert "free-threaded" in value.why


def test_without_the_gil_pending_tasks_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "is_free_threaded", lambda: True)
    monkeypatch.setitem(sys.modules, "asyncio", asyncio)

    assert isinstance(aio.AioProbe().inventory(), Unread)


@pytest.mark.skipif(is_free_threaded(), reason="nothing tells bytes there")
def test_in_this_build_the_bytes_of_malloc_are_read() -> None:
    assert count_of(memory.HeapProbe()) > 0
