"""What follows where several counters, inexact counters or unread ones are judged together."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from builders import make_record
from leaktrace.probes.model import BLOCKS, FDS, HEAP_BYTES, OBJECTS, REFS, RSS_BYTES, Counter, Unread, Value
from leaktrace.verdict.judge import judge, judge_kinds
from leaktrace.verdict.model import Ruling, Verdict


KIB = 1024
UNREADABLE = Unread(counter="heap_bytes", why="this platform's malloc does not tell")


def flat(batches: int, value: int = 1000) -> list[Value]:
    return [value] * (4 + batches)


def rising(batches: int, per_run: int, value: int = 1000) -> list[int]:
    warm = [value + per_run * run for run in range(4)]
    return warm + [warm[-1] + 3 * per_run * batch for batch in range(1, batches + 1)]


def rss(batches: int, per_run: int, *, swing: int = 128 * KIB, seed: int = 1) -> list[int]:
    chance = Random(seed)
    return [value + chance.randint(-swing, swing) for value in rising(batches, per_run, 50_000 * KIB)]


def test_growth_of_one_counter_convicts_though_others_are_flat() -> None:
    ruling = judge(make_record((HEAP_BYTES, flat(49)), (BLOCKS, rising(49, 2))))
    assert (ruling.verdict, ruling.counter) == (Verdict.LEAK, "blocks")


def test_growth_in_place_convicts_though_no_block_is_added() -> None:
    ruling = judge(make_record((HEAP_BYTES, rising(49, 1000)), (BLOCKS, flat(49))))
    assert (ruling.verdict, ruling.counter) == (Verdict.LEAK, "heap_bytes")


def test_bytes_are_named_before_blocks_and_objects() -> None:
    ruling = judge(make_record((OBJECTS, rising(49, 1)), (BLOCKS, rising(49, 2)), (HEAP_BYTES, rising(49, 64))))
    assert ruling.counter == "heap_bytes"
    assert set(ruling.rates) == {"heap_bytes", "blocks", "objects"}


def emptied(batches: int, per_run: int, *, most: int, value: int = 1000) -> list[int]:
    """A cache that is filled by every run and emptied when it holds `most`."""
    levels, held = [value], 0
    for step in (1, 1, 1, *[3] * batches):
        held = per_run * step if held + per_run * step > most else held + per_run * step
        levels.append(value + held)
    return levels


def test_references_taken_by_what_a_cache_holds_convict_nobody() -> None:
    cache = (HEAP_BYTES, emptied(49, 8000, most=400_000))

    assert judge(make_record(cache, (REFS, rising(49, 15)))).verdict is not Verdict.LEAK
    assert judge(make_record((HEAP_BYTES, flat(49)), (REFS, rising(49, 15)))).verdict is Verdict.LEAK


def test_references_that_a_cache_is_too_small_to_have_taken_convict() -> None:
    cache = (HEAP_BYTES, emptied(49, 8, most=400))

    assert judge(make_record(cache, (REFS, rising(49, 15)))).verdict is Verdict.LEAK


def test_a_clean_heap_and_a_swinging_rss_are_steady_at_once() -> None:
    ruling = judge(make_record((HEAP_BYTES, flat(1)), (RSS_BYTES, rss(1, 0, swing=60 * KIB))))
    assert (ruling.verdict, ruling.more) == (Verdict.STEADY, 0)


def test_rss_alone_far_above_its_noise_is_a_leak_that_says_so() -> None:
    ruling = judge(make_record((HEAP_BYTES, flat(19)), (RSS_BYTES, rss(19, 400 * KIB))))
    assert (ruling.verdict, ruling.counter) == (Verdict.LEAK, "rss_bytes")
    assert "it alone grew" in ruling.reason
    assert ruling.rates["rss_bytes"].low > 350 * KIB


def swinging(batches: int, size: int) -> list[int]:
    """Fills slowly and is emptied at once, again and again."""
    return [1000] * 4 + [1000 + batch % 10 * size for batch in range(batches)]


def test_rss_grows_alone_beside_a_small_cache_that_an_exact_counter_saw() -> None:
    small = (HEAP_BYTES, swinging(39, 500))
    assert judge(make_record(small)).verdict is Verdict.CACHE
    ruling = judge(make_record(small, (RSS_BYTES, rss(39, 400 * KIB))))
    assert (ruling.verdict, ruling.counter) == (Verdict.LEAK, "rss_bytes")


def test_a_cache_as_large_as_what_rss_grew_by_explains_it() -> None:
    filled = [1000] * 4 + [1000 + min(batch, 20) * 1200 * KIB for batch in range(39)]
    assert judge(make_record((HEAP_BYTES, filled), (RSS_BYTES, rss(39, 400 * KIB)))).verdict is Verdict.CACHE


def test_rss_that_seems_to_grow_is_followed() -> None:
    ruling = judge(make_record((HEAP_BYTES, flat(2)), (RSS_BYTES, rss(2, 400 * KIB))))
    assert ruling.more > 0


def test_rss_within_its_noise_never_convicts() -> None:
    for seed in range(50):
        for per_run in (0, 20 * KIB, 40 * KIB):
            ruling = judge(make_record((HEAP_BYTES, flat(19)), (RSS_BYTES, rss(19, per_run, seed=seed))))
            assert ruling.verdict is Verdict.STEADY


def test_one_step_of_rss_does_not_convict() -> None:
    values = [50_000 * KIB] * 10 + [50_000 * KIB + 4_000 * KIB] * 13
    assert judge(make_record((HEAP_BYTES, flat(19)), (RSS_BYTES, values))).verdict is Verdict.STEADY


def test_rss_that_fades_does_not_convict() -> None:
    values = [50_000 * KIB + int(9_000 * KIB * (1 - 0.8**reading)) for reading in range(23)]
    assert judge(make_record((HEAP_BYTES, flat(19)), (RSS_BYTES, values))).verdict is Verdict.STEADY


def test_a_little_rss_growth_is_undecided_when_the_time_is_spent() -> None:
    ruling = judge(make_record((HEAP_BYTES, flat(4)), (RSS_BYTES, rss(4, 400 * KIB)), spent="time"))
    assert ruling.verdict is Verdict.UNDECIDED
    assert "6 batches would tell" in ruling.reason


def test_an_unread_counter_is_named_where_nothing_convicts() -> None:
    ruling = judge(make_record((HEAP_BYTES, [UNREADABLE] * 5), (BLOCKS, flat(1))))
    assert ruling.verdict is Verdict.STEADY
    assert "this platform's malloc does not tell" in ruling.reason


def test_a_counter_with_one_unread_value_does_not_decide() -> None:
    values: list[Value] = [*rising(49, 64)]
    values[9] = UNREADABLE
    ruling = judge(make_record((HEAP_BYTES, values), (BLOCKS, flat(49))))
    assert (ruling.verdict, ruling.counter) == (Verdict.STEADY, "blocks")


def test_without_a_readable_counter_nothing_is_decided() -> None:
    ruling = judge(make_record((HEAP_BYTES, [UNREADABLE] * 5)))
    assert (ruling.verdict, ruling.more) == (Verdict.UNDECIDED, 0)
    assert "heap_bytes could not be read" in ruling.reason
    assert judge(make_record()).verdict is Verdict.UNDECIDED


def test_rss_alone_readable_can_acquit_but_says_what_was_not_read() -> None:
    ruling = judge(make_record((HEAP_BYTES, [UNREADABLE] * 8), (RSS_BYTES, rss(4, 0))))
    assert ruling.verdict is Verdict.STEADY
    assert "noise" in ruling.reason
    assert "heap_bytes could not be read" in ruling.reason


def test_each_kind_has_its_own_ruling() -> None:
    rulings = judge_kinds(make_record((HEAP_BYTES, flat(5)), (OBJECTS, flat(5)), (FDS, rising(5, 1))))
    assert list(rulings) == ["fds", "memory"]
    assert rulings["fds"].verdict is Verdict.LEAK
    assert rulings["memory"].verdict is Verdict.STEADY


def test_a_leaked_descriptor_is_named_before_the_memory_that_it_keeps() -> None:
    ruling = judge(make_record((HEAP_BYTES, rising(5, 64)), (FDS, rising(5, 1))))
    assert (ruling.verdict, ruling.counter, ruling.more) == (Verdict.LEAK, "fds", 0)


def test_a_kind_without_memory_is_judged_by_its_own_unit() -> None:
    gpu = Counter(name="gpu_bytes", unit="bytes", kind="gpu")
    assert judge_kinds(make_record((gpu, rising(3, 4 * 1024 * KIB))))["gpu"].verdict is Verdict.LEAK


def test_the_heaviest_clean_verdict_is_the_one_told() -> None:
    late = [1000, 1500, 1500, 1500, *[1500] * 2]
    ruling = judge(make_record((BLOCKS, flat(2)), (HEAP_BYTES, [value * 100 for value in late])))
    assert (ruling.verdict, ruling.counter) == (Verdict.ONE_TIME, "heap_bytes")


def rested(value: int) -> Ruling:
    """A descriptor a run, as a LEAK reads, and what is left of it after a rest."""
    record = make_record((FDS, rising(49, 1)))
    return judge(replace(record, series={"fds": replace(record.series["fds"], rested=value)}))


def test_growth_that_goes_by_itself_once_the_runs_have_stopped_is_no_leak() -> None:
    ruling = rested(1010)
    assert ruling.verdict is Verdict.CACHE
    assert "of which 140 file descriptors went by itself when the runs had stopped" in ruling.reason


def test_growth_of_which_half_goes_by_itself_is_a_leak_all_the_same() -> None:
    assert rested(1080).verdict is Verdict.LEAK
