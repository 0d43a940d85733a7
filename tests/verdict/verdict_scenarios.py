"""Made-up counters, run by run, and the loop of a replay child that has them judged; shared with `bench/verdicts.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp
from random import Random
from typing import TypeAlias

from builders import make_record
from leaktrace.probes.model import BLOCKS, Counter
from leaktrace.verdict.judge import judge
from leaktrace.verdict.model import Ruling, Verdict
from leaktrace.verdict.rules import Rules


MOST_RUNS = 400

Levels: TypeAlias = "list[int]"
"""The level of a counter before the first run and after each run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A kind of counter.

    Attributes:
        name: what it is, in the published table.
        make: its levels, from a source of chance.
        leaks: the truth.
        counter: what is counted.
    """

    name: str
    make: Callable[[Random], Levels]
    leaks: bool = False
    counter: Counter = BLOCKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of one play of a scenario."""

    ruling: Ruling
    runs: int
    looks: int


def play(
    levels: Sequence[int],
    *,
    affordable: int = MOST_RUNS,
    counter: Counter = BLOCKS,
    warmups: int = 3,
    batch_runs: int = 3,
    rules: Rules | None = None,
) -> Played:
    """Run, read and judge as a replay child does, until the judge has enough or the runs are spent."""
    values = list(levels[: warmups + 1])
    runs, wanted, looks = warmups, 1, 0
    while True:
        while wanted and runs + batch_runs <= affordable:
            runs += batch_runs
            wanted -= 1
            values.append(levels[runs])
        spent = "time" if wanted else None
        record = make_record((counter, values), warmups=warmups, batch_runs=batch_runs, spent=spent)
        ruling = judge(record, rules)
        looks += 1
        if not ruling.more:
            return Played(ruling=ruling, runs=runs, looks=looks)
        assert spent is None, "a ruling on spent runs must be final"
        wanted = ruling.more


def from_steps(steps: Sequence[float], first: int = 40) -> Levels:
    """Levels from what each run adds, rounded down; the first run also loads and compiles `first` of its own."""
    return [1000, *(1000 + first + int(total + 1e-9) for total in accumulate(steps))]


def every(value: float) -> Levels:
    return from_steps([value] * MOST_RUNS)


def noisy(levels: Levels, chance: Random, swing: int = 3) -> Levels:
    return [level + chance.randint(-swing, swing) for level in levels]


def clean(chance: Random) -> Levels:
    return from_steps([0] * MOST_RUNS, first=0)


def first_run_only(chance: Random) -> Levels:
    return from_steps([0] * MOST_RUNS, first=chance.randint(9, 50_000))


def late_step(chance: Random) -> Levels:
    steps = [0] * MOST_RUNS
    steps[chance.randint(4, 30)] = chance.randint(1, 5000)
    return from_steps(steps)


def two_late_steps(chance: Random) -> Levels:
    steps = [0] * MOST_RUNS
    for at in chance.sample(range(4, 60), 2):
        steps[at] = chance.randint(1, 500)
    return from_steps(steps)


def linear_fade(chance: Random) -> Levels:
    height = chance.uniform(2, 60)
    return from_steps([max(0.0, height * (1 - run / 100)) for run in range(MOST_RUNS)])


def exponential_fade(chance: Random) -> Levels:
    height, runs = chance.uniform(2, 60), chance.uniform(3, 60)
    return from_steps([height * exp(-run / runs) for run in range(MOST_RUNS)])


def random_fade(chance: Random) -> Levels:
    """Each run adds the keys that it is the first to meet: 400 keys, a few drawn by each run."""
    drawn, known = chance.randint(2, 12), 0
    steps = []
    for _ in range(MOST_RUNS):
        new = sum(chance.random() > known / 300 for _ in range(drawn))
        known += new
        steps.append(new)
    return from_steps(steps)


def harmonic_fade(chance: Random) -> Levels:
    """Growth that slows for ever and never stops, 1/t: no rate to call a leak by."""
    height = chance.uniform(60, 600)
    return from_steps([height / (run + 5) for run in range(MOST_RUNS)])


