from __future__ import annotations

from collections.abc import Iterator

import pytest

from shop import sessions


@pytest.fixture(scope="module")
def visitors() -> Iterator[list[sessions.Session]]:
    """Forty customers who are in the shop at the same time."""
    crowd = [sessions.sign_in(f"customer {number}") for number in range(40)]
    yield crowd
    for session in crowd:
        sessions.sign_out(session)


def test_nobody_is_signed_in_under_an_unknown_token() -> None:
    assert not sessions.is_signed_in("unknown")


def test_every_visitor_is_signed_in(visitors: list[sessions.Session]) -> None:
    assert all(sessions.is_signed_in(session.token) for session in visitors)


def test_no_two_visitors_have_the_same_token(visitors: list[sessions.Session]) -> None:
    assert len({session.token for session in visitors}) == len(visitors)


def test_the_last_page_is_remembered_for_the_way_back() -> None:
    page = b"<html>" + b"\x20" * 12_000_000
    assert sessions.show(page) == len(sessions.LAST_PAGE.get())
