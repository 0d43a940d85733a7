from __future__ import annotations

from uuid import uuid4

import pytest

from shop.cache import IMAGES, PAGES, RECENT, Basket, PageCache, Request, thumbnail


PAGE_BYTES = 1_000_000


def write_page(request: Request) -> bytes:
    return f"<html lang={request.language}>{request.path}".encode() + b"\x20" * PAGE_BYTES


def test_a_request_is_answered_from_the_cache_the_second_time() -> None:
    cache, request, written = PageCache(), Request("/tea"), []
    for _ in range(2):
        cache.get(request, lambda asked: written.append(asked) or b"tea")
    assert written == [request]


def test_each_visitor_gets_the_front_page() -> None:
    for language in ("de", "en", "es", "fi", "fr", "it", "nl", "no", "pl", "pt", "sv", "tr"):
        page = PAGES.get(Request("/", language), write_page)
        assert page.startswith(f"<html lang={language}>/".encode())


def test_thumbnails_carry_the_name_of_their_photo() -> None:
    for number in range(6):
        photo = f"{number}-{uuid4().hex}.jpg"
        assert thumbnail(photo).startswith(photo.encode())


def test_the_newest_view_comes_first() -> None:
    for number in range(12):
        RECENT.look_at(bytes((number,)) * PAGE_BYTES)
    assert RECENT.newest()[0] == 11


def test_an_empty_basket_has_no_newest_view() -> None:
    with pytest.raises(IndexError):
        Basket(length=4).newest()


def test_two_pages_share_one_image() -> None:
    header = IMAGES.take("banner.png", 14_000_000)
    footer = IMAGES.take("banner.png", 14_000_000)
    assert header is footer


def test_an_image_leaves_the_shelf_with_its_last_user() -> None:
    image = IMAGES.take("offer.png", 12_000_000)
    del image
    assert len(IMAGES) == 0
