"""The questions about a stretch of readings: does it climb, does it fade, is it level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import gcd
from statistics import median

from leaktrace.verdict.rules import Rules
from leaktrace.verdict.series import Curve, steps
from leaktrace.verdict.statistics import mann_kendall


LEAST_NOISY = 12
"""Readings without which a counter that swings is not said to climb: four windows of three."""
DOUBLINGS = 4
QUARTERS = 4
EVEN_RATIO = 0.7
"""Growth of the later half of a noisy counter over that of the earlier: medians of quarters wobble."""
REST = 6
"""Readings at the end without which growth is not said to rest."""
TOO_FEW_TO_TEST = 6
"""Steps below which a fall of the rate cannot be significant, so that its size alone must do."""


def climbs(values: Sequence[int], windows: int) -> bool:
    """Whether the lowest and the highest reading rise from each of `windows` equal windows to the next."""
    parts = split(values, min(windows, len(values)))
    lows, highs = [min(part) for part in parts], [max(part) for part in parts]
    return all(later > earlier for bounds in (lows, highs) for earlier, later in pairwise(bounds))


def fades(curve: Curve, start: int, rules: Rules, *, strict: bool = False) -> bool:
    """Whether a staircase grows more slowly at its end than at batch `start`.

    It does if its last third grew by clearly less than its first, or by so much less, and so surely, that it would end
    within the runs over which growth is followed. One quantum (the greatest common divisor of the steps) is forgiven: a
    leak of 1 per 4 runs leaves 10 in one third and 11 in the next. With `strict`, a difference need not be significant.
    """
    climb = curve.steps[start:]
    third = max(1, len(climb) // 3)
    first, last = sum(climb[:third]), sum(climb[-third:])
    if len(climb) > rules.min_batches:
        last += gcd(*climb)
    if last >= first:
        return False
    led_by = () if start else [step * curve.batch_runs for step in steps(curve.values[1 : curve.warmups + 1])]
    chance = mann_kendall([-step for step in (*led_by, *climb)])
    sure = chance < rules.hint
    limit = rules.steady_ratio if strict or sure or len(climb) < TOO_FEW_TO_TEST else rules.halved_ratio
    ends_in = last * (len(climb) - third) * curve.batch_runs / (first - last)
    return last < limit * first or (sure and ends_in <= rules.follow_runs)


def climbs_through_noise(values: Sequence[int], rules: Rules) -> bool:
    """Whether readings that also fall have a trend that no swing explains, undiminished to the end."""
    if len(values) < LEAST_NOISY or not climbs(values, QUARTERS) or rests(values, rules):
        return False
    levels = [median(part) for part in split(values, QUARTERS)]
    even = levels[3] - levels[1] >= EVEN_RATIO * (levels[2] - levels[0])
    return even and mann_kendall(values) < rules.alpha


def rests(values: Sequence[int], rules: Rules) -> bool:
    """Whether readings that also fall have come to rest: at their end they move by far less than they grew before.

    It takes the last eighth: then a leak of 1 per 4 runs hardly ever seems to rest. Where they swing more widely than
    they grow, nothing rests.
    """
    end = max(REST, len(values) // 8)
    if len(values) <= 2 * end:
        return False
    before = values[: len(values) - end]
    rate = (before[-1] - before[0]) / (len(before) - 1)
    last = values[-end - 1 :]
    return max(last) - min(last) < rules.halved_ratio * rate * end


def amortised(values: Sequence[int], rules: Rules) -> bool:
    """Whether a staircase grows in ever rarer and larger steps that keep its line: a list or a dict being filled.

    Each of the last four doublings of the number of readings must have grown, at a rate that did not halve.
    """
    last = len(values) - 1
    marks = [last >> power for power in range(DOUBLINGS, -1, -1)]
    if marks[0] < 1:  # Too short for four doublings.
        return False
    rates = [(values[end] - values[start]) / (end - start) for start, end in pairwise(marks)]
    return min(rates) > 0 and rates[-1] >= rules.halved_ratio * max(rates)


def is_level(values: Sequence[int], rules: Rules) -> bool:
    """Whether readings that rise and fall come back to where they were: no trend, or one deep fall after a rise."""
    came_back = min(values[len(values) // 2 :]) <= max(values[: max(1, len(values) // 4) + 1])
    return came_back and (mann_kendall(values) >= rules.hint or emptied(values))


def emptied(values: Sequence[int]) -> bool:
    """Whether one batch gave back half of all that there was to give, after as much had been added."""
    reach = max(values) - min(values)
    highest_rise = [value - min(values[: at + 1]) for at, value in enumerate(values)]
    return any(
        before - after >= reach / 2 and rise >= reach / 2
        for (before, after), rise in zip(pairwise(values), highest_rise, strict=False)
    )


def split(values: Sequence[int], parts: int) -> list[Sequence[int]]:
    """`parts` neighbouring stretches of `values`, as equal as can be; the last are the longer ones."""
    marks = [len(values) * part // parts for part in range(parts + 1)]
    return [values[start:end] for start, end in pairwise(marks)]
