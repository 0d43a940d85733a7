from __future__ import annotations

from array import array

import pytest

from shop import pricing


@pytest.fixture
def price_list() -> array[float]:
    """Two million prices, 16 MB."""
    if pricing.kernel() is None:
        pytest.skip("needs a C compiler")
    return array("d", [9.5]) * 2_000_000


def test_a_markdown_lowers_every_price(price_list: array[float]) -> None:
    assert pricing.markdown(price_list, factor=0.5, floor=1.0)
    assert price_list[0] == price_list[-1] == 4.75


def test_a_markdown_stops_at_the_floor(price_list: array[float]) -> None:
    assert not pricing.markdown(price_list, factor=0.5, floor=5.0)
    assert price_list[0] == price_list[-1] == 9.5


def test_a_label_shows_the_name_of_its_article() -> None:
    assert pricing.shelf_labels(["tea", "pot", "cup", "jug", "tin"]) == [b"tea", b"pot", b"cup", b"jug", b"tin"]


def test_the_rates_go_back_to_the_first_day() -> None:
    assert pricing.exchange_rates()[0] == 0.5


def test_all_prices_of_a_season_fit_into_memory() -> None:
    sheets = [bytes((number,)) * 10_000_000 for number in range(6)]
    assert sum(map(len, sheets)) == 60_000_000


def test_summer_prices_are_in_the_book(summer_prices: bytes) -> None:
    assert pricing.BOOK["summer"] is summer_prices


def test_winter_prices_are_in_the_book(winter_prices: bytes) -> None:
    assert pricing.BOOK["winter"] is winter_prices
