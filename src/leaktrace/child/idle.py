"""Time for what ends by itself: a server's idle connections, work in a queue; a leak is still there afterwards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from leaktrace.child.measure import Tell, settle
from leaktrace.child.readings import Readings
from leaktrace.pristine import threading, time


REST_S = 8.0
"""Longer than the servers that suites start keep idle connections: five seconds is common."""
STEP_S = 0.5

Row = Sequence["int | None"]


def rest(
    readings: Readings,
    accused: Callable[[Row], bool],
    tell: Tell,
    *,
    idle: Collection[threading.Thread],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Row | None:
    """Run nothing until no growth is `accused` any more, or for `REST_S`; what was read last, which is told.

    None where no thread is there but this one and those that are `idle` as far as tests go: then nothing goes by
    itself.
    """
    others = set(threading.enumerate()) - {threading.current_thread(), *idle}
    if not others or readings.taken == readings.rows:
        return None
    until, row = clock() + REST_S, readings.row(readings.taken - 1)
    while accused(row) and clock() < until:
        sleep(STEP_S)
        settle()
        row = readings.peek()
    tell("rested", {"values": row})
    return row
