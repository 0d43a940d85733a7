"""What is read out of a recording when it is judged and reported; a watch that finds nothing never loads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leaktrace.probes.model import Thing, Unread, Value
from leaktrace.recording.model import Growth
from leaktrace.recording.settlement import Settlement


__all__ = ["Settlement", "TestSpan", "total"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSpan:
    """One test from before its first fixture to after its last finalizer, wider fixtures' loans taken out."""

    __test__ = False  # pytest would take the name for a test class where a test module imports it

    nodeid: str
    worker: str
    outcome: str
    duration_s: float
    start: Growth
    phases: Mapping[str, Growth]
    growth: Growth
    peak_rss_bytes: Value
    imports: tuple[str, ...] = ()
    settlement: Settlement | None = None
    things: tuple[Thing, ...] = ()


def total(growths: Iterable[Growth]) -> dict[str, Value]:
    """The sum of several growths by counter; a counter unread in one of them is unread in the sum."""
    result: dict[str, Value] = {}
    for growth in growths:
        for name, value in growth.items():
            have = result.get(name, 0)
            if isinstance(have, Unread):
                continue
            result[name] = value if isinstance(value, Unread) else have + value
    return result
