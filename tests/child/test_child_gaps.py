"""The gaps in malloc's heap: filled where Python's objects come from malloc, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from leaktrace.child import gaps
from leaktrace.replay.base import METER


SCRIPT = """
import ctypes
from leaktrace.child import gaps

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
kept = [bytes(number % 900) for number in range(20_000)]
kept[::2] = [None] * 10_000
before = mallinfo2().ordblks
fillers = gaps.fill()
print(before, mallinfo2().ordblks)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_hardly_any_free_chunk_is_left_to_walk_through() -> None:
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env={**os.environ, **METER}
    ).stdout
    before, after = map(int, told.split())

    assert before > 5000
    assert after < 100


@pytest.mark.skipif(not sys.getallocatedblocks(), reason="objects come from malloc")
def test_nothing_is_filled_where_objects_do_not_come_from_malloc() -> None:
    assert gaps.fill() == []
