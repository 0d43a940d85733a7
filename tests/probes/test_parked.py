"""Freed chunks that glibc keeps for the thread do not change between two readings."""

from __future__ import annotations

import subprocess
import sys

import pytest

from leaktrace.probes.memory import HeapProbe
from leaktrace.probes.parked import ParkedChunks


LEAK = """
import ctypes
from leaktrace.probes.memory import HeapProbe
from leaktrace.probes.parked import ParkedChunks

parked, heap = ParkedChunks(), HeapProbe()
malloc = ctypes.PyDLL(None).malloc
readings = [0] * 30
for number in range(30):
    parked.fill()
    readings[number] = heap.read()
    for _ in range(4):
        malloc(48)
print(readings[-1] - readings[9])
"""

pytestmark = pytest.mark.skipif(ParkedChunks()._calls is None, reason="only glibc has this cache")


def test_chunks_that_are_taken_from_the_cache_count():
    told = subprocess.run([sys.executable, "-c", LEAK], capture_output=True, text=True, check=True).stdout

    assert int(told) >= 18 * 4 * 64  # of twenty batches; malloc moves a few chunks to and fro by itself


def test_chunks_that_were_freed_do_not_count():
    parked, heap = ParkedChunks(), HeapProbe()

    def grown():
        parked.fill()
        before = heap.read()
        made = [bytearray(975) for _ in range(7)]
        del made
        parked.fill()
        return heap.read() - before

    assert 0 in [grown() for _ in range(5)]
