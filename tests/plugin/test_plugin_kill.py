"""`kill -9` at any moment of a run: each test that had ended is in the journal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leaktrace.recording.journal import read_journal
from plugin.plugin_harness import LEAN, Example


SUITE = {
    "test_long.py": """
        import time
        import pytest
        KEPT = []
        @pytest.mark.parametrize("number", range(800))
        def test_one(number):
            KEPT.append(bytearray(1000))
            time.sleep(0.002)
        """,
    "plugins/tells_starts.py": """
        import os

        FILE = os.open(os.environ["STARTED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def pytest_runtest_logstart(nodeid, location):
            os.write(FILE, (nodeid + "\\n").encode())
        """,
}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_each_test_that_had_ended_before_a_kill_is_in_the_journal(tmp_path: Path) -> None:
    example, moments = Example(tmp_path), random.Random(7)
    example.write(SUITE)
    for number in range(10):
        started, folder = tmp_path / f"started-{number}", f"kept-{number}"
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *LEAN, "-p", "tells_starts", f"--leaktrace-dir={folder}"],
            cwd=tmp_path,
            env=example.environ(STARTED=str(started)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not started.exists() or not started.stat().st_size:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        [journal] = (tmp_path / folder).glob("runs/*/main.jsonl")
        read = read_journal(journal)
        told = started.read_text(encoding="utf-8").splitlines()
        # When a test starts, those before it have ended; the last one told may have ended too.
        assert read.nodeids[: len(told) - 1] == told[:-1]
        assert len(read) - len(told) in (-1, 0)
        assert not read.complete
        assert read.running == f"test_long.py::test_one[{len(read)}]"
