"""The judge rules on growth that was never read before the first reading that counts."""

from __future__ import annotations

from leaktrace.child.measure import measure
from leaktrace.child.readings import Readings
from leaktrace.probes.model import HEAP_BYTES
from leaktrace.replay.protocol import Task, targets_of


class Climbing:
    """A counter that is higher at each reading."""

    counter = HEAP_BYTES

    def __init__(self) -> None:
        self.value = 0

    def read(self) -> int:
        self.value += 16
        return self.value


def test_the_judge_has_ruled_on_even_and_uneven_growth_before_the_first_batch_and_no_such_reading_stays() -> None:
    runs: list[int] = []
    asked: list[tuple[int, list[int]]] = []

    def wants_more(readings: Readings, _spent: str | None) -> int:
        asked.append((len(runs), [row[0] or 0 for row in map(readings.row, range(readings.taken))]))
        return 0

    task = Task(ident=1, targets=targets_of(("a.py::test_a",), {"a.py::test_a": "a.py"}), warmups=2, batch_runs=3)
    readings = measure(task, lambda: runs.append(0), [Climbing()], wants_more, lambda _event, _data: None)

    rehearsed = [values for made, values in asked if made == task.warmups]
    longest = [values for values in rehearsed if len(values) == max(map(len, rehearsed))]
    assert [values == sorted(values) for values in longest] == [True, False]
    assert all(len(values) >= 12 for values in longest)
    assert readings.taken == 1 + task.warmups + 1