def capsys_fade(chance: Random) -> Levels:
    return from_steps([max(0, 7 - run // 3) for run in range(MOST_RUNS)])


def filling(size: int) -> Callable[[Random], Levels]:
    def make(chance: Random) -> Levels:
        per_entry = chance.randint(1, 40)
        return from_steps([per_entry if run < size else 0 for run in range(MOST_RUNS)])

    return make


def filling_then_evicting(chance: Random) -> Levels:
    levels = filling(chance.randint(30, 100))(chance)
    return noisy(levels, chance, 2)


def filling_unevenly(chance: Random) -> Levels:
    """A cache of nearly as many entries as runs are followed, under swings that are small beside an entry."""
    size, per_entry = chance.randint(100, 130), chance.randint(10, 40)
    steps = [per_entry + chance.randint(-3, 3) if run < size else 0 for run in range(MOST_RUNS)]
    return noisy(from_steps(steps), chance, 4)


def sawtooth(chance: Random) -> Levels:
    period, per_run = chance.randint(10, 110), chance.randint(1, 90)
    return [1000 + (run % period) * per_run for run in range(MOST_RUNS + 1)]


def leak(chance: Random) -> Levels:
    return every(chance.choice((1, 2, 5, 31, 300)))


def leak_after_warmup(chance: Random) -> Levels:
    """A leak behind a fade: the leaky `to_json` of pandas, 300 blocks a run behind 38 that fade."""
    return from_steps([300 + 38 * exp(-run / 60) for run in range(MOST_RUNS)])


def periodic(period: int) -> Callable[[Random], Levels]:
    def make(chance: Random) -> Levels:
        phase = chance.randrange(period)
        return from_steps([int(run % period == phase) for run in range(MOST_RUNS)])

    return make


def by_chance(chance: Random) -> Levels:
    return from_steps([int(chance.random() < 0.25) for _ in range(MOST_RUNS)])


def growing_list(chance: Random) -> Levels:
    """Bytes of a list that is appended to once a run, from CPython's rule for growing."""
    held, size = [], chance.randint(0, 8)
    for _ in range(MOST_RUNS + 1):
        held.append(size)
        size += 1
    allocated, levels = 0, []
    for size in held:
        if size > allocated:
            allocated = (size + (size >> 3) + 6) & ~3
        levels.append(10_000 + 8 * allocated)
    return levels


def growing_dict(chance: Random) -> Levels:
    """Bytes of a dict that gains one entry a run: its table doubles when two thirds are used."""
    levels, slots, start = [], 8, chance.randint(0, 4)
    for size in range(start, start + MOST_RUNS + 1):
        while size > slots * 2 // 3:
            slots *= 2
        levels.append(10_000 + 25 * slots)
    return levels


def noisy_leak(chance: Random) -> Levels:
    return noisy(every(1), chance)


def noisy_leak_of_quarter(chance: Random) -> Levels:
    return noisy(every(0.25), chance)


def clean_noise(chance: Random) -> Levels:
    return noisy(every(0), chance)


def negative_drift(chance: Random) -> Levels:
    return [100_000 + 40 - 2 * run for run in range(MOST_RUNS + 1)]


def two_speeds(chance: Random) -> Levels:
    switch, fast, slow = chance.randint(10, 60), chance.randint(20, 100), chance.randint(1, 10)
    return from_steps([fast if run < switch else slow for run in range(MOST_RUNS)])


SCENARIOS = (
    Scenario(name="clean, exact", make=clean),
    Scenario(name="grows in the first run only", make=first_run_only),
    Scenario(name="clean, noise ±3", make=clean_noise),
    Scenario(name="one late step", make=late_step),
    Scenario(name="two late steps", make=two_late_steps),
    Scenario(name="fades out over 100 runs, linearly", make=linear_fade),
    Scenario(name="fades out, exponentially (3 to 60 runs)", make=exponential_fade),
    Scenario(name="fades out by chance (300 keys drawn at random)", make=random_fade),
    Scenario(name="fades as 1/t, for ever", make=harmonic_fade),
    Scenario(name="fades from 7 to 0 in 21 runs (`capsys`)", make=capsys_fade),
    Scenario(name="cache of 30 filling, 1 a run", make=filling(30)),
    Scenario(name="cache of 128 filling, 1 a run", make=filling(128)),
    Scenario(name="cache of 10,000 filling, 1 a run", make=filling(10_000)),
    Scenario(name="cache of 30 to 100 filling, then evicting ±2", make=filling_then_evicting),
    Scenario(name="cache of 100 to 130 filling, 10 or more a run, ±4", make=filling_unevenly),
    Scenario(name="sawtooth of 10 to 110 runs", make=sawtooth),
    Scenario(name="negative drift", make=negative_drift),
    Scenario(name="leak, 1 or more a run", make=leak, leaks=True),
    Scenario(name="leak of 300 a run behind a fade", make=leak_after_warmup, leaks=True),
    Scenario(name="leak, 1 per 2 runs", make=periodic(2), leaks=True),
    Scenario(name="leak, 1 per 4 runs", make=periodic(4), leaks=True),
    Scenario(name="leak, 1 in 4 runs by chance", make=by_chance, leaks=True),
    Scenario(name="list of one more a run", make=growing_list, leaks=True),
    Scenario(name="dict of one more a run", make=growing_dict, leaks=True),
    Scenario(name="leak, 1 a run with noise ±3", make=noisy_leak, leaks=True),
    Scenario(name="leak, 1 per 4 runs with noise ±3", make=noisy_leak_of_quarter, leaks=True),
    Scenario(name="two speeds, the later one steady", make=two_speeds, leaks=True),
)


def rates(scenario: Scenario, *, affordable: int, seeds: int) -> dict[Verdict, float]:
    """The share of each verdict over `seeds` plays."""
    verdicts = [
        play(scenario.make(Random(seed)), affordable=affordable, counter=scenario.counter).ruling.verdict
        for seed in range(seeds)
    ]
    return {verdict: verdicts.count(verdict) / seeds for verdict in Verdict if verdict in verdicts}
