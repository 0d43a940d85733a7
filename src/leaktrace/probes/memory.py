"""Memory of this process: resident bytes, malloc's live bytes, Python's blocks, the kernel's high-water mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from leaktrace.pristine import os, psutil, resource, sys
from leaktrace.probes.build import is_free_threaded
from leaktrace.probes.model import BLOCKS, HEAP_BYTES, PEAK_RSS_BYTES, RSS_BYTES, USS_BYTES, Counter, Unread, Value
from leaktrace.probes.procfs import ON_LINUX, HeldFile, HeldForWriting, lines_of


STATM = "/proc/self/statm"
CLEAR_REFS = "/proc/self/clear_refs"
ROLLUP = "/proc/self/smaps_rollup"

UNCOUNTED = "psutil does not count what this C library's malloc has handed out"
FREE_THREADED = "a free-threaded CPython allocates past malloc, and tells no bytes"


class RssProbe:
    """Resident set size in bytes: an open `/proc/self/statm` on Linux (1.8 µs), psutil elsewhere (13 µs)."""

    counter: Counter = RSS_BYTES

    def __init__(self) -> None:
        self._page = self._bytes = 0
        self._seen = b""
        self._fd = -1
        self._process: psutil.Process | None = None
        self._held = HeldFile(STATM)
        self._read = getattr(os, "pread", None)
        if self._held.fd < 0 or self._read is None:
            with suppress(Exception):  # no descriptor is left for it: the first reading tries again, and tells
                self._process = psutil.Process()
            return
        self._fd, self._page = self._held.fd, os.sysconf("SC_PAGE_SIZE")
        self.read()  # what a reading keeps until the next is kept from now on, and no growth of anybody's

    def read(self) -> Value:
        """Bytes resident now."""
        try:
            if self._process is None:
                seen = self._read(self._fd, 80, 0)  # type: ignore[misc]
                if seen != self._seen:  # between two readings of most tests nothing has moved
                    # Reading harms nobody's file; but what is read counts only if it is of the file that we opened.
                    if not self._held.is_ours():
                        return self._reopened(OSError("the descriptor was closed"))
                    self._bytes = int(seen.split(b" ", 2)[1]) * self._page
                    self._seen = seen
                return self._bytes
            return int(self._process.memory_info().rss)
        except (OSError, ValueError, IndexError, psutil.Error) as exc:
            return self._reopened(exc)

    def _reopened(self, cause: Exception) -> Value:
        """A test may close every descriptor from 3 up, as daemons do."""
        try:
            if self._process is None:
                self._held.reopen()
                self._fd = self._held.fd
                return int(self._held.read().split(b" ", 2)[1]) * self._page
        except (OSError, ValueError, IndexError):
            self._fd = -1
        try:
            self._process = psutil.Process()
            return int(self._process.memory_info().rss)
        except Exception as exc:  # noqa: BLE001 - psutil calls what a test may have patched
            return Unread(counter=self.counter.name, why=f"neither {STATM} ({cause}) nor psutil ({exc!r}) can be read")

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            self._held.close()
            self._fd = -1
            with suppress(Exception):  # it looks at what a suite may have replaced: who reads once more is told then
                self._process = psutil.Process()


class HeapProbe:
    """Bytes that malloc counts as in use, its own mappings included (psutil's `heap_info`: glibc's mallinfo2).

    Python's small objects are not in it unless PYTHONMALLOC=malloc: pymalloc maps its arenas past malloc.

    Mappings are whole pages. glibc 2.43 adds 16 bytes to their sum whenever one is resized, and never takes them off
    again: we do, as long as fewer than 256 are resized between two readings.
    """

    counter: Counter = HEAP_BYTES

    def __init__(self, heap_info: Callable[[], Sequence[int]] | None = None) -> None:
        # psutil's public call makes a named tuple of the two numbers, which costs half as much again.
        self._info = heap_info or getattr(getattr(psutil, "_psplatform", psutil), "heap_info", None)
        self._page = os.sysconf("SC_PAGE_SIZE") if ON_LINUX else 1
        self._excess = self._drift = 0
        self._why = FREE_THREADED if is_free_threaded() else UNCOUNTED if self._info is None else ""

    def read(self) -> Value:
        """Bytes in use now."""
        if self._why:
            return Unread(counter=self.counter.name, why=self._why)
        try:
            info = self._info()  # type: ignore[misc]
            excess = info[1] % self._page
            if excess != self._excess:
                self._drift += (excess - self._excess) % self._page
                self._excess = excess
            return info[0] + info[1] - self._drift
        except Exception as exc:  # noqa: BLE001 - a platform's own failure must become Unread, whatever it raises
            return Unread(counter=self.counter.name, why=f"psutil.heap_info is not to be had on this platform ({exc})")


class BlocksProbe:
    """Blocks that Python's allocator has handed out (`sys.getallocatedblocks`); always 0 under PYTHONMALLOC=malloc."""

    counter: Counter = BLOCKS

    def __init__(self) -> None:
        self._read: Callable[[], int] | None = getattr(sys, "getallocatedblocks", None)
        self._why = ""
        if self._read is None:
            self._why = "this interpreter has no sys.getallocatedblocks"
        elif self._read() == 0:
            self._why = "PYTHONMALLOC=malloc: Python's allocator counts no blocks"

    def read(self) -> Value:
        """Blocks in use now, or Unread where they are not counted."""
        if self._why or self._read is None:
            return Unread(counter=self.counter.name, why=self._why)
        return self._read()


class PeakProbe:
    """The process's own peak RSS since the last reset, by the kernel's high-water mark (Linux)."""

    counter: Counter = PEAK_RSS_BYTES

    def __init__(self) -> None:
        self._why = ""
        self._held = HeldForWriting(CLEAR_REFS)
        self.highest = 0
        try:
            self._usage, self._self = resource.getrusage, resource.RUSAGE_SELF
            self._held.write(b"5")
        except (OSError, AttributeError) as exc:
            self._why = f"the kernel's high-water mark cannot be reset here ({exc})"

    def reset(self) -> None:
        """Begin a new peak (writing 5 to clear_refs resets VmHWM; see proc(5))."""
        if self._why:
            return
        try:
            self._held.write(b"5")
        except OSError as exc:
            self._why = f"the kernel's high-water mark cannot be reset any more ({exc})"

    def read(self) -> Value:
        """Highest RSS in bytes since the last reset."""
        if self._why:
            return Unread(counter=self.counter.name, why=self._why)
        peak: int = self._usage(self._self).ru_maxrss * 1024
        if peak > self.highest:  # noqa: PLR1730 - a call of max() costs more, at every test
            self.highest = peak
        return peak

    def close(self) -> None:
        """Give the descriptor back."""
        self._held.close()
        self._why = "closed"


class UssProbe:
    """Bytes that would be freed if this process ended now; 0.2 to 1.2 ms a reading, so on suspicion only."""

    counter: Counter = USS_BYTES

    def read(self) -> Value:
        """Unique set size in bytes."""
        try:
            if ON_LINUX and (lines := lines_of(ROLLUP)):
                return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
            return int(psutil.Process().memory_full_info().uss)
        except Exception as exc:  # noqa: BLE001 - psutil calls what a test may have patched
            return Unread(counter=self.counter.name, why=f"unique set size cannot be read here ({exc!r})")
