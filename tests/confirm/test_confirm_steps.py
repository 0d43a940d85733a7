"""The passes over suspects where children cannot do their part."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from builders import MB, make_recording, make_suspect
from leaktrace.confirm.part import Context, Part, bind, examine, joined, limits_of, matched, unreplayed
from leaktrace.confirm.passes import Deadline
from leaktrace.confirm.plan import jobs_of, plan
from leaktrace.confirm.steps import confirm
from leaktrace.options import Mode, Options
from leaktrace.replay.protocol import Response, Settings, Task
from leaktrace.replay.scheduler import Outcome
from leaktrace.verdict.model import Verdict


def suite(tmp_path: Path, options: Options) -> tuple[Part, Context]:
    """What one process saw, and what is needed to replay it with an interpreter that is not there."""
    settings = Settings(
        args=(), cwd=str(tmp_path), sys_path=(), environ=dict(os.environ), interpreter=(str(tmp_path / "no-python"),)
    )
    paths = {"t.py::test_a": str(tmp_path / "t.py")}
    part = examine(make_recording(test_a=20 * MB), options, limits_of(options, {}, 1), paths=paths)
    return part, Context(folder=tmp_path / "replay", settings=settings)


def test_suspects_that_no_child_can_be_started_for_are_told_as_not_judged_with_the_reason(tmp_path: Path) -> None:
    options = Options(mode=Mode.CONFIRM)
    part, context = suite(tmp_path, options)

    found = confirm([part], options, context)

    assert [suspect.name for suspect in found.suspects] == ["t.py::test_a"]
    assert found.cases == ()
    assert found.left_out == ("t.py::test_a",)
    assert [suspect.name for suspect in found.unjudged] == ["t.py::test_a"]
    [warning] = found.warnings
    assert warning.startswith("replaying ended early: no replay child could be started")


def test_an_interruption_leaves_out_what_was_not_judged_by_then(tmp_path: Path) -> None:
    options = Options(mode=Mode.HUNT)
    part, context = suite(tmp_path, options)

    found = confirm([part], options, context, stopped=lambda: True)

    assert set(found.left_out) == {"t.py::test_a"}
    assert found.warnings == ()


def test_where_nothing_is_replayed_suspects_are_unjudged_only_if_a_replay_was_asked_for(tmp_path: Path) -> None:
    part, _context = suite(tmp_path, Options(mode=Mode.CONFIRM))

    assert unreplayed([part]).left_out == ()
    assert unreplayed([part], asked=True).left_out == ("t.py::test_a",)


def test_what_was_left_out_meets_the_word_unjudged(tmp_path: Path) -> None:
    options = Options(mode=Mode.CONFIRM, fail_on=frozenset({"unjudged", "leak"}))
    part, _context = suite(tmp_path, options)

    book = bind([part], unreplayed([part], asked=True), options, started_at=0.0, duration_s=1.0)

    assert book.left_out == ("t.py::test_a",)
    assert matched(book, options) == ["unjudged"]
    assert matched(bind([part], unreplayed([part]), options, started_at=0.0, duration_s=1.0), options) == []


def test_what_several_hosts_have_found_is_one(tmp_path: Path) -> None:
    part, _context = suite(tmp_path, Options(mode=Mode.CONFIRM))
    found = unreplayed([part], asked=True)

    assert joined([found, found]).left_out == ("t.py::test_a", "t.py::test_a")
    assert joined([]).suspects == ()


def test_a_deadline_tells_what_is_left_and_never_less_than_nothing() -> None:
    now = [100.0]
    deadline = Deadline(10.0, lambda: now[0], 95.0)

    assert deadline.left_s() == 5.0
    now[0] = 200.0
    assert deadline.left_s() == 0.0
    assert Deadline(None).left_s() is None


def test_a_longer_time_out_follows_longer() -> None:
    def followed_s(timeout_s: float) -> float:
        return plan(0, make_suspect(counter="refs"), {}, Options(timeout_s=timeout_s)).follow_s

    assert followed_s(600.0) == 2 * followed_s(300.0) == 30.0
    assert followed_s(10.0) == 15.0


def test_a_budget_that_ran_out_is_told(tmp_path: Path) -> None:
    options = Options(mode=Mode.CONFIRM, budget_s=0.0)
    part, context = suite(tmp_path, options)
    moments = iter(range(1000))

    found = confirm([part], options, context, clock=lambda: float(next(moments)))

    assert found.left_out == ("t.py::test_a",)
    assert "--leaktrace-budget ran out while replaying" in found.warnings


@pytest.mark.parametrize(
    ("given", "ran", "resident", "jobs"),
    [(None, 1, 10**6, 1), (None, 4, 10**6, 4), (3, 1, 10**6, 3), (None, 4, 10**15, 1), (3, 4, 10**15, 3)],
    ids=["one process", "four workers", "as told", "too little memory", "as told, whatever the memory"],
)
def test_as_many_children_run_at_a_time_as_tests_did_before_or_as_the_user_says(
    tmp_path: Path, given: int | None, ran: int, resident: int, jobs: int
) -> None:
    options = Options(mode=Mode.CONFIRM, jobs=given)
    part, context = suite(tmp_path, options)
    part.recording.first["rss_bytes"] = resident

    assert jobs_of(options, replace(context, jobs=ran), [part]) == jobs


def answering(*, then: BaseException | None = None) -> Callable[..., None]:
    """A replay that says that each test failed, and then may have a fault."""

    def replay(tasks: Iterable[Task], *_args: object, outcome: Outcome, **_options: object) -> None:
        for task in tasks:
            outcome.responses[task.ident] = Response(ident=task.ident, failure="it failed", ended=True)
        if then is not None:
            raise then

    return replay


def fault(*_args: object, **_options: object) -> None:
    raise ZeroDivisionError("a fault of ours")


@pytest.mark.parametrize(
    ("step", "doing"),
    [
        ("heard_again", "hearing after others"),
        ("followed", "following native code"),
        ("credited", "crediting"),
        ("with_known", "comparing with known leaks"),
        ("decided", "judging what was screened"),
    ],
)
def test_a_pass_with_a_fault_costs_itself_alone_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, doing: str
) -> None:
    options = Options(mode=Mode.CONFIRM)
    part, context = suite(tmp_path, options)
    monkeypatch.setattr("leaktrace.confirm.passes.replay", answering())
    monkeypatch.setattr(f"leaktrace.confirm.steps.{step}", fault)

    found = confirm([part], options, context)

    assert [(case.suspect.name, case.verdict) for case in found.cases] == [("t.py::test_a", Verdict.UNREPLAYABLE)]
    assert (found.left_out, [suspect.name for suspect in found.suspects]) == ((), ["t.py::test_a"])
    assert found.warnings == (f"{doing} ended early: ZeroDivisionError: a fault of ours",)


def test_what_was_answered_before_a_fault_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(mode=Mode.CONFIRM)
    part, context = suite(tmp_path, options)
    monkeypatch.setattr("leaktrace.confirm.passes.replay", answering(then=RuntimeError("boom")))

    found = confirm([part], options, context)

    assert [case.suspect.name for case in found.cases] == ["t.py::test_a"]
    assert (found.left_out, found.warnings) == ((), ("replaying ended early: RuntimeError: boom",))


def test_what_was_not_answered_before_a_fault_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(mode=Mode.CONFIRM)
    part, context = suite(tmp_path, options)
    monkeypatch.setattr("leaktrace.confirm.passes.replay", fault)

    found = confirm([part], options, context)

    assert (found.cases, found.left_out) == ((), ("t.py::test_a",))
    assert found.warnings == ("replaying ended early: ZeroDivisionError: a fault of ours",)


def test_a_hunt_whose_screening_has_a_fault_judges_what_the_watch_saw_and_leaves_out_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(mode=Mode.HUNT)
    part, context = suite(tmp_path, options)
    monkeypatch.setattr("leaktrace.confirm.passes.replay", answering())
    monkeypatch.setattr("leaktrace.confirm.steps.screened", fault)

    found = confirm([part], options, context)

    assert [case.suspect.name for case in found.cases] == ["t.py::test_a"]
    assert found.left_out == ("t.py::test_a",)
    assert found.warnings == ("screening ended early: ZeroDivisionError: a fault of ours",)
