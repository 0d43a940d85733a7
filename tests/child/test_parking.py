"""Which memory is taken for a block that malloc has mapped, asked of this machine's own malloc."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from leaktrace.replay.base import METER


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's blocks are looked for on Linux alone")
PARKED = """
import sys
from leaktrace.child.parking import Parking, beside, blocks
parking = Parking()
kept = bytearray(b"x" * 5_000_000)
parking.park()
print(beside() in (0, 16), parking.bytes_now() >= 5_000_000, kept.count(b"x"))
"""


@pytest.mark.reads("heap_bytes")
def test_a_large_block_is_found_and_moved_out_of_memory_whichever_way_glibc_counts_its_size() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARKED], env=os.environ | METER, capture_output=True, text=True, check=True
    )

    assert done.stdout == "True True 5000000\n", done.stderr


GUARDED = """
import mmap
from leaktrace.child.parking import beside, blocks
kept = bytearray(5_000_000)
stack = mmap.mmap(-1, 4_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
try:
    stack.madvise(102, 0, mmap.PAGESIZE)  # MADV_GUARD_INSTALL, of Linux 6.13
except OSError:
    print("no guards")
else:
    print(len(list(blocks(beside()))) > 0)
"""


@pytest.mark.reads("heap_bytes")
def test_the_guard_of_a_threads_stack_is_passed_over_and_not_read_from() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GUARDED], env=os.environ | METER, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout.strip()) in {(0, "True"), (0, "no guards")}, done.stderr
