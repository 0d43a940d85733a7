"""What a bisection says, what it takes from a run's journal, and what a response shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import MB, make_response
from leaktrace.bisection.search import FIRST_RUN, Bisected, difference, find_target, predecessors, trial_of
from leaktrace.bisection.trial_cache import Trial
from leaktrace.cli.bisect import lines
from leaktrace.errors import ReplayError
from leaktrace.replay.collection import Collected
from leaktrace.replay.protocol import Target


def target(name: str, file: str = "test_a.py") -> Target:
    return Target(nodeid=f"{file}::{name}", path=f"/suite/{file}", tail=name)


A, B, C, D = (target(name) for name in "abcd")
COLLECTED = Collected(tests=(A, B, C, D), errors=("test_x.py: SyntaxError",))


def journal(folder: Path, run: str, *names: Target, worker: str = "main") -> None:
    path = Path(folder) / "runs" / run / f"{worker}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    first = '{"t": "run", "v": 1, "worker": "gw1", "pid": 1, "counters": ["rss_bytes"], "first": {"rss_bytes": 0}}'
    test = '{"t":"test","id":"%s","o":"passed","us":1,"peak":0,"start":[0],"setup":[0],"call":[0],"teardown":[0]}'
    path.write_text("\n".join([first, *(test % each.nodeid for each in names)]) + "\n", encoding="utf-8")


def before(folder: Path, wanted: Target, **given: Any) -> tuple[list[str], Any]:
    found, order = predecessors(Collected(tests=COLLECTED.tests, folder=str(folder)), wanted, **given)
    return [each.tail for each in found], order


def test_the_order_is_that_of_the_newest_run_in_which_any_test_came_before_it(tmp_path: Path) -> None:
    journal(tmp_path, "20260101-000000-1", A, C)
    journal(tmp_path, "20260102-000000-1", D, target("gone"), B, D, C, worker="gw1")
    journal(tmp_path, "20260102-000000-1", A, worker="gw0")
    journal(tmp_path, "20260103-000000-1", C)
    journal(tmp_path, "notours", B, C)

    assert before(tmp_path, C) == (["d", "b"], "as in the run 20260102-000000-1 (gw1)")
    assert before(tmp_path, A) == ([], "in the order of collection")


def test_without_a_run_or_if_it_is_asked_for_the_order_is_that_of_collection(tmp_path: Path) -> None:
    assert before(tmp_path / "none", C) == (["a", "b"], "in the order of collection")
    journal(tmp_path, "20260102-000000-1", D, C)
    assert before(tmp_path, C, as_collected=True) == (["a", "b"], "in the order of collection")


def test_a_journal_that_is_broken_is_passed_over(tmp_path: Path) -> None:
    journal(tmp_path, "20260101-000000-1", D, C)
    broken = tmp_path / "runs" / "20260102-000000-1"
    broken.mkdir()
    (broken / "main.jsonl").write_text("5\n5\n", encoding="utf-8")

    assert before(tmp_path, C)[0] == ["d"]


def test_a_test_is_found_by_its_node_id_and_by_its_path_from_here() -> None:
    assert find_target(COLLECTED, "test_a.py::c", Path("/elsewhere")) is C
    assert find_target(COLLECTED, "../suite/test_a.py::c", Path("/elsewhere")) is C
    with pytest.raises(ReplayError, match=r"no test test_a.py::z is collected among 4; test_x.py: SyntaxError"):
        find_target(COLLECTED, "test_a.py::z", Path("/suite"))


def test_a_trial_tells_a_leak_on_each_run_and_growth_of_the_first_run_alone() -> None:
    assert set(trial_of(make_response(*range(0, 90 * MB, 9 * MB)), limit_bytes=20 * MB).symptoms) == {"memory"}
    once = trial_of(make_response(0, *[20 * MB] * 12), limit_bytes=10 * MB).symptoms
    assert once == {FIRST_RUN: "its first run keeps 20,000,000 bytes, and those that follow do not"}
    assert trial_of(make_response(*[0] * 12), limit_bytes=10 * MB).symptoms == {}


@pytest.mark.parametrize(
    ("alone", "whole", "name"),
    [
        ((), ("memory",), "memory"),
        ((), (FIRST_RUN,), FIRST_RUN),
        ((), (FIRST_RUN, "threads"), "threads"),
        (("threads",), ("threads", "memory"), "memory"),
        (("memory",), ("memory", FIRST_RUN), None),
        (("memory",), ("memory",), None),
        ((FIRST_RUN,), (FIRST_RUN,), None),
        ((FIRST_RUN,), (FIRST_RUN, "memory"), "memory"),
        (("memory",), (), None),
        ((), (), None),
    ],
)
def test_what_the_others_bring_about_is_what_the_test_does_not_show_alone(
    alone: tuple[str, ...], whole: tuple[str, ...], name: str | None
) -> None:
    assert difference(*(Trial(symptoms=dict.fromkeys(names, "seen")) for names in (alone, whole))) == name


def test_a_trial_that_could_not_be_run_has_no_symptom_but_a_reason() -> None:
    assert trial_of(make_response(0, failure="it crashed"), limit_bytes=1).failure == "it crashed"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            Bisected(outcome="found", before=(B,), symptom="its first run keeps 5 bytes"),
            (
                "test_a.py::d leaks after this test: test_a.py::b Alone it does not; it was looked for among the 3 tests "
                "before it, as given. After them its first run keeps 5 bytes. "
                "To see it: pytest --leaktrace test_a.py::b test_a.py::d"
            ),
        ),
        (
            Bisected(outcome="found", before=(A, B), whole=False, symptom="x"),
            (
                "test_a.py::d leaks after these tests: test_a.py::a test_a.py::b The budget ran out: fewer of them may do; "
                "it was looked for among the 3 tests before it, as given."
            ),
        ),
        (
            Bisected(outcome="gone"),
            "test_a.py::d does not leak, neither alone nor after the 3 tests before it, as given.",
        ),
        (
            Bisected(outcome="failed", symptom="run 1: call failed: assert 0"),
            "test_a.py::d could not be judged: run 1: call failed: assert 0",
        ),
    ],
)
def test_each_end_has_its_words(found: Bisected, said: str) -> None:
    text = " ".join(" ".join(lines(found, D, (A, B, C), "as given")).split())

    assert text.startswith(said)
