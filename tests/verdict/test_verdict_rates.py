"""The published error rates of the judge hold."""

from __future__ import annotations

import pytest

from leaktrace.verdict.model import Verdict
from verdict.verdict_scenarios import SCENARIOS, rates


SEEDS = 60
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
NEVER_A_LEAK = [
    "clean, exact",
    "grows in the first run only",
    "clean, noise ±3",
    "one late step",
    "two late steps",
    "fades out over 100 runs, linearly",
    "fades out, exponentially (3 to 60 runs)",
    "fades as 1/t, for ever",
    "fades from 7 to 0 in 21 runs (`capsys`)",
    "cache of 30 filling, 1 a run",
    "cache of 128 filling, 1 a run",
    "cache of 30 to 100 filling, then evicting ±2",
    "cache of 100 to 130 filling, 10 or more a run, ±4",
    "sawtooth of 10 to 110 runs",
    "negative drift",
]
ALWAYS_A_LEAK = [
    "leak, 1 or more a run",
    "leak of 300 a run behind a fade",
    "leak, 1 per 2 runs",
    "leak, 1 per 4 runs",
    "leak, 1 a run with noise ±3",
    "two speeds, the later one steady",
]


@pytest.mark.parametrize("affordable", [150, 400])
@pytest.mark.parametrize("name", NEVER_A_LEAK)
def test_what_ends_is_never_called_a_leak_if_150_runs_can_be_had(name: str, affordable: int) -> None:
    assert Verdict.LEAK not in rates(BY_NAME[name], affordable=affordable, seeds=SEEDS)


@pytest.mark.parametrize("name", ALWAYS_A_LEAK)
def test_what_goes_on_is_always_called_a_leak(name: str) -> None:
    assert rates(BY_NAME[name], affordable=400, seeds=SEEDS) == {Verdict.LEAK: 1.0}


EXACT_LEAKS = ["leak, 1 or more a run", "leak, 1 per 2 runs", "leak, 1 per 4 runs"]


@pytest.mark.parametrize("affordable", [75, 150])
@pytest.mark.parametrize("name", EXACT_LEAKS)
def test_exact_leaks_are_found_in_seventy_five_runs(name: str, affordable: int) -> None:
    assert rates(BY_NAME[name], affordable=affordable, seeds=SEEDS) == {Verdict.LEAK: 1.0}


@pytest.mark.parametrize("name", EXACT_LEAKS)
def test_forty_runs_do_not_tell_a_small_leak_from_a_cache_that_fills(name: str) -> None:
    assert rates(BY_NAME[name], affordable=40, seeds=SEEDS) == {Verdict.UNDECIDED: 1.0}


def test_a_dict_being_filled_is_a_leak_in_the_long_run() -> None:
    assert rates(BY_NAME["dict of one more a run"], affordable=400, seeds=SEEDS) == {Verdict.LEAK: 1.0}


@pytest.mark.parametrize("affordable", [12, 40])
def test_clean_and_one_time_growth_is_acquitted_on_the_smallest_budget(affordable: int) -> None:
    assert rates(BY_NAME["clean, exact"], affordable=affordable, seeds=SEEDS) == {Verdict.STEADY: 1.0}
    assert rates(BY_NAME["grows in the first run only"], affordable=affordable, seeds=5) == {Verdict.ONE_TIME: 1.0}


def test_a_cache_beyond_reach_looks_like_a_leak() -> None:
    """The published limit of statistics: only the holder acquits it."""
    assert rates(BY_NAME["cache of 10,000 filling, 1 a run"], affordable=400, seeds=5) == {Verdict.LEAK: 1.0}
