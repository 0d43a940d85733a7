"""Screening in place: what a no-op reads, what is let go, what is followed."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import psutil
import pytest

from leaktrace.hunt import Harmless, is_suspicious, often_rises, rulings_of, screen_of
from leaktrace.probes.model import BLOCKS, HEAP_BYTES, THREADS
from leaktrace.replay.inplace import Patience, Screen
from leaktrace.replay.measure import Grace, Readings, RunFailed, rehearse
from leaktrace.replay.steady import deactivate_opcache


NOOP = """
import gc
from leaktrace.hunt import screen_of
from leaktrace.probes.settle import collect

screen = screen_of()
readings = type(screen._followed)(screen._probes, rows=110)
gc.collect(); gc.freeze()
def noop(): pass
for _ in range(6):
    noop(); collect(); readings.take()
for _ in range(100):
    noop(); collect(); readings.take()
exact = [i for i, probe in enumerate(screen._probes) if probe.counter.exact]
print([readings.value(row, i) - readings.value(row - 1, i) for row in range(6, 106) for i in exact].count(0))
print(100 * len(exact))
"""


@pytest.fixture(autouse=True, scope="module")
def as_in_a_hunt():
    """On 3.10 a function gets a cache at its 1,024th call, ours too; a hunt switches that off."""
    deactivate_opcache()


def test_a_no_op_reads_zero_on_every_exact_counter_in_a_hundred_of_a_hundred_runs():
    told = subprocess.run([sys.executable, "-c", NOOP], capture_output=True, text=True, check=True).stdout.split()

    assert told[0] == told[1]


def test_a_judge_is_shown_flat_steady_and_fading_readings_before_the_first_that_count():
    probe = type("Probe", (), {"counter": BLOCKS})()
    seen = []

    rehearse([probe], lambda acted, spent: seen.append((spent, [row for [row] in map(acted.row, range(acted.taken))])))

    whole = [values for spent, values in seen if spent == "runs"]
    assert {len(values) for spent, values in seen if spent is None} >= {1, len(whole[0])}
    assert [0] * len(whole[0]) in whole
    assert any(steps == {64} for steps in ({b - a for a, b in pairwise(values)} for values in whole))
    assert any(values[1] - values[0] > values[-1] - values[-2] > 0 for values in whole)


def runs_needed(work, *, batch=4):
    """Repeats that let a clean function go, the best of five: another thread may move a counter in a single try.

    `work` is told the number of the repeat.
    """

    def once():
        runs = [0]

        def run():
            work(runs[0])
            runs[0] += 1

        assert screen_of().screen(run, patience=lambda _s: Patience(batch)) is None
        return runs[0]

    return min(once() for _ in range(5))


def test_a_clean_function_is_let_go_after_one_batch():
    assert runs_needed(lambda _number: None) == 5


def test_what_replaces_the_run_before_is_let_go_after_one_batch():
    registry = {}

    def work(_number):
        registry["last"] = type("Made", (), dict.fromkeys(map("name{}".format, range(40))))

    assert runs_needed(work) == 5


def test_a_kept_exception_counts_no_frame_of_ours():
    def work(_number):
        try:
            int("x")
        except ValueError as exc:
            cycle = [exc, sys._getframe()]
            cycle.append(cycle)

    assert runs_needed(work) == 5


def test_a_slow_test_is_let_go_after_one_repeat_that_kept_nothing():
    assert runs_needed(lambda _number: None, batch=1) == 2


def test_what_stops_growing_is_followed_for_two_batches():
    kept = []

    def work(number):
        if number <= 1 + 2 * 4:
            kept.append([object() for _ in range(50)])

    assert runs_needed(work) == 1 + 2 * 4 + 1 + 2 * 3


def test_a_slow_test_is_read_after_each_repeat():
    kept = []

    grown = screen_of().screen(lambda: kept.append([object() for _ in range(50)]), patience=lambda _s: Patience(1, 1))

    assert grown is not None
    assert grown.batch_runs == 1
    assert grown.readings.grown("blocks") >= 50 * (grown.readings.taken - 1)


class Scripted:
    """A counter that reads what it was told to, and the last of it from then on."""

    def __init__(self, counter, *values):
        self.counter, self.values = counter, [*values]

    def read(self):
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


@pytest.mark.parametrize(
    ("heap", "blocks", "followed"),
    [
        ((0, 96, 96, 192), (0,), True),
        ((0, 96, 80, 192), (0,), True),
        ((0, 96, 96, 96), (0,), False),
        ((0, 0, 96, 192), (0,), False),
        ((0, -32, 96, 192), (0,), False),
        ((0, -48, 96, 192), (0,), True),
        ((0, 96, 96, 192), (0, 2, 2, 4), True),
        ((0,), (0, 1, 1, 2), True),
        ((0,), (0, 1, 1, 1), False),
        ((0,), (0, 2, 1, 2), False),
        ((0,), (0, 24, 8, 12), True),
        ((0,), (0, 1, 0, 1), False),
    ],
)
def test_a_small_leak_is_followed_though_one_batch_seems_flat(heap, blocks, followed):
    probes = [Scripted(BLOCKS, *blocks), Scripted(HEAP_BYTES, *heap)]

    grown = Screen(probes, lambda _readings, _batch, _spent: (True, 0)).screen(
        lambda: None, patience=lambda _s: Patience(4)
    )

    assert (grown is not None) is followed


def test_counters_that_rise_in_turn_are_let_go():
    probes = [Scripted(BLOCKS, 0, 2, 2, 2), Scripted(HEAP_BYTES, 0, 0, 96, 96)]

    assert (
        Screen(probes, lambda _readings, _batch, _spent: (True, 0)).screen(
            lambda: None, patience=lambda _s: Patience(1)
        )
        is None
    )


def test_a_slow_test_is_let_go_as_soon_as_no_counter_rises_at_each_reading():
    runs = []
    probes = [Scripted(BLOCKS, 0, 2, 4, 4, 4, 6, 6, 8)]
    screen = Screen(probes, lambda _readings, _batch, _spent: (True, 1))

    assert screen.screen(lambda: runs.append(0), patience=lambda _s: Patience(1, 1, hasty=True)) is None
    assert len(runs) == 6


def test_growth_in_few_batches_is_no_suspicion_and_in_every_second_is_one():
    def read(*values):
        readings = Readings([Scripted(HEAP_BYTES, *values)], rows=len(values))
        for _ in values:
            readings.take()
        return often_rises(readings)

    assert not read(*[5000 + 544 * (run > 8) for run in range(18)])
    assert read(*[5000 + 64 * (run // 2) for run in range(18)])


def test_references_to_installed_classes_are_harmless_and_those_to_the_suites_own_are_not():
    class Own:
        pass

    def explained(cls):
        harmless, kept = Harmless(), []
        harmless.begin()
        kept.extend([cls] * 100)
        harmless.explain(100)
        return harmless.name

    assert explained(psutil.Process) == "psutil.Process"
    assert explained(Own) == ""


class Lingering:
    """A count that has come down by as many as it is given time to wait for."""

    counter = THREADS

    def __init__(self, *, comes_down):
        self.comes_down, self.value, self.waits = comes_down, 0, []

    def read(self):
        return self.value

    def inventory(self):
        return {}

    def settle(self, grace_s, at_most=None):
        self.waits.append(grace_s)
        if self.comes_down:
            self.value = at_most


def test_what_never_comes_down_is_waited_for_ever_shorter_and_what_does_as_long_as_ever():
    def waits(*, comes_down):
        probe, grace = Lingering(comes_down=comes_down), Grace(0.2, 0.0125)
        readings = Readings([probe], rows=10)
        readings.take()
        for _ in range(7):
            probe.value += 1
            readings.take()
            grace.settle(readings, 0)
        return probe.waits

    assert waits(comes_down=False) == [0.2, 0.1, 0.05, 0.025, 0.0125, 0.0125, 0.0125]
    assert waits(comes_down=True) == [0.2] * 7


def runs_followed(heap):
    """Runs after which readings of malloc's bytes are asked no more, and whether they are suspicious then."""
    readings = Readings([Scripted(HEAP_BYTES, *heap)], rows=len(heap))
    for runs in range(len(heap)):
        readings.take()
        ruling = rulings_of(readings, 1, None)["memory"]
        if runs and not ruling.more:
            return runs, is_suspicious(ruling)
    return len(heap), is_suspicious(ruling)


