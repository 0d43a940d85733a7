from __future__ import annotations

import pytest

from shop.catalog import FEED_PAGE_BYTES, FEEDS, Catalog, Category, Product, feed_pages


def test_a_product_is_found_by_a_word_on_its_page() -> None:
    catalog = Catalog.of_season("autumn", 6_000)
    assert len(catalog.find("tea")) == 6_000


def test_a_partner_sees_the_first_page_of_the_feed() -> None:
    number = FEEDS.open(Catalog.of_season("spring", 3_000).products)
    assert FEEDS.page(number).startswith(b"spring 0\t000000 tea")


def test_a_feed_has_all_products_on_its_pages() -> None:
    products = Catalog.of_season("winter", 3_000).products
    document = b"".join(feed_pages(products))
    assert document.count(b"\n") == len(products) - 1


@pytest.mark.parametrize("letters", [0, 1, FEED_PAGE_BYTES, FEED_PAGE_BYTES + 1])
def test_no_page_of_a_feed_is_too_long(letters: int) -> None:
    assert all(len(page) <= FEED_PAGE_BYTES for page in feed_pages([Product("cup", "x" * letters)]))


def test_a_category_knows_its_way_up() -> None:
    kitchen = Category("kitchen", banner=b"\x10" * 12_000_000)
    pots = Category("pots", Category("tea", kitchen))
    assert pots.path() == "kitchen / tea / pots"
