"""What a bisection remembers of earlier calls, and what makes it forget."""

from __future__ import annotations

import os

import pytest

from leaktrace.bisection.trial_cache import Trial, Trials, kept_trials
from leaktrace.replay.protocol import Settings, Target


TEST = Target(nodeid="test_a.py::test_late", path="", tail="test_late")
EARLY = Target(nodeid="test_a.py::test_early", path="", tail="test_early")
SEEN = Trial(symptoms={"memory": "grew by 3 MB a run"})


@pytest.fixture
def ask(tmp_path):
    """The kept trials of a small suite, under conditions that may be changed."""
    code = tmp_path / "code"
    (code / ".hidden").mkdir(parents=True)
    (code / "shop.py").write_text("PRICE = 1\n")

    def ask(*, limit_bytes=1, fresh=False, **changes):
        given = {"args": (), "cwd": str(code), "sys_path": (), "environ": {}, "interpreter": ("python",), **changes}
        return kept_trials(tmp_path / "kept", TEST, Settings(**given), limit_bytes=limit_bytes, fresh=fresh)

    ask.code = code
    ask.kept = tmp_path / "kept"
    return ask


def test_a_trial_is_known_to_the_next_call_by_what_ran_before_the_test(ask):
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
def test_other_conditions_know_nothing_of_it(ask, changes):
    ask().keep([EARLY], SEEN)

    assert ask(**changes).of([EARLY]) is None


def test_changed_code_knows_nothing_of_it_and_other_files_do_not_matter(ask):
    ask().keep([EARLY], SEEN)
    (ask.code / "notes.txt").write_text("written by a test")
    (ask.code / ".hidden" / "cached.py").write_text("PRICE = 3\n")

    assert ask(environ={"TERM": "dumb"}).of([EARLY]) == SEEN

    (ask.code / "shop.py").write_text("PRICE = 20\n")

    assert ask().of([EARLY]) is None


def test_what_failed_is_tried_again(ask):
    ask().keep([EARLY], Trial(failure="it took too long"))

    assert ask().of([EARLY]) is None


def test_a_torn_line_costs_that_trial_alone(ask):
    ask().keep([], SEEN)
    (file,) = ask.kept.iterdir()
    file.write_bytes(file.read_bytes() + b'{"before": ["x"], "trial": {"sympt')
    ask().keep([EARLY], SEEN)

    assert ask().of([]) == ask().of([EARLY]) == SEEN


@pytest.mark.parametrize(
    "line", ["[]", "7", '{"before": 3}', '{"before": [], "trial": {"symptoms": 4}}', '{"before": [], "case": {}}']
)
def test_a_file_with_anything_in_it_is_read(tmp_path, line):
    file = tmp_path / "trials.jsonl"
    file.write_text(f"{line}\n")

    assert Trials(file).of([]) is None


def test_only_the_newest_files_are_kept(ask):
    for number in range(25):
        ask(limit_bytes=number).keep([], SEEN)
        for file in ask.kept.iterdir():
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 10))

    ask(limit_bytes=24)

    assert len(list(ask.kept.iterdir())) == 20
    assert ask(limit_bytes=24).of([]) == SEEN
