"""What follows from the readings of one counter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_record
from leaktrace.probes.model import BLOCKS, FDS, HEAP_BYTES, THREADS, Counter
from leaktrace.verdict.judge import judge
from leaktrace.verdict.model import Record, Verdict
from verdict.verdict_scenarios import play


def batches(
    *steps: int,
    warm: Sequence[int] = (0, 0, 0),
    counter: Counter = BLOCKS,
    batch_runs: int = 3,
    spent: str | None = None,
) -> Record:
    """A record whose warm-ups and batches added these amounts."""
    return make_record((counter, levels((*warm, *steps))), warmups=len(warm), batch_runs=batch_runs, spent=spent)


def levels(steps: Iterable[int]) -> list[int]:
    values = [1000]
    for step in steps:
        values.append(values[-1] + step)
    return values


def test_before_the_first_batch_one_is_wanted() -> None:
    assert judge(batches()).more == 1


def test_without_any_batch_nothing_is_decided() -> None:
    ruling = judge(batches(spent="time"))
    assert ruling.verdict is Verdict.UNDECIDED
    assert ruling.more == 0
    assert "3 runs" in ruling.reason


def test_clean_warmups_and_one_clean_batch_are_enough() -> None:
    ruling = judge(batches(0))
    assert (ruling.verdict, ruling.more) == (Verdict.STEADY, 0)


def test_one_batch_of_one_run_is_not_enough() -> None:
    assert judge(batches(0, batch_runs=1, warm=(9, 0, 0))).more == 2


def test_the_first_run_may_grow() -> None:
    ruling = judge(batches(0, warm=(5000, 0, 0)))
    assert (ruling.verdict, ruling.more) == (Verdict.ONE_TIME, 0)
    assert "5,000 blocks in the first run" in ruling.reason


def test_warmups_that_all_grow_ask_for_a_second_clean_batch() -> None:
    assert judge(batches(0, warm=(500, 90, 9))).more == 1
    ruling = judge(batches(0, 0, warm=(500, 90, 9)))
    assert (ruling.verdict, ruling.more) == (Verdict.ONE_TIME, 0)
    assert "599 blocks in the first 3 runs" in ruling.reason


@pytest.mark.parametrize(("counter", "trifle"), [(HEAP_BYTES, 1024), (BLOCKS, 8)])
def test_a_trifle_in_the_first_run_is_steady(counter: Counter, trifle: int) -> None:
    assert judge(batches(0, warm=(trifle, 0, 0), counter=counter)).verdict is Verdict.STEADY
    assert judge(batches(0, warm=(trifle + 1, 0, 0), counter=counter)).verdict is Verdict.ONE_TIME


def test_one_descriptor_is_never_a_trifle() -> None:
    assert judge(batches(0, warm=(1, 0, 0), counter=FDS)).verdict is Verdict.ONE_TIME


def test_one_late_step_is_one_time() -> None:
    ruling = judge(batches(0, 700, 0, 0, 0, 0, 0, warm=(9, 9, 9)))
    assert (ruling.verdict, ruling.more) == (Verdict.ONE_TIME, 0)
    assert "700 blocks up to run 9" in ruling.reason


def test_after_a_late_step_quiet_batches_are_asked_for() -> None:
    assert judge(batches(0, 700, 0, warm=(9, 9, 9))).more >= 1


def test_a_late_step_at_the_end_of_the_time_is_undecided() -> None:
    ruling = judge(batches(0, 0, 700, warm=(9, 9, 9), spent="time"))
    assert ruling.verdict is Verdict.UNDECIDED
    assert "the time was spent" in ruling.reason


def test_growth_that_stops_is_a_cache_with_its_rate_and_length() -> None:
    played = play(levels([31] * 30 + [0] * 370))
    assert played.ruling.verdict is Verdict.CACHE
    assert "31 blocks a run for 30 runs, then stopped" in played.ruling.reason


def test_steady_growth_is_followed_before_it_is_a_leak() -> None:
    played = play(levels([14] * 400))
    assert played.ruling.verdict is Verdict.LEAK
    assert played.runs >= 150
    assert "14 blocks a run in each of the last 49 batches" in played.ruling.reason


def test_looks_are_ever_further_apart() -> None:
    assert play(levels([14] * 400)).looks <= 12


def test_small_growth_that_could_not_be_followed_far_is_undecided_and_says_what_would_tell() -> None:
    ruling = judge(batches(42, 42, 42, spent="memory"))
    assert ruling.verdict is Verdict.UNDECIDED
    assert "in 3 of 3 batches (9 runs); evenly, but 60 runs would tell it from a cache that fills" in ruling.reason


def test_large_growth_that_could_not_be_followed_far_is_a_leak_that_says_so() -> None:
    ruling = judge(batches(330_000, 330_000, 331_000, spent="memory", counter=HEAP_BYTES))
    assert ruling.verdict is Verdict.LEAK
    assert "beyond 12 runs: the memory was spent" in ruling.reason


def test_two_batches_do_not_convict() -> None:
    ruling = judge(batches(42, 42, spent="time"))
    assert ruling.verdict is Verdict.UNDECIDED
    assert "3 batches would tell" in ruling.reason


def test_growth_that_slows_down_does_not_convict() -> None:
    ruling = judge(batches(60, 50, 41, 33, 26, 20, spent="time"))
    assert ruling.verdict is Verdict.UNDECIDED
    assert "150 runs would tell" in ruling.reason


def test_large_even_growth_convicts_after_three_batches() -> None:
    mib = 1024 * 1024
    ruling = judge(batches(15 * mib, 15 * mib + 900, 15 * mib, counter=HEAP_BYTES))
    assert (ruling.verdict, ruling.more) == (Verdict.LEAK, 0)
    assert "5.2 MB of heap a run" in ruling.reason


def test_large_uneven_growth_is_followed() -> None:
    mib = 1024 * 1024
    assert judge(batches(30 * mib, 15 * mib, 7 * mib, counter=HEAP_BYTES)).more > 0


@pytest.mark.parametrize("counter", [FDS, THREADS])
def test_one_more_descriptor_or_thread_a_run_convicts_after_four_batches(counter: Counter) -> None:
    assert judge(batches(3, 3, 3, counter=counter)).more == 1
    ruling = judge(batches(3, 3, 3, 3, counter=counter))
    assert (ruling.verdict, ruling.more) == (Verdict.LEAK, 0)


def test_a_pool_that_fills_is_a_cache() -> None:
    assert play(levels([1] * 10 + [0] * 390), counter=THREADS).ruling.verdict is Verdict.CACHE


def test_falling_counters_are_steady() -> None:
    ruling = play(levels([-40] * 400)).ruling
    assert ruling.verdict is Verdict.STEADY
    assert "fell by" in ruling.reason


def test_a_sawtooth_is_a_cache_not_a_leak() -> None:
    ruling = play([1000 + 86 * (run % 40) for run in range(401)]).ruling
    assert ruling.verdict is Verdict.CACHE
    assert "emptied again" in ruling.reason


def test_the_second_tooth_of_a_long_saw_is_no_leak() -> None:
    assert play([1000 + 86 * (run % 130) for run in range(401)]).ruling.verdict is not Verdict.LEAK


def test_a_leak_under_a_sawtooth_is_a_leak() -> None:
    values = [1000 + 30 * (run % 9) + 5 * run for run in range(401)]
    assert play(values).ruling.verdict is Verdict.LEAK


def test_the_rate_of_a_leak_is_that_of_its_steady_part() -> None:
    ruling = play(levels([80] * 30 + [5] * 370)).ruling
    assert ruling.verdict is Verdict.LEAK
    assert ruling.rates["blocks"].low <= 5 <= ruling.rates["blocks"].high
    assert ruling.rates["blocks"].high < 6


@pytest.mark.parametrize("batch_runs", [1, 2, 3, 5])
@pytest.mark.parametrize("warmups", [0, 1, 3])
@pytest.mark.parametrize("period", [1, 2, 4])
def test_a_leak_is_found_whatever_the_batches(batch_runs: int, warmups: int, period: int) -> None:
    played = play(levels([int(run % period == 0) for run in range(400)]), batch_runs=batch_runs, warmups=warmups)
    assert played.ruling.verdict is Verdict.LEAK


@pytest.mark.parametrize("batch_runs", [1, 2, 3, 5])
@pytest.mark.parametrize("warmups", [0, 1, 3])
def test_a_cache_of_128_is_acquitted_whatever_the_batches(batch_runs: int, warmups: int) -> None:
    played = play(levels([1] * 128 + [0] * 272), batch_runs=batch_runs, warmups=warmups)
    assert played.ruling.verdict is Verdict.CACHE


@settings(max_examples=120, deadline=None, database=None)
@given(
    steps=st.lists(st.integers(-5, 5) | st.integers(-(10**9), 10**9), min_size=0, max_size=40),
    warmups=st.integers(0, 4),
    batch_runs=st.integers(1, 4),
    spent=st.sampled_from(["time", "memory", "runs", None]),
)
def test_every_record_has_a_ruling_and_a_spent_one_is_final(
    steps: list[int], warmups: int, batch_runs: int, spent: str | None
) -> None:
    values = tuple(levels([0] * warmups + steps))
    ruling = judge(make_record((BLOCKS, values), warmups=warmups, batch_runs=batch_runs, spent=spent))
    assert ruling.reason
    assert ruling.more == 0 or spent is None
    if ruling.verdict is Verdict.LEAK:
        assert values[-1] > values[warmups]


@pytest.mark.parametrize("keys", [100, 150, 200])
def test_a_cache_that_fills_ever_more_slowly_is_no_leak_though_the_counter_swings(keys: int) -> None:
    known = (round(keys * (1 - exp(-run / keys))) for run in range(401))
    ruling = play(levels_swinging(known), counter=HEAP_BYTES).ruling

    assert ruling.verdict is not Verdict.LEAK, ruling.reason


@pytest.mark.parametrize("every", [1, 2, 4])
def test_a_leak_that_goes_on_is_one_though_the_counter_swings(every: int) -> None:
    ruling = play(levels_swinging(run // every for run in range(401)), counter=HEAP_BYTES).ruling

    assert ruling.verdict is Verdict.LEAK
    assert "swings do not explain" in ruling.reason


def levels_swinging(kept: Iterable[int]) -> list[int]:
    """112 bytes for each thing kept, and a swing that comes and goes."""
    chance = Random(1)
    return [100_000 + 112 * count + chance.randrange(-200, 200, 16) for count in kept]
