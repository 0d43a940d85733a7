"""The two statistics that judging needs: is there a trend (Mann-Kendall), and how steep is it (Theil-Sen)."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from itertools import combinations
from math import ceil, erf, floor, sqrt
from statistics import NormalDist, median

from leaktrace.verdict.model import Rate


EXACT_UP_TO = 10
"""Readings up to which the exact distribution is used; beyond it the normal approximation is within 0.001."""


def mann_kendall(values: Sequence[float]) -> float:
    """The chance that values without a trend rise at least as clearly as these: one-sided p.

    Exact for up to 10 values without ties; otherwise by the normal approximation, corrected for ties and continuity.
    Source: Mann 1945, Kendall 1975. For a falling trend negate the values.
    """
    n = len(values)
    score = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    ties = [count for count in Tally(values).values() if count > 1]
    if n <= EXACT_UP_TO and not ties:
        return _exact_tail(n, score)
    variance = _score_variance(n, ties)
    if variance == 0:
        return 1.0
    return 0.5 * (1 - erf((score - 1) / sqrt(2 * variance)))


def theil_sen(runs: Sequence[float], values: Sequence[float], *, confidence: float = 0.95) -> Rate:
    """The median of the slopes between all pairs of readings, with Sen's interval; half of the readings may be wild.

    Cost is the square of the number of readings.

    Args:
        runs: at how many runs each reading was made, strictly rising.
        values: the readings; at least two.
        confidence: share of all samples whose interval holds the true slope.
    """
    points = list(zip(runs, values, strict=True))
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2))
    ties = [count for count in Tally(values).values() if count > 1]
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * sqrt(_score_variance(len(points), ties))
    below = floor((len(slopes) - reach) / 2) - 1
    above = ceil((len(slopes) + reach) / 2)
    return Rate(
        estimate=median(slopes),
        low=slopes[max(0, below)],
        high=slopes[min(len(slopes) - 1, above)],
    )


def _score_variance(n: int, ties: Sequence[int]) -> float:
    return (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18


def _exact_tail(n: int, score: int) -> float:
    """Share of the orders of `n` different values whose score is at least `score`, by counting inversions."""
    orders = [1]  # orders[k]: how many orders have k inversions
    for size in range(2, n + 1):
        orders = [sum(orders[max(0, k - size + 1) : k + 1]) for k in range(len(orders) + size - 1)]
    most = (n * (n - 1) // 2 - score) // 2
    return sum(orders[: most + 1]) / sum(orders)
