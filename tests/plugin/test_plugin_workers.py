"""xdist: what the workers found is in one report, however the tests were handed out and whatever became of a worker."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from leaktrace.plugin.xdist import WorkerPlugin
from plugin.plugin_harness import Example


pytestmark = pytest.mark.versions


FILES = {
    f"test_{letter}.py": f"""
        KEPT = []
        def test_leaks_{letter}(): KEPT.append(bytearray(3_000_000))
        def test_clean_{letter}(): pass
        """
    for letter in "ab"
}
CRASH = {
    "test_crash.py": """
        import ctypes, os
        KEPT = []
        def test_one(): KEPT.append(bytearray(3_000_000))
        def test_two(): pass
        def test_crashes(): ctypes.string_at(0)
        def test_four(): pass
        def test_five(): pass
        """,
}
LIMIT = "--leaktrace-limit=1MB"


@pytest.fixture
def workers(tmp_path: Path) -> Example:
    return Example(tmp_path, ("-n2",))


def test_files_kept_together_are_reported_as_any(workers: Example) -> None:
    ran = workers.run(LIMIT, "--dist=loadfile", files=FILES, expect=0)

    assert ran.suspects == {"test_leaks_a", "test_leaks_b"}
    assert {span.worker for span in ran.book.tests} == {"gw0", "gw1"}


def test_a_test_that_each_worker_runs_is_one_suspect(workers: Example) -> None:
    ran = workers.run(LIMIT, "--dist=each", files=FILES, expect=0)

    assert ran.suspects == {"test_leaks_a", "test_leaks_b"}
    assert len(ran.book.tests) == 8
    assert ran.report.count("LEAKED") == 2


def test_the_readings_of_a_worker_that_crashed_come_from_its_journal(workers: Example) -> None:
    ran = workers.same(LIMIT, "--max-worker-restart=1", "-n1", files=CRASH, expect=1)

    assert ran.suspects == {"test_one"}
    died = [process for process in ran.book.processes if not process.complete]
    assert [process.running for process in died] == ["test_crash.py::test_crashes"]
    assert "worker gw0 died while running test_crash.py::test_crashes" in ran.report
    assert {span.nodeid.partition("::")[2] for span in ran.book.tests} == {
        "test_one",
        "test_two",
        "test_four",
        "test_five",
    }


def test_workers_that_cannot_collect_or_have_nothing_to_run_end_as_before(workers: Example) -> None:
    workers.same(files={"test_c.py": "import not_there\n"})


def test_a_run_whose_workers_may_not_come_back_is_reported(workers: Example) -> None:
    ran = workers.run(LIMIT, "--max-worker-restart=0", "-n1", files=CRASH)

    assert ran.ret != 0
    assert ran.suspects == {"test_one"}
    assert "INTERNALERROR" not in ran.text


def test_a_crash_without_workers_leaves_a_journal(example: Example) -> None:
    ran = example.run(LIMIT, files=CRASH, expect=-11)

    assert ran.ended() == ["test_one", "test_two"]
    assert (ran.journals["main"].complete, ran.journals["main"].running) == (False, "test_crash.py::test_crashes")


def test_a_group_is_summed_up_over_the_workers(workers: Example) -> None:
    files = {
        "test_a.py": """
        import pytest
        KEPT = []
        @pytest.mark.parametrize("number", range(12))
        def test_variant(number): KEPT.append(bytearray(300_000))
        """
    }

    ran = workers.run("--leaktrace-limit=2MB", files=files, expect=0)

    group = ran.book.suspects[0]
    assert (group.subject, group.name) == ("group", "test_a.py::test_variant")
    assert group.grew_by == pytest.approx(0.3e6 * group.tests, rel=0.2)
    assert ran.book.groups[0].tests == 12


def test_a_fork_of_a_worker_sends_nothing_of_ours_at_the_end_of_the_session() -> None:
    start = SimpleNamespace(restored=contextlib.nullcontext, is_here=False)
    config, shared, session = mock.Mock(workeroutput={}), mock.Mock(start=start), mock.Mock()

    ending = WorkerPlugin(config, shared).pytest_sessionfinish(session=session)
    assert list(ending) == [None]

    assert config.workeroutput == {}
