"""Who is billed for what: scripted counters, one boundary after another."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import MB
from leaktrace.probes.model import Unread, Value
from leaktrace.recording.journal import Journal, read_journal
from recording.recording_scripts import Run, rss


@pytest.fixture
def run() -> Run:
    run = Run()
    run.recorder.collected(3, None)
    return run


def test_growth_of_each_phase_is_the_tests_own(run: Run) -> None:
    run.whole(setup=1, call=20, teardown=300)

    assert run.phases() == (1, 20, 300)
    assert run.span().growth == {"rss_bytes": 321, "heap_bytes": 321}
    assert run.span().start == {"rss_bytes": 40 * MB, "heap_bytes": 20 * MB}


def test_growth_before_the_first_test_is_the_collections_and_between_tests_the_harnesss() -> None:
    run = Run()
    run.grow(5)
    run.recorder.collected(2, None)
    run.grow(7)
    run.whole(call=100)
    run.grow(11)
    run.whole(call=1000)
    run.grow(13)
    run.recorder.finish()

    assert rss(run.recording.collection) == 5
    assert rss(run.recording.harness) == 7 + 11 + 13
    assert [span.growth["rss_bytes"] for span in run.recording.spans()] == [100, 1000]
    assert run.recording.last["rss_bytes"] == run.rss.value


def test_a_wider_fixtures_setup_is_a_loan_and_not_the_tests(run: Run) -> None:
    session = run.account()
    with run.test(setup=1, call=20):
        run.lend(session, 50 * MB)

    assert run.phases() == (1, 20, 0)
    assert (rss(session.lent), rss(session.open), session.setups) == (50 * MB, 50 * MB, 1)


def test_a_function_fixtures_growth_stays_with_its_test(run: Run) -> None:
    own = run.account("client", "function")
    with run.test(setup=1):
        run.lend(own, 50)

    assert run.phases() == (51, 0, 0)
    assert (rss(own.lent), rss(own.open)) == (50, 0)


def test_a_fixture_asked_for_by_another_keeps_its_own_account(run: Run) -> None:
    outer, inner = run.account("client"), run.account("database", "module")
    with run.test(), run.setup(outer, 10):
        run.lend(inner, 500)
        run.grow(3)

    assert (rss(outer.lent), rss(inner.lent)) == (13, 500)
    assert run.phases() == (0, 0, 0)


def test_a_loan_that_its_finalizer_pays_back_leaves_nothing(run: Run) -> None:
    session = run.account()
    with run.test():
        run.lend(session, 50)
    run.recorder.start("t.py::last")
    run.recorder.phase("setup")
    run.recorder.phase("call")
    run.close(session, 50)
    run.recorder.end(None)

    assert (rss(session.kept), rss(session.open), session.closings) == (0, 0, 1)
    assert run.phases(1) == (0, 0, 0)


def test_a_loan_that_is_not_paid_back_is_kept_by_the_fixture(run: Run) -> None:
    session = run.account()
    with run.test():
        run.lend(session, 50)
        run.close(session, 20)

    assert rss(session.kept) == 30
    assert run.phases() == (0, 0, 0)


def test_a_value_that_dies_after_its_finalizer_pays_back_all_the_same(run: Run) -> None:
    session = run.account()
    with run.test():
        run.lend(session, 50)
        run.close(session, 0, later=50)

    assert rss(session.kept) == 0
    assert run.phases() == (0, 0, 0)


def test_a_value_that_dies_with_the_tests_own_arguments_pays_back_all_the_same(run: Run) -> None:
    session = run.account()
    run.recorder.start("t.py::test")
    run.lend(session, 50)
    run.recorder.phase("setup")
    run.recorder.phase("call")
    run.close(session, 0)
    run.recorder.phase("teardown")
    run.grow(-50)
    run.recorder.end(None)

    assert rss(session.kept) == 0
    assert run.span().growth["rss_bytes"] == 0


def test_what_is_freed_beyond_the_loan_is_the_tests(run: Run) -> None:
    session = run.account()
    with run.test(call=0):
        run.lend(session, 50)
        run.close(session, 60)

    assert (rss(session.kept), run.span().growth["rss_bytes"]) == (0, -10)


def test_a_loan_paid_back_does_not_hide_what_the_test_keeps(run: Run) -> None:
    session = run.account()
    with run.test(call=70):
        run.lend(session, 50)
        run.close(session, 50)

    assert (rss(session.kept), run.span().growth["rss_bytes"]) == (0, 70)


def test_two_fixtures_closed_in_turn_are_paid_back_each_by_its_own(run: Run) -> None:
    outer, inner = run.account("outer"), run.account("inner", "module")
    with run.test():
        run.lend(outer, 50)
        run.lend(inner, 7)
        run.close(inner, 7)
        run.close(outer, 40)

    assert (rss(inner.kept), rss(outer.kept)) == (0, 10)
    assert run.phases() == (0, 0, 0)


def test_a_fixture_that_is_set_up_and_closed_twice_sums_up(run: Run) -> None:
    session = run.account()
    for nodeid in ("t.py::a", "t.py::b"):
        with run.test(nodeid):
            run.lend(session, 50)
            run.close(session, 45)

    assert (rss(session.lent), rss(session.kept), session.setups, session.closings) == (100, 10, 2, 2)


def test_a_fixture_that_is_closed_twice_in_one_test_is_told_once(tmp_path: Path) -> None:
    run = Run(Journal(tmp_path / "main.jsonl", pytest.fail))
    run.recorder.collected(1, None)
    session = run.account()
    with run.test():
        for _ in range(2):
            run.lend(session, 50)
            run.close(session, 45)
    run.recorder.finish()

    assert rss(session.kept) == 10
    assert rss(read_journal(tmp_path / "main.jsonl").fixtures[0].kept) == 10


def test_garbage_of_a_suspicious_test_is_collected_and_not_billed(run: Run) -> None:
    with run.test(call=2):
        run.garbage(50 * MB)

    span = run.span()
    assert span.growth["rss_bytes"] == 2
    assert span.settlement is not None
    assert span.settlement.raw["rss_bytes"] == 50 * MB + 2
    assert span.settlement.garbage_bytes >= 50 * MB


@contextlib.contextmanager
def full_collections() -> Iterator[list[dict[str, int]]]:
    """How many collections of everything were asked for meanwhile."""
    seen = []

    def tell(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            seen.append(info)

    gc.callbacks.append(tell)
    try:
        yield seen
    finally:
        gc.callbacks.remove(tell)


def test_free_pages_that_malloc_gives_back_clear_a_test_without_a_collection(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaktrace.recording.suspicion.trim", lambda: run.grow(-50 * MB, heap=0))
    with full_collections() as seen, run.test():
        run.grow(50 * MB, heap=0)

    assert not seen
    assert run.span().growth["rss_bytes"] == 0
    settlement = run.span().settlement
    assert settlement is not None
    assert settlement.raw["rss_bytes"] == 50 * MB


def test_nothing_more_is_collected_once_a_test_is_cleared(run: Run) -> None:
    with contextlib.ExitStack() as stack, run.test():
        run.garbage(50 * MB)
        seen = stack.enter_context(full_collections())

    assert len(seen) == 1


def test_a_test_below_its_limit_is_not_settled(run: Run) -> None:
    run.whole("t.py::a", call=9 * MB)
    run.whole("t.py::b", call=20 * MB, limit_bytes=30 * MB)
    run.whole("t.py::c", call=9 * MB, limit_bytes=1 * MB)

    assert list(run.recording.settlements) == [2]


def test_growth_of_the_heap_alone_is_suspicious_too(run: Run) -> None:
    with run.test():
        run.grow(0, heap=50 * MB)

    settlement = run.span().settlement
    assert settlement is not None
    assert settlement.raw == {"rss_bytes": 0, "heap_bytes": 50 * MB}


def test_a_loan_that_seems_unpaid_is_settled_before_it_is_told(run: Run) -> None:
    session = run.account()
    with run.test():
        run.lend(session, 0)
        run.garbage(0)
        with run.setup(session):
            run.garbage(50 * MB)
        run.close(session, 0)

    assert rss(session.kept) == 0


def test_a_counter_that_cannot_be_read_is_given_up_with_its_reason(run: Run) -> None:
    run.whole("t.py::a", call=5)
    run.heap.broken = "the call is gone"
    run.whole("t.py::b", call=5)
    reads = run.heap.reads
    run.heap.broken = None
    run.whole("t.py::c", call=5)

    gone = Unread(counter="heap_bytes", why="the call is gone")
    assert run.heap.reads == reads
    assert run.recording.unread == {"heap_bytes": "the call is gone"}
    assert [span.growth for span in run.recording.spans()] == [{"rss_bytes": 5, "heap_bytes": gone}] * 3


def test_a_counter_that_was_never_to_be_had_is_unread_from_the_start() -> None:
    run = Run()
    run.heap.broken = "no such call"
    run.recorder._first_reading()

    assert run.recording.first["heap_bytes"] == Unread(counter="heap_bytes", why="no such call")


def watch(*, test_us: int, limit_bytes: int = 10 * MB) -> Run:
    """A run that no casebook is asked of, whose tests take so many microseconds each."""
    times = iter(range(0, 10**12, test_us * 1000))
    return Run(limit_bytes=limit_bytes, detailed=False, clock_ns=lambda: next(times))


def test_a_test_too_short_to_pass_its_limit_has_its_resident_memory_read_alone() -> None:
    run = watch(test_us=999)
    before = run.heap.reads

    run.brief(size=4096)

    assert run.heap.reads == before
    assert run.span().growth == {"rss_bytes": 4096, "heap_bytes": 0}


@pytest.mark.parametrize("case", [{"test_us": 1001}, {"test_us": 200, "limit_bytes": MB}])
def test_a_test_that_may_have_passed_its_limit_has_every_counter_read(case: dict[str, int]) -> None:
    run = watch(**case)

    run.brief(size=4096, heap=5000)

    assert run.span().growth == {"rss_bytes": 4096, "heap_bytes": 5000}


def test_what_short_tests_leave_on_the_heap_is_read_with_the_seventeenth_at_the_latest() -> None:
    run = watch(test_us=10)

    for _ in range(17):
        run.brief(heap=1000)

    assert [span.growth["heap_bytes"] for span in run.recording.spans()] == [0] * 16 + [17_000]


def fragmented(heap_ms: int) -> Any:
    """A process whose heap takes so long to sum up; each test takes 20 ms beside."""
    now = [0]
    run = Run(detailed=False, clock_ns=lambda: now[0])
    sum_up = run.heap.read

    def slowly() -> Value:
        now[0] += heap_ms * 1_000_000
        return sum_up()

    counters = run.recorder._counters
    counters.all = (counters.all[0], (1, slowly))

    def test(size: int = 4096) -> None:
        run.recorder.start("t.py::test")
        now[0] += 20_000_000
        run.grow(size, heap=1000)
        run.recorder.end(None)

    return run, test, now


def test_a_heap_that_takes_long_to_sum_up_is_read_for_a_fiftieth_of_the_time() -> None:
    run, test, now = fragmented(heap_ms=5)
    before = run.heap.reads

    for _ in range(500):
        test()

    spent = 5 * (run.heap.reads - before)
    assert 0 < spent <= 0.03 * now[0] / 1e6
    assert sum(span.growth["heap_bytes"] for span in run.recording.spans()) + run.recording.harness[1] >= 480_000


def test_resident_memory_above_the_limit_is_suspicious_however_long_the_heap_takes() -> None:
    run, test, _now = fragmented(heap_ms=5)
    for _ in range(10):
        test()

    test(size=20 * MB)

    assert [span.settlement is not None for span in run.recording.spans()] == [False] * 10 + [True]


def test_resident_memory_above_the_limit_is_suspicious_in_however_short_a_test() -> None:
    run = watch(test_us=10)

    run.brief(size=20 * MB)

    assert run.span().settlement is not None


@pytest.mark.parametrize(("gap_us", "credited"), [(50, (4096, 0)), (500, (0, 4096))])
def test_what_comes_in_the_moment_after_a_test_is_the_next_ones_and_what_comes_later_is_no_tests(
    gap_us: int, credited: tuple[int, ...]
) -> None:
    now = [0]
    run = Run(detailed=False, clock_ns=lambda: now[0])
    now[0] += 10_000_000
    run.brief()

    run.grow(4096, heap=0)
    now[0] += gap_us * 1000
    run.brief()

    assert (run.span(1).growth["rss_bytes"], run.recording.harness[0]) == credited


def test_a_failing_probe_does_not_bill_its_last_value_to_anyone(run: Run) -> None:
    run.heap.broken = "the call is gone"
    run.whole(call=5)
    run.recorder.finish()

    assert run.recording.named(run.recording.harness)["heap_bytes"] == Unread(
        counter="heap_bytes", why="the call is gone"
    )
    assert run.recording.last["heap_bytes"] == Unread(counter="heap_bytes", why="the call is gone")


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        ([("passed", "setup"), ("passed", "call"), ("passed", "teardown")], "passed"),
        ([("passed", "setup"), ("failed", "call"), ("passed", "teardown")], "failed"),
        ([("passed", "setup"), ("passed", "call"), ("error", "teardown")], "error"),
        ([("error", "setup"), ("passed", "teardown")], "error"),
        ([("skipped", "setup"), ("passed", "teardown")], "skipped"),
        ([("passed", "setup"), ("xfailed", "call"), ("passed", "teardown")], "xfailed"),
        ([("passed", "setup"), ("failed", "call"), ("passed", "call"), ("passed", "teardown")], "failed"),
        (
            [
                ("passed", "setup"),
                ("rerun", "call"),
                ("passed", "teardown"),
                ("passed", "setup"),
                ("passed", "call"),
                ("passed", "teardown"),
            ],
            "passed",
        ),
    ],
)
def test_the_outcome_is_the_last_runs_and_its_worst(run: Run, reports: list[tuple[str, ...]], outcome: str) -> None:
    run.recorder.start("t.py::test")
    for name, when in reports:
        run.recorder.outcome(name, when)
    run.recorder.end(None)

    assert run.span().outcome == outcome


def test_a_rerun_adds_to_the_same_test(run: Run) -> None:
    run.recorder.start("t.py::test")
    for _ in range(2):
        run.grow(1)
        run.recorder.phase("setup")
        run.grow(20)
        run.recorder.phase("call")
        run.grow(300)
        run.recorder.phase("teardown")
    run.recorder.end(None)

    assert len(run.recording) == 1
    assert run.span().growth["rss_bytes"] == 642


def test_more_tests_than_were_collected_find_room() -> None:
    run = Run()
    run.recorder.collected(1, None)
    for number in range(600):
        run.whole(f"t.py::test[{number}]", call=number)
    run.recorder.finish()

    assert [span.growth["rss_bytes"] for span in run.recording.spans()] == list(range(600))
    assert len(run.recording.cells) == 600 * run.recording.width


def test_packages_imported_by_a_test_are_named_on_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with run.test("t.py::a"):
        for name in ("bigone", "bigone.part", "bigone.part.deep", "other"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    run.whole("t.py::b")

    assert run.recording.imports == {0: ("bigone", "other")}


def test_a_fork_of_a_test_that_runs_on_writes_nothing(tmp_path: Path) -> None:
    run = Run(Journal(tmp_path / "main.jsonl", pytest.fail))
    run.recorder.collected(2, None)
    session = run.account()
    run.recorder.start("t.py::forks")
    pid = os.fork()
    run.recorder.phase("setup")
    run.recorder.end("t.py::next")
    run.whole("t.py::next")
    run.lend(session, 5)
    run.recorder.finish()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

    assert read_journal(tmp_path / "main.jsonl").nodeids == ["t.py::forks", "t.py::next"]


def test_what_lies_outside_of_tests_changes_no_test(run: Run) -> None:
    session = run.account()
    run.recorder.fixture_begin(session)
    run.recorder.fixture_end(session)
    run.recorder.closing_begin(session)
    run.recorder.closing_end(session)
    run.recorder.phase("call")
    run.recorder.end(None)

    assert len(run.recording) == 0


def test_what_is_imported_between_two_tests_is_neithers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.whole("t.py::a")
    monkeypatch.setitem(sys.modules, "ours", types.ModuleType("ours"))
    run.whole("t.py::b")

    assert run.recording.imports == {}
