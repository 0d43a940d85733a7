"""The gaps in malloc's heap, filled before a worker is forked.

glibc finds out how many bytes are in use by walking through every free chunk (malloc.c, `int_mallinfo`): after imports
and collection there are thousands, and each reading takes as long as a short test. Once they are filled a reading takes
microseconds, in all workers.
"""

from __future__ import annotations

from collections.abc import Iterator

from leaktrace.pristine import sys
from leaktrace.probes.settle import trim


MOST, MOST_BYTES = 400_000, 64_000_000
"""Gaps filled at most, and what they take together."""
SMALL = 1024
"""Bytes from which on a gap is left: there are few of them, and the tests need room."""
SIZES = (*range(65_536, 4096, -4096), *range(4096, SMALL, -64), *range(SMALL, 40, -16))
HEADER = 33
"""Bytes of an empty `bytes` object."""


def fill() -> list[object]:
    """Fill the small gaps; what fills them has to be kept for as long as they are to stay so.

    Caches and garbage have to be gone before, or they leave new gaps. Nothing is done where Python's objects do not
    come from malloc.
    """
    if sys.getallocatedblocks():
        return []
    fillers: list[object] = [None] * MOST  # made before: a list that grows would leave gaps of its own
    large = taken = 0
    for number, (size, filler) in zip(range(MOST), _fillers(), strict=False):
        fillers[number] = filler
        taken += size
        if size >= SMALL:
            large = number + 1
        if taken > MOST_BYTES:
            break
    fillers[:large] = [None] * large
    trim()
    return fillers


def _fillers() -> Iterator[tuple[int, object]]:
    """Objects of ever smaller sizes, of each as many as find a place below the highest of those before.

    What lies above all others was taken from the heap's end: there is no gap of its size any more.
    """
    highest = 0
    for size in (*SIZES, 0):
        while True:
            filler: object = bytes(size - 8 - HEADER) if size else object()
            at = id(filler)
            if at > highest:
                highest = at
                break
            yield size, filler
