"""Only our own processes: what is ended is a child of ours, whatever a suite has patched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from leaktrace.errors import ReplayError
from leaktrace.replay.process import OwnProcess, checked_pid, end_orphans, parent_of
from replay.replay_bench import Bench, is_gone


pytestmark = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="parents are told by /proc")
FOREIGN = [Mock(), 0, 1, -1, True, "5", 5.0, None, os.getppid()]
NAMES = ["mock", "zero", "one", "minus-one", "true", "text", "float", "none", "parent"]


class Calls:
    """Stands in for the calls that end processes: those of our own children go through, all are written down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, int | None]] = []
        self.own: Container[int | None] = set()
        self.pidfds: dict[int, int] = {}
        kill, killpg, send, opened = os.kill, os.killpg, signal.pidfd_send_signal, os.pidfd_open

        def recorded_open(pid: int, flags: int = 0) -> int:
            self.pidfds[opened_now := opened(pid, flags)] = pid
            return opened_now

        def through(call: Callable[..., object], name: str) -> Callable[..., None]:
            def recorded(target: int, number: int, *rest: Any) -> None:
                pid = self.pidfds.get(target) if name == "pidfd" else target
                self.made.append((name, pid))
                if pid in self.own:
                    call(target, number, *rest)

            return recorded

        monkeypatch.setattr(os, "pidfd_open", recorded_open)
        monkeypatch.setattr(os, "kill", through(kill, "kill"))
        monkeypatch.setattr(os, "killpg", through(killpg, "killpg"))
        monkeypatch.setattr(signal, "pidfd_send_signal", through(send, "pidfd"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def started(tmp_path: Path, code: str, **changes: Any) -> OwnProcess:
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        given = {"cwd": str(tmp_path), "environ": dict(os.environ), "log": log, **changes}
        return OwnProcess([sys.executable, "-c", code], **given)
    finally:
        os.close(log)


def printed_pid(tmp_path: Path) -> int:
    """The number that a started process has printed."""
    for _ in range(2000):
        found = (tmp_path / "log").read_text(encoding="utf-8")
        if found.endswith("\n"):
            return int(found)
        signal.sigtimedwait([], 0.01)
    raise AssertionError("nothing was printed")


@pytest.mark.parametrize("pid", FOREIGN, ids=NAMES)
def test_no_number_of_anybody_elses_is_taken_for_a_childs(pid: object) -> None:
    with pytest.raises(ReplayError, match=r"no process of ours was started|not of this process"):
        checked_pid(pid)


def test_the_number_of_a_child_is_taken() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert checked_pid(child.pid) == child.pid
        assert parent_of(child.pid) == os.getpid()
    finally:
        child.communicate(b"\n")


@pytest.mark.parametrize("pid", FOREIGN, ids=NAMES)
def test_where_popen_is_patched_nothing_is_ended_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: Calls, pid: object
) -> None:
    monkeypatch.setattr(subprocess, "Popen", Mock(return_value=Mock(pid=pid)))

    with pytest.raises(ReplayError):
        started(tmp_path, "pass")

    assert calls.made == []


def test_a_process_ends_with_its_group_and_no_other_number_is_signalled(tmp_path: Path, calls: Calls) -> None:
    process = started(
        tmp_path, "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    )
    calls.own = {process.pid}
    beside = printed_pid(tmp_path)

    assert not process.has_ended()
    assert process.end() == -signal.SIGKILL

    assert is_gone(beside)
    assert set(calls.made) == {("pidfd", process.pid), ("killpg", process.pid)}


def test_what_a_process_has_left_in_its_group_ends_though_it_has_ended_itself(tmp_path: Path, calls: Calls) -> None:
    process = started(tmp_path, "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)")
    calls.own = {process.pid}
    assert process.wait(60.0)
    left = printed_pid(tmp_path)

    assert process.end() == 0

    assert is_gone(left)
    assert set(calls.made) == {("killpg", process.pid)}


def test_one_that_was_reaped_by_somebody_else_is_signalled_no_more(tmp_path: Path, calls: Calls) -> None:
    process = started(tmp_path, "pass")
    assert process.wait(60.0)
    os.waitpid(process.pid, 0)

    process.end()

    assert calls.made == []


def test_a_second_end_does_nothing(tmp_path: Path, calls: Calls) -> None:
    process = started(tmp_path, "raise SystemExit(3)")
    calls.own = {process.pid}
    assert process.wait(60.0)
    assert process.end() == 3
    calls.made.clear()

    assert process.end() == 3
    assert calls.made == []


def test_a_fork_never_ends_what_its_parent_has_started(tmp_path: Path) -> None:
    process = started(tmp_path, "import time; time.sleep(600)")
    try:
        pid = os.fork()
        if not pid:
            process.end()
            os._exit(17 if process.has_ended() else 18)

        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17
        assert not process.has_ended()
        assert parent_of(process.pid) == os.getpid()
    finally:
        process.end()


def test_a_child_gets_the_environment_and_the_descriptors_that_it_is_given_and_no_others(tmp_path: Path) -> None:
    mine, theirs = os.pipe()
    other, closed = os.pipe()
    try:
        code = (
            "import os, sys; print(os.environ.get('GIVEN'), os.isatty(0), os.getsid(0) == os.getpid(), "
            "*[os.path.exists(f'/proc/self/fd/{number}') for number in map(int, sys.argv[1:])])"
        )
        log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
        process = OwnProcess(
            [sys.executable, "-c", code, str(theirs), str(closed)],
            cwd=str(tmp_path),
            environ={"GIVEN": "this"},
            log=log,
            inherited=[theirs],
        )
        os.close(log)
        assert process.wait(60.0)
        assert process.end() == 0
    finally:
        for descriptor in (mine, theirs, other, closed):
            os.close(descriptor)

    assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["this", "False", "True", "True", "False"]


def test_orphans_are_ended_and_what_is_spared_is_not(tmp_path: Path) -> None:
    code = """
import os, subprocess, sys
from leaktrace.replay.process import end_orphans
spared, left = (subprocess.Popen(["sleep", "600"]) for _ in range(2))
end_orphans([spared.pid], grace_s=0.0)
print(spared.poll(), left.poll() is not None)
spared.kill()
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert told.stdout.split() == ["None", "True"]


def test_no_orphan_is_no_reason_to_wait(calls: Calls) -> None:
    end_orphans([each for each in _children() if each], grace_s=600.0)

    assert calls.made == []


def _children() -> list[int]:
    from leaktrace.replay.process import children_of_this

    return children_of_this()


PARENT = """
import json, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from replay_bench import Bench
from leaktrace.replay import process

bench = Bench(Path({folder!r}), {suite!r})
bench.replay("test_hangs")
"""
HANGS = """
    import os, subprocess, time
    def test_hangs():
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        os.system(f"echo {child.pid} {os.getpid()} {os.getppid()} >> $PID_FILE")  # which is not put back
        time.sleep(600)
    """


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_base_and_worker_and_what_that_has_started_end_when_the_parent_dies(
    tmp_path: Path, number: signal.Signals
) -> None:
    script = PARENT.format(here=str(Path(__file__).parent), folder=str(tmp_path), suite=HANGS)
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    try:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").stat().st_size:
            assert parent.poll() is None
            signal.sigtimedwait([], 0.05)
        pids = [int(pid) for pid in (tmp_path / "pid").read_text(encoding="utf-8").split()]
        base = parent_of(pids[2])
        assert base is not None
        assert parent_of(base) == parent.pid
    finally:
        parent.send_signal(number)
        parent.wait(60)

    assert [pid for pid in pids if not is_gone(pid)] == []


def test_children_are_held_though_a_suite_has_left_the_signal_of_their_end_ignored(tmp_path: Path) -> None:
    bench = Bench(tmp_path, HANGS)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        response = bench.replay("test_hangs", timeout_s=1.0)["test_hangs"]
    finally:
        signal.signal(signal.SIGCHLD, before)

    assert response.failure is not None
    assert "Traceback" not in response.failure
    assert all(is_gone(int(pid)) for pid in bench.pid_file.read_text(encoding="utf-8").split())


def test_a_suite_that_hangs_is_ended_without_a_signal_to_anybody_else(tmp_path: Path, calls: Calls) -> None:
    class Known(Container[int | None]):
        def __contains__(self, pid: object) -> bool:
            return isinstance(pid, int) and parent_of(pid) == os.getpid()

    calls.own = Known()
    bench = Bench(tmp_path, HANGS)

    response = bench.replay("test_hangs", timeout_s=1.0)["test_hangs"]

    assert "it took longer than --leaktrace-timeout" in str(response.failure)
    assert all(is_gone(int(pid)) for pid in bench.pid_file.read_text(encoding="utf-8").split())
