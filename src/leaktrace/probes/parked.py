"""Freed chunks that malloc keeps for the thread, which it counts as in use."""

from __future__ import annotations

from collections.abc import Iterable
from operator import mul
from pathlib import Path

from leaktrace.probes.memory import HeapProbe
from leaktrace.probes.model import HEAP_BYTES, Counter, Value


CLASSES = 64
SIZES = tuple(32 + 16 * number for number in range(CLASSES))
"""Bytes of the chunks of each class of glibc's thread cache, on 64 bits."""
STRUCT_BYTES = 0x290
"""The chunk that holds the cache's own book: a count of two bytes and a pointer for each class (malloc.c, glibc 2.30
to 2.41); the lowest bit of its size says that the chunk before it, which is none, is in use."""
ASKED = 88
"""A request that is served from the class below."""
CLASS_ASKED = (ASKED + 8 - 32) // 16


class UsedHeapProbe:
    """Bytes that malloc has handed out, without those that it keeps parked for the main thread.

    In one process a leak of a few bytes takes parked chunks first and shows as nothing, and a class that dies parks
    some and shows as growth. A replay child needs none of this: there the cache is switched off.
    """

    counter: Counter = HEAP_BYTES

    def __init__(self) -> None:
        self._heap, self._counts = HeapProbe(), counts_of_parked()

    def read(self) -> Value:
        """Bytes in use now."""
        used = self._heap.read()
        return used - sum(map(mul, self._counts, SIZES)) if isinstance(used, int) else used


def counts_of_parked() -> Iterable[int]:
    """How many chunks of each class glibc keeps for the main thread, live; () where that cannot be known.

    The cache's book is the first chunk of the heap, for it is made at the first request of all.
    """
    try:
        import ctypes  # noqa: PLC0415 - only for a hunt

        library = ctypes.PyDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - that it is there tells glibc
        malloc, free = library.malloc, library.free
        start = _start_of_heap()
        if not start or ctypes.c_size_t.from_address(start + 8).value != STRUCT_BYTES + 1:
            return ()
    except (ImportError, OSError, TypeError, AttributeError, ValueError):
        return ()
    malloc.argtypes, malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
    free.argtypes, free.restype = (ctypes.c_void_p,), None
    counts = (ctypes.c_uint16 * CLASSES).from_address(start + 16)
    chunk = malloc(ASKED)
    before = counts[CLASS_ASKED]
    free(chunk)
    return counts if counts[CLASS_ASKED] == before + 1 else ()


def _start_of_heap() -> int:
    with Path("/proc/self/maps").open(encoding="ascii", errors="replace") as maps:
        return next((int(line.partition("-")[0], 16) for line in maps if line.rstrip().endswith("[heap]")), 0)
