"""The loop that follows one suspect: how long it goes on where the judge always wants more."""

from __future__ import annotations

import pytest

from leaktrace.child.measure import WALL_SHARE, measure
from leaktrace.probes.model import RSS_BYTES
from leaktrace.replay.protocol import Task


class Still:
    """Reads the same, always."""

    counter = RSS_BYTES

    def read(self) -> int:
        return 1


@pytest.mark.parametrize(("follow_s", "runs"), [(5.0, 6), (20.0, 21), (0.5, 3)])
def test_a_suspect_is_followed_until_its_time_is_spent_and_not_a_run_less(follow_s: float, runs: int) -> None:
    # Each run takes a second of the time that counts; less than three batches can nobody rule on.
    task = Task(ident=0, targets=(), warmups=0, batch_runs=1, follow_s=follow_s)
    ran, told = [], []

    readings = measure(
        task,
        lambda: ran.append(1),
        [Still()],
        lambda _readings, _spent: 1,
        lambda event, facts: told.append((event, facts)),
        clock=lambda: WALL_SHARE * len(ran),
    )

    assert len(ran) == runs
    assert readings.taken == runs + 1
    assert told[-1] == ("spent", {"why": "time"})
