"""How often the dearer counters are read: resident memory is read at the end of every test, they are where it pays."""

from __future__ import annotations


FASTEST_BYTES_PER_US = 10_000
"""More than memory can be filled at: a test that was over sooner than its limit takes cannot have passed it."""
MOST_SHORT = 16
"""Short tests in a row for which that is believed; then the dearer counters are read again."""
SHARE = 50
"""They are not read again sooner than after so many times what they took: malloc sums up its free chunks one by one,
and a process may have a million."""
LEAST_NS = 10_000
"""A reading takes as long as this, or may after one that took no time."""


class Sampling:
    """Tells after which tests the dearer counters are read.

    What the heap rises by in a test that is spared is the next one's after which they are read.
    """

    def __init__(self) -> None:
        self._spared = 0
        self._read_at = self._took_ns = 0

    def spares(self, duration_us: int, limit_bytes: int, now_ns: int) -> bool:
        """Whether a test was over too soon to have passed its limit, or reading more would take more than its share."""
        if self._spared < MOST_SHORT and duration_us * FASTEST_BYTES_PER_US < limit_bytes:
            self._spared += 1
            return True
        return not self.affordable(now_ns)

    def affordable(self, now_ns: int) -> bool:
        """Whether reading them now keeps within their share of the run's time."""
        return now_ns - self._read_at >= SHARE * self._took_ns

    def read(self, began_ns: int, ended_ns: int) -> None:
        """They have been read; the reading may have been interrupted, so what it takes doubles at most."""
        self._spared, self._read_at = 0, ended_ns
        self._took_ns = min(ended_ns - began_ns, 2 * self._took_ns + LEAST_NS)
