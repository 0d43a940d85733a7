from __future__ import annotations

from builders import MB, Row, make_recording
from leaktrace.casebook.accounts import merged_peaks


def test_peaks_are_those_of_tests_that_rose_not_of_those_that_found_memory_high() -> None:
    first = make_recording([("a", Row(start=50 * MB, peak=90 * MB)), ("b", Row(start=80 * MB, peak=80 * MB + 4096))])
    peaks = {"c": 100 * MB, "d": 300 * MB, "unread": 0}
    second = make_recording((name, Row(start=100 * MB, peak=peak)) for name, peak in peaks.items())

    assert merged_peaks([first, second], 5) == [("d", 300 * MB), ("a", 90 * MB)]
    assert merged_peaks([first, second], 1) == [("d", 300 * MB)]
