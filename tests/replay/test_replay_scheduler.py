"""Replay children of real suites: those that run, and those that crash, hang, exit or have nothing to run."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from leaktrace.replay.protocol import Response, Target, Task
from leaktrace.replay.scheduler import SCREENED_A_SHARE, shares
from replay.replay_bench import Bench, is_gone


pytestmark = pytest.mark.versions


SUITE = """
import ctypes, os, sys, subprocess, time
import pytest

KEPT, RUNS = [], []

def note(*told):
    # For the test outside: what Python itself writes in a child is put back.
    os.system(f"echo {' '.join(map(str, told))} >> $PID_FILE")

def test_leaks(): KEPT.append(bytearray(3_000_000))
@pytest.fixture(scope="module")
def record(): RUNS.append("record")
def test_records_from_now_on(record): assert 0
def test_is_recorded():
    if "record" in RUNS: KEPT.append(bytearray(3_000_000))
def test_aborts(): os.abort()
def test_segfaults(): ctypes.string_at(0)
def test_hangs():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note(child.pid)
    time.sleep(600)
def test_hangs_in_a_fork_only():
    with open(f"/proc/{os.getppid()}/stat") as file: above = file.read().rpartition(")")[2].split()[1]
    while above != os.environ["STARTED_BY"]: time.sleep(1)
def test_keeps_a_lot(): KEPT.append(bytearray(b"x") * 20_000_000)
def test_clean(): pass
def test_notes_its_process(): note(os.getpid())
def test_crashes_at_the_third_run():
    RUNS.append(1)
    if len(RUNS) == 3: os.abort()
def test_waits_for_what_it_has_let_go():
    code = "import subprocess; print(subprocess.Popen(['sleep', '0.2'], stdout=-3).pid)"
    orphan = subprocess.run([sys.executable, "-c", code], stdout=-1, text=True).stdout.strip()
    while os.path.exists(f"/proc/{orphan}"): time.sleep(0.05)
def test_leaves_processes():
    code = "import subprocess, sys; print(subprocess.Popen(['sleep', '600'], start_new_session=True, stdout=-3).pid)"
    found = subprocess.run([sys.executable, "-c", code], stdout=-1, text=True, start_new_session=True).stdout
    note(found.strip())
def test_exits_hard(): os._exit(7)
def test_exits(): sys.exit(3)
def test_fails_at_the_second_run():
    RUNS.append(1)
    assert len(RUNS) < 2, "only once"
def test_skips(): pytest.skip("not today")
@pytest.mark.xfail
def test_xfails(): assert 0
def test_sees_its_environment():
    assert os.environ.get("PYTHONMALLOC") is None
    assert os.environ["SEEN"] == "yes"
    assert not any(name.startswith("LEAKTRACE") for name in os.environ)
    assert sys.argv[1:] == ["-x", "-k", "nothing at all", "--maxfail=1"]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, SUITE)


def why(response: Response) -> str:
    assert response.failure is not None
    return response.failure


def heap_of(response: Response) -> list[int]:
    heap = [row[response.counters.index("heap_bytes")] for row in response.readings]
    assert None not in heap
    return [value for value in heap if value is not None]


@pytest.mark.reads("heap_bytes")
def test_a_child_that_dies_costs_its_own_task_alone(bench: Bench) -> None:
    responses = bench.replay(
        "test_aborts", "test_leaks", "test_exits_hard", "test_gone", "test_segfaults", "test_skips"
    )

    assert "the replay child died of signal SIGABRT" in why(responses["test_aborts"])
    assert "Fatal Python error: Aborted" in why(responses["test_aborts"])
    assert "in test_aborts" in why(responses["test_aborts"])
    assert "ended early with exit status 7" in why(responses["test_exits_hard"])
    assert "the replay child died of signal SIGSEGV" in why(responses["test_segfaults"])
    assert "0x" not in why(responses["test_segfaults"])
    assert "collected no test test_suite.py::test_gone" in why(responses["test_gone"])
    assert "it was skipped" in why(responses["test_skips"])

    leak = responses["test_leaks"]
    heap = heap_of(leak)
    assert leak.failure is None
    assert heap[-1] - heap[1] == pytest.approx(3_000_000 * (len(heap) - 2), rel=0.01)
    assert all(response.ended for response in responses.values())
    assert bench.progress == (6, 6)


