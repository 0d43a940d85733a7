"""Freed chunks that malloc keeps for the thread, which it counts as in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


SMALLEST, LARGEST, STEP = 24, 1032, 16
"""What chunks of glibc's thread cache hold, in bytes, on 64 bits; each size is 16 more than the one before."""
PYTHONS_OWN = 512
"""Requests up to this go to Python's own allocator and not to malloc."""
EACH = 7
"""Freed chunks of each size that are kept for the thread (`glibc.malloc.tcache_count`)."""


class ParkedChunks:
    """Fills glibc's thread cache before a reading, so that two readings count the same number of freed chunks.

    Else a class that died since the last reading shows as bytes kept, and what leaks a few bytes takes parked chunks
    first and shows as nothing. A replay child needs none of it: there the cache is switched off.
    """

    def __init__(self) -> None:
        self._large = tuple(size - 1 for size in range(PYTHONS_OWN + STEP, LARGEST + 1, STEP) for _ in range(EACH))
        self._small = tuple(size for size in range(SMALLEST, PYTHONS_OWN + 1, STEP) for _ in range(EACH))
        self._calls = _calls()

    def fill(self) -> None:
        """Take as many chunks of each size as are kept, and give them back: 0.2 ms."""
        if self._calls is None:
            return
        malloc, free = self._calls
        for address in list(map(malloc, self._small)):
            free(address)
        list(map(bytearray, self._large))  # it asks for a byte more than its size; cheaper than a call of malloc


def _calls() -> tuple[Callable[[int], Any], Callable[[int], Any]] | None:
    """Glibc's malloc and free, or None where there is another C library or no ctypes."""
    try:
        import ctypes  # noqa: PLC0415 - only for a hunt

        library = ctypes.PyDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - that it is there tells glibc
        malloc, free = library.malloc, library.free
    except (ImportError, OSError, TypeError, AttributeError):
        return None
    malloc.argtypes, malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
    free.argtypes, free.restype = (ctypes.c_void_p,), None
    return malloc, free
