"""Large blocks that a heavy test keeps, moved out of memory between its runs: a child must not fill the machine.

A test that keeps 100 MB a run has to be run several times to tell a leak from growth that comes once. What it keeps is
written into an unlinked file, and the file is mapped in its place (mmap(2), MAP_FIXED and MAP_PRIVATE): every pointer
and every byte stays what it was, and what is touched again comes back page by page. It is swap, made by hand.

Nothing may write to a block between its copy and the mapping. So it is done while no other thread is there; never to
the tables of `tracemalloc`, which change with every object; and only to what malloc has mapped as one block, not to the
interpreter's own stack, which lies in such memory, too.
"""

from __future__ import annotations

import ctypes
import struct
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from leaktrace.pristine import os
from leaktrace.probes.memory import RssProbe
from leaktrace.probes.model import RSS_BYTES, Counter, Value


LEAST_BYTES = 1 << 20
"""Smaller pieces are shared with much else; malloc maps each block of this size for itself in a child."""
ROOM = 8
"""A block that grows is moved with its mapping (mremap(2)), which must not outreach the file; holes cost nothing."""
PAGE, HEADER = 4096, 16
FLAGS, IS_MAPPED = 7, 2
"""The lowest bits of the size before each block, and what they say of one that is mapped for itself."""
PROT_READ_WRITE = 3
MAP_PRIVATE_FIXED = 0x12

NUMBERS = struct.Struct("@NN")

Range = tuple[int, int]


class Parking:
    """Parks what has been mapped since it was made; does nothing where it cannot be done safely."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._beside = beside()
        self._before = self._now()
        self._fd, self._inode, self._end = -1, "", 0
        self._mmap: Any = None

    def _now(self) -> frozenset[Range]:
        try:
            return frozenset(blocks(self._beside))
        except OSError:  # no /proc
            self._beside = None
            return frozenset()

    def after(self, run: Callable[[], None]) -> Callable[[], None]:
        """The same run, and what it keeps is parked behind it."""

        def parked() -> None:
            run()
            self.park()

        return parked

    def park(self) -> None:
        """Move what is new out of memory; another thread could write to it meanwhile, so that there must be none."""
        try:
            if len(os.listdir("/proc/self/task")) > 1:
                return
            tracing = tracemalloc.is_tracing()
            for start, end in list(blocks(self._beside)):
                if (start, end) not in self._before and not (tracing and _may_be_a_table(end - start)):
                    self._move(start, end)
        except OSError:
            return  # a full disk, or no /proc: it stays in memory

    def _move(self, start: int, end: int) -> None:
        if self._fd < 0:
            self._open()
        size, at = end - start, self._end
        view = memoryview((ctypes.c_char * size).from_address(start)).cast("B")
        done = 0
        while done < size:
            done += os.pwrite(self._fd, view[done:], at + done)
        os.ftruncate(self._fd, at + size * ROOM)
        self._end = at + size * ROOM
        if self._mmap(start, size, PROT_READ_WRITE, MAP_PRIVATE_FIXED, self._fd, at) != start:
            raise OSError(ctypes.get_errno(), "mmap")

    def _open(self) -> None:
        file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - it lives as long as what is mapped
        self._fd = os.dup(file.fileno())
        file.close()
        self._inode = str(os.fstat(self._fd).st_ino)
        self._mmap = ctypes.CDLL(None, use_errno=True).mmap
        self._mmap.restype = ctypes.c_void_p
        self._mmap.argtypes = (
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
        )  # fmt: skip

    def bytes_now(self) -> int:
        """How much is parked and still mapped."""
        if self._fd < 0:
            return 0
        return sum(end - start for start, end, inode in mappings() if inode == self._inode)


class ParkedRssProbe:
    """Resident memory as it would be had nothing been parked."""

    counter: Counter = RSS_BYTES

    def __init__(self, parking: Parking) -> None:
        self._rss, self._parking = RssProbe(), parking

    def read(self) -> Value:
        """Bytes resident now, and those that are parked."""
        value = self._rss.read()
        return value + self._parking.bytes_now() if isinstance(value, int) else value


def mappings() -> Iterator[tuple[int, int, str]]:
    """Start, end and inode of every private writable mapping of this process."""
    for line in Path("/proc/self/maps").read_bytes().splitlines():
        place, mode, _offset, _device, inode = line.split(maxsplit=5)[:5]
        if mode == b"rw-p":
            start, _, end = place.partition(b"-")
            yield int(start, 16), int(end, 16), inode.decode()


def anonymous() -> Iterator[Range]:
    """Mappings without file or name, as malloc makes for a large block."""
    for line in Path("/proc/self/maps").read_bytes().splitlines():
        fields = line.split()
        if fields[1] == b"rw-p" and len(fields) == 5:  # noqa: PLR2004 - place, mode, offset, device, inode
            start, _, end = fields[0].partition(b"-")
            yield int(start, 16), int(end, 16)


def beside() -> int | None:
    """How much of a mapping malloc does not count into its block's size: 0, from glibc 2.43 on 16, None: not known."""
    try:
        libc = ctypes.CDLL(None)
        libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
        libc.free.argtypes = (ctypes.c_void_p,)
        block = libc.malloc(2 * LEAST_BYTES)
        if not block:
            return None
        found = None
        if block % PAGE == HEADER:
            before, size = (ctypes.c_size_t * 2).from_address(block - HEADER)
            uncounted = -(size & ~FLAGS) % PAGE
            if before == 0 and size & FLAGS == IS_MAPPED and uncounted in (0, HEADER):
                found = uncounted
        libc.free(block)
    except (AttributeError, OSError):  # no such library, or not of this kind
        return None
    return found


def blocks(beside: int | None) -> Iterator[Range]:
    """The large blocks that malloc has mapped for themselves, each of whole pages (malloc.c, `IS_MMAPPED`).

    Args:
        beside: what `beside()` tells; of a malloc that is not known nothing is taken for a block.
    """
    if beside is None:
        return
    with Path("/proc/self/mem").open("rb", buffering=0) as file:
        memory = file.fileno()
        for start, end in anonymous():
            at = start
            while at + LEAST_BYTES <= end:
                before, size = _header(memory, at)
                length = (size & ~FLAGS) + beside
                if (
                    before == 0
                    and size & FLAGS == IS_MAPPED
                    and length % PAGE == 0
                    and LEAST_BYTES <= length <= end - at
                ):
                    yield at, at + length
                    at += length
                else:
                    at += PAGE


def _header(memory: int, at: int) -> tuple[int, int]:
    """The two numbers before a block, read by the kernel: it refuses where a load from there would end the process.

    The guard of a thread's stack looks like any other page in the list of mappings (MADV_GUARD_INSTALL, glibc 2.42).
    """
    try:
        before, size = NUMBERS.unpack(os.pread(memory, NUMBERS.size, at))
    except (OSError, struct.error):
        return 0, 0
    return before, size


def _may_be_a_table(length: int) -> bool:
    """Whether a block is of the size of a hash table of CPython's own in C: a power of two, and malloc's header."""
    size = length - PAGE
    return size & (size - 1) == 0