@pytest.mark.reads("heap_bytes")
def test_what_comes_before_a_test_is_run_once_whatever_comes_of_it_and_before_the_first_reading(bench: Bench) -> None:
    alone = bench.replay("test_is_recorded")["test_is_recorded"]
    after = bench.replay("test_is_recorded", "test_leaks", before=("test_records_from_now_on",))

    def steps(response: Response) -> list[int]:
        return [later - earlier for earlier, later in itertools.pairwise(heap_of(response))]

    assert max(steps(alone)[1:]) < 100_000
    assert min(steps(after["test_is_recorded"])[1:]) == pytest.approx(3_000_000, rel=0.01)
    assert [response.preceded for response in (alone, *after.values())] == [0, 1, 1]
    assert all(response.failure is None for response in after.values())


def test_a_run_that_does_not_pass_is_told_with_its_reason(bench: Bench) -> None:
    responses = bench.replay("test_fails_at_the_second_run", "test_xfails", "test_exits", "test_sees_its_environment")

    assert why(responses["test_fails_at_the_second_run"]).startswith("run 2: ")
    assert "only once" in why(responses["test_fails_at_the_second_run"])
    assert "xfail" in why(responses["test_xfails"])
    assert "SystemExit: 3" in why(responses["test_exits"])
    assert responses["test_sees_its_environment"].failure is None


def test_a_child_that_hangs_is_killed_with_all_that_it_started(bench: Bench) -> None:
    responses = bench.replay("test_hangs", "test_leaks", timeout_s=1.5)

    assert "it took longer than --leaktrace-timeout" in why(responses["test_hangs"])
    assert responses["test_leaks"].readings
    assert all(is_gone(int(pid)) for pid in bench.pid_file.read_text(encoding="utf-8").split())


def test_a_budget_that_is_spent_leaves_out_what_had_not_begun(bench: Bench) -> None:
    responses = bench.replay("test_hangs", *["test_leaks"] * 9, budget_s=0.0)

    assert bench.outcome.left_out
    assert set(bench.outcome.left_out) | set(bench.outcome.responses) == set(range(10))
    assert all(response.ended for response in responses.values())


def test_several_children_work_at_a_time(bench: Bench) -> None:
    names = ["test_leaks"] * 8 + ["test_skips"] * 2

    bench.replay(*names, jobs=2)

    assert sorted(bench.outcome.responses) == list(range(10))
    assert bench.outcome.left_out == []


WORKER = """
import queue, threading
work = queue.Queue()
def serve():
    while work.get() is not None: pass
def pytest_unconfigure(): work.put(None)
"""
STARTED = "threading.Thread(target=serve, daemon=True).start()"


@pytest.mark.parametrize(
    ("started_in", "rests"), [("pytest_configure(config)", False), ("pytest_runtest_setup(item)", True)]
)
def test_time_to_go_by_itself_is_given_where_a_thread_of_the_tests_is_there_and_not_for_a_plugins(
    bench: Bench, started_in: str, rests: bool
) -> None:
    (bench.path / "conftest.py").write_text(f"{WORKER}def {started_in}: {STARTED}\n", encoding="utf-8")

    response = bench.replay("test_leaks")["test_leaks"]

    assert response.failure is None
    assert (response.rested is not None) is rests


def test_a_file_that_cannot_be_collected_is_told_with_its_reason(bench: Bench) -> None:
    bench.suite.write_text("import not_there\n", encoding="utf-8")

    [response] = bench.replay("test_leaks").values()

    assert "collected no test" in why(response)
    assert "not_there" in why(response)


def test_tests_of_a_file_that_are_screened_share_a_worker_and_every_other_task_has_its_own() -> None:
    def task(ident: int, path: str, **changes: Any) -> Task:
        return Task(ident=ident, targets=(Target(nodeid=f"{path}::t", path=path, tail="t"),), **changes)

    tasks = [
        *(task(number, "a.py", screening=True) for number in range(SCREENED_A_SHARE + 1)),
        task(1000, "b.py", screening=True),
        task(1001, "b.py"),
        task(1002, "b.py"),
    ]

    assert [len(share) for share in shares(tasks)] == [SCREENED_A_SHARE, 1, 1, 1, 1]


