"""What a bisection remembers of earlier calls, and what makes it forget."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from leaktrace.bisection.trial_cache import Trial, Trials, kept_trials
from leaktrace.replay.protocol import Settings, Target


TEST = Target(nodeid="test_a.py::test_late", path="", tail="test_late")
EARLY = Target(nodeid="test_a.py::test_early", path="", tail="test_early")
SEEN = Trial(symptoms={"memory": "grew by 3 MB a run"})


class Ask:
    """The kept trials of a small suite, under conditions that may be changed."""

    def __init__(self, path: Path) -> None:
        self.code, self.kept = path / "code", path / "kept"
        (self.code / ".hidden").mkdir(parents=True)
        (self.code / "shop.py").write_text("PRICE = 1\n")

    def __call__(self, *, limit_bytes: int = 1, fresh: bool = False, **changes: Any) -> Trials:
        given: dict[str, Any] = {"args": (), "sys_path": (), "environ": {}, "interpreter": ("python",), **changes}
        settings = Settings(cwd=str(self.code), **given)
        return kept_trials(self.kept, TEST, settings, limit_bytes=limit_bytes, fresh=fresh)


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    return Ask(tmp_path)


def test_a_trial_is_known_to_the_next_call_by_what_ran_before_the_test(ask: Ask) -> None:
    ask().keep([EARLY], SEEN)

    assert ask().of([EARLY]) == SEEN
    assert ask().of([]) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"limit_bytes": 2},
        {"fresh": True},
        {"args": ("-q",)},
        {"interpreter": ("python", "-O")},
        {"environ": {"PYTEST_ADDOPTS": "-x"}},
    ],
)
def test_other_conditions_know_nothing_of_it(ask: Ask, changes: dict[str, Any]) -> None:
    ask().keep([EARLY], SEEN)

    assert ask(**changes).of([EARLY]) is None


def test_changed_code_knows_nothing_of_it_and_other_files_do_not_matter(ask: Ask) -> None:
    ask().keep([EARLY], SEEN)
    (ask.code / "notes.txt").write_text("written by a test")
    (ask.code / ".hidden" / "cached.py").write_text("PRICE = 3\n")

    assert ask(environ={"TERM": "dumb"}).of([EARLY]) == SEEN

    (ask.code / "shop.py").write_text("PRICE = 20\n")

    assert ask().of([EARLY]) is None


def test_what_failed_is_tried_again(ask: Ask) -> None:
    ask().keep([EARLY], Trial(failure="it took too long"))

    assert ask().of([EARLY]) is None


def test_a_torn_line_costs_that_trial_alone(ask: Ask) -> None:
    ask().keep([], SEEN)
    (file,) = ask.kept.iterdir()
    file.write_bytes(file.read_bytes() + b'{"before": ["x"], "trial": {"sympt')
    ask().keep([EARLY], SEEN)

    assert ask().of([]) == ask().of([EARLY]) == SEEN


@pytest.mark.parametrize(
    "line", ["[]", "7", '{"before": 3}', '{"before": [], "trial": {"symptoms": 4}}', '{"before": [], "case": {}}']
)
def test_a_file_with_anything_in_it_is_read(tmp_path: Path, line: str) -> None:
    file = tmp_path / "trials.jsonl"
    file.write_text(f"{line}\n")

    assert Trials(file).of([]) is None


def test_only_the_newest_files_are_kept(ask: Ask) -> None:
    for number in range(25):
        ask(limit_bytes=number).keep([], SEEN)
        for file in ask.kept.iterdir():
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 10))

    ask(limit_bytes=24)

    assert len(list(ask.kept.iterdir())) == 20
    assert ask(limit_bytes=24).of([]) == SEEN
