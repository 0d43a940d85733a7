"""Replay children of real suites: those that run, and those that crash, hang, exit or have nothing to run."""

from __future__ import annotations

import itertools
import os
import sys
import textwrap
import time

import psutil
import pytest

from leaktrace.replay.children import interpreter
from leaktrace.replay.letters import Settings, Target, Task
from leaktrace.replay.runner import Bounds, replay


SUITE = """
import ctypes, os, sys, subprocess, time
import pytest

KEPT, RUNS = [], []

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
    with open(os.environ["PID_FILE"], "w") as file: file.write(str(child.pid))
    time.sleep(600)
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
def bench(tmp_path):
    return Bench(tmp_path)


class Bench:
    """A suite, and children that run parts of it."""

    def __init__(self, path):
        self.path, self.suite = path, path / "test_suite.py"
        self.suite.write_text(textwrap.dedent(SUITE), encoding="utf-8")
        self.pid_file = path / "pid"

    def task(self, ident, name, **changes):
        target = Target(nodeid=f"test_suite.py::{name}", path=str(self.suite), tail=name)
        return Task(ident=ident, targets=(target,), **{"warmups": 1, "batch_runs": 1, "follow_s": 1.0, **changes})

    def replay(self, *names, before=(), **bounds):
        """All that was answered, by name."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LEAKTRACE_"))}
        settings = Settings(
            args=("-x", "-k", "nothing at all", "--maxfail=1"),
            cwd=str(self.path),
            sys_path=tuple(sys.path),
            environ={
                **keep,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTEST_PLUGINS": "leaktrace.plugin",
                "PID_FILE": str(self.pid_file),
                "SEEN": "yes",
            },
            interpreter=interpreter(),
        )
        earlier = tuple(Target(nodeid=name, path=str(self.suite), tail=name) for name in before)
        tasks = [self.task(i, name, before=earlier) for i, name in enumerate(names)]
        self.outcome = replay(
            tasks,
            settings,
            Bounds(**{"timeout_s": 60.0, **bounds}),
            self.path / "replay",
            trace=False,
            progress=self.note,
        )
        return {name: self.outcome.answers.get(i) for i, name in enumerate(names)}

    def note(self, done, count, _current):
        self.progress = (done, count)


def test_a_child_that_dies_costs_its_own_task_alone(bench):
    answers = bench.replay("test_aborts", "test_leaks", "test_exits_hard", "test_gone", "test_segfaults", "test_skips")

    assert "the replay child died of signal SIGABRT" in answers["test_aborts"].failure
    assert "Fatal Python error: Aborted" in answers["test_aborts"].failure
    assert "in test_aborts" in answers["test_aborts"].failure
    assert "ended early with exit status 7" in answers["test_exits_hard"].failure
    assert "the replay child died of signal SIGSEGV" in answers["test_segfaults"].failure
    assert "0x" not in answers["test_segfaults"].failure
    assert "collected no test test_suite.py::test_gone" in answers["test_gone"].failure
    assert "it was skipped" in answers["test_skips"].failure

    leak = answers["test_leaks"]
    heap = [row[leak.counters.index("heap_bytes")] for row in leak.readings]
    assert leak.failure is None
    assert heap[-1] - heap[1] == pytest.approx(3_000_000 * (len(heap) - 2), rel=0.01)
    assert all(answer.ended for answer in answers.values())
    assert bench.progress == (6, 6)


def test_what_comes_before_a_test_is_run_once_whatever_comes_of_it_and_before_the_first_reading(bench):
    alone = bench.replay("test_is_recorded")["test_is_recorded"]
    after = bench.replay("test_is_recorded", "test_leaks", before=("test_records_from_now_on",))

    def steps(answer):
        heap = [row[answer.counters.index("heap_bytes")] for row in answer.readings]
        return [later - earlier for earlier, later in itertools.pairwise(heap)]

    assert max(steps(alone)[1:]) < 100_000
    assert min(steps(after["test_is_recorded"])[1:]) == pytest.approx(3_000_000, rel=0.01)
    assert [answer.preceded for answer in (alone, *after.values())] == [0, 1, 1]
    assert all(answer.failure is None for answer in after.values())


def test_a_run_that_does_not_pass_is_told_with_its_reason(bench):
    answers = bench.replay("test_fails_at_the_second_run", "test_xfails", "test_exits", "test_sees_its_environment")

    assert answers["test_fails_at_the_second_run"].failure.startswith("run 2: ")
    assert "only once" in answers["test_fails_at_the_second_run"].failure
    assert "xfail" in answers["test_xfails"].failure
    assert "SystemExit: 3" in answers["test_exits"].failure
    assert answers["test_sees_its_environment"].failure is None


def test_a_child_that_hangs_is_killed_with_all_that_it_started(bench):
    answers = bench.replay("test_hangs", "test_leaks", timeout_s=1.5)

    assert "it took longer than --leaktrace-timeout" in answers["test_hangs"].failure
    assert answers["test_leaks"].readings
    grandchild = int(bench.pid_file.read_text(encoding="utf-8"))
    for _ in range(50):
        if not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the grandchild lives on")


def test_a_budget_that_is_spent_leaves_out_what_had_not_begun(bench):
    answers = bench.replay("test_hangs", *["test_leaks"] * 9, budget_s=0.0)

    assert bench.outcome.left_out
    assert set(bench.outcome.left_out) | set(bench.outcome.answers) == set(range(10))
    assert all(answer is None or answer.ended for answer in answers.values())


def test_several_children_work_at_a_time(bench):
    names = ["test_leaks"] * 8 + ["test_skips"] * 2

    bench.replay(*names, jobs=2)

    assert sorted(bench.outcome.answers) == list(range(10))
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
    bench, started_in, rests
):
    (bench.path / "conftest.py").write_text(f"{WORKER}def {started_in}: {STARTED}\n", encoding="utf-8")

    answer = bench.replay("test_leaks")["test_leaks"]

    assert answer.failure is None
    assert (answer.rested is not None) is rests


def test_a_file_that_cannot_be_collected_is_told_with_its_reason(bench):
    bench.suite.write_text("import not_there\n", encoding="utf-8")

    [answer] = bench.replay("test_leaks").values()

    assert "collected no test" in answer.failure
    assert "not_there" in answer.failure