def test_a_worker_that_has_outgrown_its_bound_makes_way_for_another(bench: Bench) -> None:
    names = ["test_notes_its_process", "test_keeps_a_lot", "test_clean", "test_keeps_a_lot", "test_clean"]

    def tasks(*given: str, **_changes: object) -> list[Task]:
        return [bench.task(i, name, screening=True) for i, name in enumerate(given)]

    bench.tasks = tasks  # type: ignore[method-assign]  # one name may stand there twice

    bench.replay(*names, "test_notes_its_process")

    responses = [bench.outcome.responses[number] for number in range(6)]
    assert [response.screened for response in responses] == ["clean", "grown", "clean", "grown", "clean", "clean"]
    assert [response.retired for response in responses] == [False, True, False, True, False, False]
    assert len(set(bench.pid_file.read_text(encoding="utf-8").split())) == 2


def test_a_screened_test_that_crashes_at_a_later_run_costs_itself_alone(bench: Bench) -> None:
    names = ["test_clean", "test_crashes_at_the_third_run", "test_xfails", "test_skips"]

    responses = bench.replay(*names, screening=True)

    assert responses["test_clean"].screened == "clean"
    assert "died of signal SIGABRT" in why(responses["test_crashes_at_the_third_run"])
    assert "xfail" in why(responses["test_xfails"])
    assert "skipped" in why(responses["test_skips"])


def test_what_hangs_at_once_in_a_fork_is_tried_once_more_in_a_fresh_process(bench: Bench) -> None:
    responses = bench.replay("test_hangs_in_a_fork_only", "test_clean", timeout_s=3.0)

    assert responses["test_hangs_in_a_fork_only"].failure is None
    assert responses["test_clean"].failure is None


def test_processes_that_tests_leave_end_with_the_worker_though_they_have_a_session_of_their_own(bench: Bench) -> None:
    bench.replay("test_leaves_processes")

    left = [int(pid) for pid in bench.pid_file.read_text(encoding="utf-8").split()]
    assert len(left) > 3
    assert [pid for pid in left if not is_gone(pid)] == []


def test_a_process_whose_starter_has_ended_is_reaped_when_it_ends(bench: Bench) -> None:
    responses = bench.replay("test_waits_for_what_it_has_let_go", timeout_s=20.0)

    assert responses["test_waits_for_what_it_has_let_go"].failure is None


def test_an_end_that_somebody_wants_leaves_the_rest_unjudged(bench: Bench) -> None:
    responses = bench.replay("test_hangs", "test_leaks", stopped=bench.pid_file.exists)

    assert responses == {}
    assert sorted(bench.outcome.left_out) == [0, 1]
    assert all(is_gone(int(pid)) for pid in bench.pid_file.read_text(encoding="utf-8").split())


def test_a_thread_that_runs_after_collection_takes_the_forks_and_is_named(bench: Bench) -> None:
    (bench.path / "conftest.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, name='mine', daemon=True).start()\n",
        encoding="utf-8",
    )

    responses = bench.replay("test_clean", "test_leaks", "test_aborts")

    assert [responses[name].failure for name in ("test_clean", "test_leaks")] == [None, None]
    assert "died of signal SIGABRT" in why(responses["test_aborts"])
    [note] = [each for each in bench.pool.notes if "fork" in each]
    assert note.startswith("each share of tests got a process of its own, since a fork was not safe")
    assert "1 thread runs after collection (mine)" in note


def test_a_test_that_fails_beside_others_only_is_run_again_alone(tmp_path: Path) -> None:
    suite = """
        import os, time
        def locked():
            lock = os.open("lock", os.O_CREAT | os.O_RDWR)
            os.lockf(lock, os.F_TLOCK, 0)  # fails where another process holds it
            time.sleep(0.5)
            os.close(lock)
        def test_one(): locked()
        def test_two(): locked()
        """
    bench = Bench(tmp_path, suite)

    responses = bench.replay("test_one", "test_two", jobs=2)

    assert [response.failure for response in responses.values()] == [None, None]
    assert bench.pool.shares > 2, "none failed beside the other"


def test_a_parent_that_dies_before_its_child_runs_leaves_no_temporary_folder(tmp_path: Path) -> None:
    script = """
        import os
        from pathlib import Path
        from leaktrace.replay import base
        from leaktrace.replay.protocol import Request, Settings

        base.OwnProcess = lambda *_, **__: os._exit(9)
        settings = Settings(args=(), cwd="", sys_path=(), environ={}, interpreter=base.interpreter())
        base.Base(Request(files=()), settings, Path("folder"), "1")
    """
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )

    assert (ran.returncode, list(temporary.iterdir())) == (9, [])
