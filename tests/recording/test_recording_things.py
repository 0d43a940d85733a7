"""What a watch of things counts: all that it can afford, and whatever was asked for by name."""

from __future__ import annotations

from typing import Any

import pytest

from leaktrace.probes.model import Counter
from leaktrace.recording.model import Recording
from leaktrace.recording.resource_tracker import DEAR_S, ResourceTracker


class Slow:
    """A counter of state whose readings take the times that it was given, and the last of them from then on."""

    counter = Counter(name="state", unit="count", kind="state", exact=False)

    def __init__(self, *times_s: float) -> None:
        self.times_s, self.cpu_s = [*times_s], 0.0

    def read(self) -> int:
        self.cpu_s += self.times_s.pop(0) if len(self.times_s) > 1 else self.times_s[0]
        return 0


def unread_and_told(probe: Slow, **more: Any) -> tuple[set[str], list[str]]:
    told: list[str] = []
    recording = Recording(counters=(), worker="main")
    ResourceTracker([probe], complain=told.append, cpu_s=lambda: probe.cpu_s, **more).begin(recording)
    return set(recording.unread), told


def test_what_always_takes_long_to_count_is_left_out_and_told_with_the_remedy() -> None:
    unread, told = unread_and_told(Slow(2 * DEAR_S))

    assert unread == {"state"}
    (text,) = told
    assert text.startswith("state not watched: ")
    assert "--leaktrace-kinds=state" in text


def test_what_was_asked_for_by_name_is_counted_whatever_it_takes() -> None:
    assert unread_and_told(Slow(1.0), frugal=False) == (set(), [])


@pytest.mark.parametrize("slow", [1, 5, 12])
def test_what_was_only_interrupted_is_counted(slow: int) -> None:
    assert unread_and_told(Slow(*[1.0] * slow, DEAR_S / 2)) == (set(), [])
