"""Freed chunks that glibc keeps for the thread are not taken for memory in use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from leaktrace.probes.parked import counts_of_parked


LEAK = """
import ctypes
from leaktrace.probes.parked import UsedHeapProbe

heap, malloc = UsedHeapProbe(), ctypes.PyDLL(None).malloc
readings = [0] * 30
for number in range(30):
    readings[number] = heap.read()
    malloc(48)
print([later - earlier for earlier, later in zip(readings[9:], readings[10:])])
"""
FREED = """
import ctypes
from leaktrace.probes.parked import UsedHeapProbe

heap, library = UsedHeapProbe(), ctypes.PyDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
chunks = [library.malloc(200) for _ in range(5)]
before = heap.read()
for chunk in chunks:
    library.free(chunk)
print([before - heap.read()])
"""

pytestmark = pytest.mark.skipif(not counts_of_parked(), reason="only glibc 2.30 to 2.41 has this cache")


def told(script):
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return [int(number) for number in ran.stdout.strip("[]\n").split(",")]


def test_each_chunk_that_is_taken_counts_though_it_was_parked():
    assert min(told(LEAK)) >= 64


def test_chunks_that_are_freed_and_parked_are_not_in_use():
    assert told(FREED)[0] >= 5 * 208
