"""A hunt's bookkeeping: which tests are screened, in which order, and what follows from what was found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pytest

from builders import Row, make_recording, make_response, make_suspect
from leaktrace.confirm.plan import soonest_first
from leaktrace.confirm.screening import (
    HEAVY_BYTES,
    Grown,
    Screened,
    decided,
    hunted,
    screened,
    screenings,
    variants_last,
)
from leaktrace.recording.model import Recording
from leaktrace.replay.protocol import Response, Task
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.model import Ruling, Verdict


def recording(**outcomes: str) -> Recording:
    rows = {f"t.py::{name}": Row(outcome=outcome, duration_s=2.0) for name, outcome in outcomes.items()}
    return make_recording(rows.items(), worker="gw1")


def suspect(name: str, **changes: Any) -> Suspect:
    return make_suspect(f"t.py::{name}", **{"counter": "blocks", "grew_by": 1, "duration_s": 0.1, **changes})


def tasks_of(found: Recording, left_out: Collection[str] = (), suspects: Sequence[Suspect] = ()) -> list[Task]:
    paths = {nodeid: f"/{nodeid.partition('::')[0]}" for nodeid in found.nodeids}
    return screenings(found, paths, left_out=left_out, suspects=suspects, first=7)


def names(tasks: Iterable[Task]) -> list[str]:
    return [task.targets[0].tail for task in tasks]


def grown(name: str, verdict: Verdict = Verdict.LEAK, counter: str = "refs", **changes: Any) -> Grown:
    ruling = Ruling(verdict=verdict, reason="grew by 2 references a run", counter=counter)
    return Grown(
        nodeid=f"t.py::{name}", worker="main", duration_s=0.01, accused={"memory": ruling}, rates={}, **changes
    )


def test_every_test_that_passed_is_screened_and_no_other() -> None:
    found = recording(test_a="passed", test_b="failed", test_c="skipped", test_d="xfailed", test_e="passed")

    tasks = tasks_of(found, left_out={"t.py::test_e"})

    assert names(tasks) == ["test_a"]
    assert [(task.ident, task.screening, task.duration_s) for task in tasks] == [(7, True, 2.0)]


def test_a_heavy_test_is_not_screened_since_it_is_heard_in_a_process_of_its_own_anyway() -> None:
    found = recording(test_a="passed", test_heavy="passed")

    assert names(tasks_of(found, suspects=[suspect("test_heavy", grew_by=HEAVY_BYTES + 1)])) == ["test_a"]


def test_the_tests_of_a_file_stay_together() -> None:
    found = make_recording([("t.py::test_a", 0), ("other.py::test_c", 0), ("t.py::test_b", 0)])

    assert names(tasks_of(found)) == ["test_a", "test_b", "test_c"]


def test_with_a_budget_one_variant_of_each_function_comes_before_the_others() -> None:
    outcomes = {"test_a[1]": "passed", "test_a[2]": "passed", "test_b": "passed"}

    assert names(variants_last(tasks_of(recording(**outcomes)))) == ["test_a[1]", "test_b", "test_a[2]"]


def test_one_variant_of_each_function_is_replayed_before_the_others_and_slow_suspects_last() -> None:
    suspects = [suspect("test_a[1]"), suspect("test_a[2]"), suspect("test_slow", duration_s=2.0), suspect("test_b")]
    tasks = [Task(ident=number, targets=()) for number in range(4)]

    assert [task.ident for task in soonest_first(tasks, suspects)] == [0, 3, 1, 2]


def test_what_no_worker_came_to_is_left_out_and_what_ended_without_a_word_has_failed() -> None:
    clean, failed, mute, never = tasks_of(recording(test_a="passed", test_b="passed", test_c="passed", test_d="passed"))
    responses = {
        clean.ident: Response(ident=clean.ident, screened="clean", ended=True),
        failed.ident: Response(ident=failed.ident, failure="run 2: call failed: assert 0", ended=True),
        mute.ident: Response(ident=mute.ident),
    }

    found = screened([(task, "gw1") for task in (clean, failed, mute, never)], responses)

    assert found.clean == {"t.py::test_a"}
    assert found.failed == {
        "t.py::test_b": ("gw1", "run 2: call failed: assert 0"),
        "t.py::test_c": ("gw1", "its worker ended without a word"),
    }
    assert found.left_out == ("t.py::test_d",)


def test_readings_of_a_test_that_grew_become_a_suspect_with_its_rate() -> None:
    (task,) = tasks_of(recording(test_a="passed"))
    heap = [1000 + 96 * number for number in range(20)]
    response = make_response(*heap, ident=task.ident, spent="runs", screened="grown", ended=True)

    (found,) = hunted(screened([(task, "gw1")], {task.ident: response}))

    assert (found.name, found.kind, found.counter, found.worker) == ("t.py::test_a", "memory", "heap_bytes", "gw1")
    assert found.grew_by == pytest.approx(96)


def test_the_steepest_is_told_first_and_what_failed_when_it_was_run_again_last() -> None:
    found = Screened(
        grown={"t.py::test_a": grown("test_a")}, failed={"t.py::test_b": ("main", "run 1: call failed: assert 0")}
    )

    assert [(each.name, each.why) for each in hunted(found)] == [
        ("t.py::test_a", "screened, it grew by 2 references a run"),
        ("t.py::test_b", "not repeatable: run 1: call failed: assert 0"),
    ]


def test_what_grew_in_the_suite_and_not_when_it_was_run_again_is_one_time() -> None:
    found = Screened(clean=frozenset({"t.py::test_a"}))
    suspects = [suspect("test_a"), suspect("test_a", kind="temp_files"), suspect("test_b")]

    cases = decided(suspects, found, limit_bytes=1)

    assert {number: case.verdict for number, case in cases.items()} == {0: Verdict.ONE_TIME}


def test_references_to_an_installed_class_are_steady_without_a_closer_look() -> None:
    found = Screened(grown={"t.py::test_a": grown("test_a", harmless="brotli.Compressor")})

    (case,) = decided(hunted(found), found, limit_bytes=1).values()

    assert case.verdict is Verdict.STEADY
    assert "references to class brotli.Compressor" in case.reason


def test_growth_that_wavers_is_unclear_and_steady_growth_is_not() -> None:
    found = Screened(grown={"wavers": grown("wavers", Verdict.UNDECIDED), "grows": grown("grows")})

    assert found.unclear() == {"t.py::wavers"}
