"""The two statistics, against counting by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import pytest

from leaktrace.verdict.statistics import mann_kendall, theil_sen


@pytest.mark.parametrize(("readings", "chance"), [(4, 1 / 24), (5, 1 / 120), (6, 1 / 720), (8, 1 / 40320)])
def test_a_perfect_rise_is_one_order_in_all(readings: int, chance: float) -> None:
    assert mann_kendall(range(readings)) == pytest.approx(chance)


def test_the_exact_chance_is_the_share_of_orders_that_rise_as_clearly() -> None:
    def score(values: Sequence[int]) -> int:
        return sum((b > a) - (b < a) for a, b in combinations(values, 2))

    orders = list(permutations(range(5)))
    for values in orders[::7]:
        as_clear = sum(score(order) >= score(values) for order in orders)
        assert mann_kendall(values) == pytest.approx(as_clear / len(orders))


def test_the_approximation_continues_the_exact_chance() -> None:
    mild = [0, 2, 1, 4, 3, 6, 5, 8, 7, 9]
    assert mann_kendall(mild) == pytest.approx(mann_kendall([*mild[:-1], 8.5]), abs=0.02)
    assert mann_kendall(list(range(11))) < 1e-4


def test_a_flat_or_falling_series_does_not_rise() -> None:
    assert mann_kendall([5] * 20) == 1.0
    assert mann_kendall([5]) == 1.0
    assert mann_kendall(list(range(20, 0, -1))) > 0.999


def test_the_slope_of_a_line_is_exact_and_its_interval_empty() -> None:
    rate = theil_sen([0, 3, 6, 9], [10, 16, 22, 28])
    assert (rate.low, rate.estimate, rate.high) == (2, 2, 2)


def test_one_wild_reading_does_not_move_the_slope() -> None:
    values = [2 * run for run in range(20)]
    values[7] += 1_000_000
    assert theil_sen(range(20), values).estimate == 2


def test_the_interval_holds_the_slope_and_is_not_wider_than_all_slopes() -> None:
    values = [0, 3, 1, 6, 4, 9, 7, 12, 10, 15]
    rate = theil_sen(range(10), values)
    assert rate.low < rate.estimate < rate.high
    assert rate.low > -2
    assert rate.high < 5
