from __future__ import annotations

from array import array
from collections.abc import Iterable

from leaktrace.casebook.accounts import merged_peaks
from leaktrace.probes.model import RSS_BYTES
from leaktrace.recording.model import OUTCOMES, Recording


MB = 1_000_000


def recording(tests: Iterable[tuple[str, int, int]]) -> Recording:
    """A recording of tests, each given as (node id, resident memory before it, its peak)."""
    made = Recording(counters=(RSS_BYTES,), worker="main", harness=array("q", [0]))
    for nodeid, start, peak in tests:
        made.nodeids.append(nodeid)
        made.cells.extend([OUTCOMES.index("passed"), 1000, peak, start, 0, 0, 0])
    return made


def test_peaks_are_those_of_tests_that_rose_not_of_those_that_found_memory_high() -> None:
    first = recording([("a", 50 * MB, 90 * MB), ("b", 80 * MB, 80 * MB + 4096)])
    second = recording([("c", 100 * MB, 100 * MB), ("d", 100 * MB, 300 * MB), ("unread", 100 * MB, 0)])

    assert merged_peaks([first, second], 5) == [("d", 300 * MB), ("a", 90 * MB)]
    assert merged_peaks([first, second], 1) == [("d", 300 * MB)]
