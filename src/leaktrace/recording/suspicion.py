"""Whether what the running test has gained is suspicious, and how much of it is left in a quiet process."""

from __future__ import annotations

from array import array

from leaktrace.pristine import gc
from leaktrace.probes.memory import UssProbe
from leaktrace.probes.settle import trim
from leaktrace.recording.counters import Counters
from leaktrace.recording.fixture_loans import Loans
from leaktrace.recording.settlement import Settlement


_PASSES = 3  # a finalizer may free further cycles


class Suspicion:
    """Looks at the row of the running test, and at the loans that were closed during it.

    Args:
        row: the test's own growth, by phase and counter.
        first: where in the row its phases begin.
    """

    def __init__(self, counters: Counters, loans: Loans, row: array[int], first: int) -> None:
        n = len(counters.probes)
        self._counters, self._loans, self._row, self._n = counters, loans, row, n
        self._setup, self._call, self._teardown = first, first + n, first + 2 * n

    def grew(self, i: int) -> int:
        """What a counter has risen by in all phases."""
        row = self._row
        return row[self._setup + i] + row[self._call + i] + row[self._teardown + i]

    def is_raised(self, limit_bytes: int) -> bool:
        """Whether the test, or a loan that it saw closed, has kept more than the limit."""
        for i in range(min(2, self._n)):  # resident and heap bytes
            if self.grew(i) > limit_bytes:
                return True
            if any(account.due[i] > limit_bytes for account in self._loans.closed):
                return True
        return False

    def settle(self, limit_bytes: int) -> Settlement:
        """Trim, then collect for as long as suspicion lasts; what falls repays the closed loans first, then the test.

        To collect takes as long as the heap is large, and twice that where there is garbage: malloc's free pages come
        first, which are often all that a test seems to have kept.
        """
        last = self._counters.last
        raw = {probe.counter.name: self.grew(i) for i, probe in enumerate(self._counters.probes)}
        trim()
        self._loans.settle(self._teardown)
        before, garbage_bytes = last[:2], 0
        for _ in range(_PASSES):
            if not self.is_raised(limit_bytes) or not gc.collect():
                break
            trim()
            self._loans.settle(self._teardown)
            garbage_bytes = max(was - now for was, now in zip(before, last, strict=False))
        return Settlement(raw=raw, garbage_bytes=max(0, garbage_bytes), uss_bytes=UssProbe().read())
