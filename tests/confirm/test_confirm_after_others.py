"""Request-dependent tests: heard again after those that ran before them, or led to the command that looks further."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import Row, make_case, make_holder, make_recording, make_suspect
from leaktrace.casebook.model import Case
from leaktrace.confirm.after_others import CHEAP_S, MOST, Replayed, bisect_command, heard_again, is_steady_alone
from leaktrace.confirm.memray import followed
from leaktrace.confirm.passes import Deadline, Passes
from leaktrace.confirm.state import credited
from leaktrace.explain.model import Exhibit
from leaktrace.options import Options
from leaktrace.recording.model import Recording
from leaktrace.replay.base import interpreter
from leaktrace.replay.pool import Pool
from leaktrace.replay.protocol import Response, Settings, Task, targets_of
from leaktrace.verdict.model import Verdict


SUITE = """
    SEEN, KEPT = [], []
    def test_first(): SEEN.append(1)
    def test_grows():
        if SEEN: KEPT.append(bytearray(3_000_000))
    def test_quiet(): pass
    """


def recording(*names: str, took_s: float = 0.01) -> Recording:
    return make_recording((f"test_a.py::{name}", Row(duration_s=took_s)) for name in names)


def replayed(name: str, path: Path | str, **changes: Any) -> Replayed:
    nodeid = f"test_a.py::{name}"
    task = Task(ident=7, targets=targets_of((nodeid,), {nodeid: str(path)}), warmups=1, batch_runs=1, follow_s=1.0)
    steady = {"verdict": Verdict.STEADY, "reason": "steady", "reproduce": "pytest"}
    return Replayed(suspect=make_suspect(nodeid), task=task, case=make_case(nodeid, **{**steady, **changes}))


def hear(tmp_path: Path, found: Recording, *hearings: tuple[str, dict[str, Any]]) -> tuple[list[Case], list[str]]:
    path = tmp_path / "test_a.py"
    path.write_text(textwrap.dedent(SUITE), encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LEAKTRACE_"))}
    settings = Settings(
        args=("-q", "--leaktrace"),
        cwd=str(tmp_path),
        sys_path=tuple(sys.path),
        environ={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "leaktrace.plugin"},
        interpreter=interpreter(),
    )
    with Pool(settings, tmp_path / "replay") as pool:
        passes = Passes(pool, Options(timeout_s=60.0), Deadline(None), lambda *_told: None)
        heard = heard_again(
            [replayed(name, path, **changes) for name, changes in hearings],
            {"main": found},
            lambda again: passes.run("hearing after others", again, kinds=("memory",)).responses,
            paths=dict.fromkeys(found.nodeids, str(path)),
            args=settings.args,
            limit_bytes=10_000_000,
            warn=passes.warn,
        )
    return [each.case for each in heard], passes.warnings


def test_a_test_that_leaks_after_those_before_it_is_a_leak_and_one_that_does_not_stays_as_it_was(
    tmp_path: Path,
) -> None:
    found = recording("test_first", "test_grows", "test_quiet")

    (grows, quiet), warnings = hear(tmp_path, found, ("test_grows", {}), ("test_quiet", {}))

    assert warnings == []
    assert (grows.verdict, grows.after) == (Verdict.LEAK, ("test_a.py::test_first",))
    assert grows.exhibit.holder is not None
    assert grows.exhibit.holder.name == "test_a.KEPT"
    assert grows.reproduce == "leaktrace bisect test_a.py::test_grows -- -q"
    assert (quiet.verdict, quiet.reason, quiet.after) == (Verdict.STEADY, "steady", ())
    assert quiet.reproduce == "leaktrace bisect test_a.py::test_quiet -- -q"


def test_nothing_is_started_for_tests_that_came_first_or_after_a_long_suite_or_were_judged(tmp_path: Path) -> None:
    slow = recording("test_first", "test_grows", took_s=CHEAP_S + 1)
    (tmp_path / "replay").write_text("no folder can be made here", encoding="utf-8")

    (first, late, leak, group), warnings = hear(
        tmp_path,
        slow,
        ("test_first", {}),
        ("test_grows", {}),
        ("test_grows", {"verdict": Verdict.LEAK}),
        ("test_grows", {"subject": "group"}),
    )

    assert [case.verdict for case in (first, late, leak, group)] == [
        Verdict.STEADY,
        Verdict.STEADY,
        Verdict.LEAK,
        Verdict.STEADY,
    ]
    [warning] = warnings
    assert "1 could not be run again after those before, which take over 10 s" in warning
    assert late.reproduce.startswith("leaktrace bisect test_a.py::test_grows")
    assert leak.reproduce == group.reproduce == "pytest"


def test_if_no_child_can_be_started_the_first_hearing_stands(tmp_path: Path) -> None:
    (tmp_path / "replay").write_text("no folder can be made here", encoding="utf-8")

    [case], warnings = hear(tmp_path, recording("test_first", "test_grows"), ("test_grows", {}))

    assert case.verdict is Verdict.STEADY
    [warning] = warnings
    assert warning.startswith("hearing after others ended early: no replay child could be started")
    assert Path(tmp_path / "replay").is_file()


def test_the_command_takes_over_what_pytest_was_given_beside_our_own_options() -> None:
    assert bisect_command("a.py::b[c d]", ("--leaktrace-hunt", "-p", "no:randomly", "tests", "a.py::b[c d]")) == (
        "leaktrace bisect 'a.py::b[c d]' -- -p no:randomly tests"
    )
    assert bisect_command("a.py::b", ("--leaktrace", "--no-leaktrace")) == "leaktrace bisect a.py::b"


def test_the_command_masks_passwords_since_it_goes_into_files() -> None:
    command = bisect_command("a.py::b", ("--password=hunter2", "--db", "pg://me:hunter2@host", "--token", "hunter2"))

    assert command == "leaktrace bisect a.py::b -- '--password=***' --db 'pg://me:***@host' --token '***'"


def test_growth_that_was_shown_again_and_harms_nobody_is_not_heard_again() -> None:
    holder = make_holder("references to class brotli.Compressor", kind="shared-references")
    alone, harmless = replayed("test_grows", "a"), replayed("test_grows", "a", exhibit=Exhibit(holder=holder))

    assert is_steady_alone(alone.case)
    assert not is_steady_alone(harmless.case)


def test_of_more_steady_suspects_than_are_heard_again_the_number_and_the_reason_are_told(tmp_path: Path) -> None:
    names = [f"test_{number}" for number in range(MOST + 1)]
    warnings: list[str] = []
    asked: list[Task] = []

    def ask(tasks: Sequence[Task]) -> dict[int, Response]:
        asked.extend(tasks)
        return {}

    found = recording("test_first", *names)

    heard_again(
        [replayed(name, tmp_path / "test_a.py") for name in names],
        {"main": found},
        ask,
        paths=dict.fromkeys(found.nodeids, str(tmp_path / "test_a.py")),
        args=(),
        limit_bytes=10_000_000,
        warn=warnings.append,
    )

    assert len(asked) == MOST
    [warning] = warnings
    assert "1 could not be run again after those before, since 4 others were" in warning


def test_of_more_native_leaks_than_are_followed_the_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaktrace.confirm.memray.has_memray", lambda: True)
    leak = {"verdict": Verdict.LEAK, "exhibit": Exhibit(native=True)}
    warnings: list[str] = []
    asked: list[Task] = []

    def ask(tasks: Sequence[Task]) -> dict[int, Response]:
        asked.extend(tasks)
        return {}

    cases = followed(
        [replayed(f"test_{number}", "a", **leak) for number in range(7)],
        ask,
        warnings.append,
    )

    assert (len(cases), len(asked)) == (7, 6)
    [warning] = warnings
    assert warning.startswith("1 of 7 native leaks were not followed by memray")


def test_an_answer_about_changed_state_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    suspect = replace(replayed("test_grows", tmp_path).suspect, kind="state")
    warnings: list[str] = []

    found = credited(
        [suspect],
        lambda tasks: {task.ident: Response(ident=task.ident, things=[{"noun": 5}]) for task in tasks},
        {suspect.name: str(tmp_path)},
        warnings.append,
    )

    assert found == (suspect,)
    [warning] = warnings
    assert warning.startswith("which fixture changed what test_a.py::test_grows left could not be read: ")