def test_bytes_that_only_waver_are_followed_for_eighteen_runs():
    assert runs_followed([5000 + 16 * (run % 2) for run in range(40)]) == (18, False)


def test_a_leak_of_sixteen_bytes_a_run_that_wavers_stays_suspicious():
    assert runs_followed([5000 + 16 * run - 48 * (run % 3 == 0) for run in range(40)])[1]


@pytest.mark.parametrize("disturbed", [range(1), range(1, 2), range(4), range(3, 4), range(9, 40)])
def test_a_leak_stays_suspicious_though_something_larger_comes_or_goes_once_beside_it(disturbed):
    blocks = [5000 + 3 * batch + 200 * (batch in disturbed) for batch in range(40)]
    assert suspicious_at_last(blocks)


def test_a_counter_that_falls_again_and_again_is_acquitted():
    assert not suspicious_at_last([5000 + 3 * (batch % 5) for batch in range(40)])


def suspicious_at_last(blocks):
    """Whether a count is still suspicious when a screen has seen enough of it."""
    readings = Readings([Scripted(BLOCKS, *blocks)], rows=len(blocks))
    readings.take()
    more = 1
    while more:
        readings.take()
        ruling = rulings_of(readings, 3, None)["memory"]
        more = ruling.more
    return is_suspicious(ruling)


def test_growth_that_goes_on_is_kept_with_its_readings():
    kept = []

    grown = screen_of().screen(lambda: kept.append([object() for _ in range(50)]), patience=lambda _s: Patience(4))

    assert grown is not None
    assert grown.readings.taken > 4
    assert grown.readings.grown("blocks") > 50 * grown.batch_runs


def test_what_is_filled_once_is_let_go():
    filled = {}

    assert (
        screen_of().screen(
            lambda: filled.setdefault("once", [object() for _ in range(500)]), patience=lambda _s: Patience(4)
        )
        is None
    )


def test_a_failing_repeat_is_told():
    def fail():
        raise RunFailed("call failed")

    with pytest.raises(RunFailed, match="call failed"):
        screen_of().screen(fail, patience=lambda _s: Patience(4))


def test_the_collector_is_given_back_as_it_was():
    import gc

    before = gc.get_freeze_count()
    screen = screen_of()
    screen.screen(lambda: None, patience=lambda _s: Patience(3))
    screen.thaw()

    assert gc.get_freeze_count() <= before
