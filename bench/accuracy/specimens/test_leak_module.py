"""Module lists, dicts and buffers that only ever grow."""

from __future__ import annotations

import itertools

import pytest


class Order:
    def __init__(self, number: int) -> None:
        self.number = number


ORDERS: list[Order] = []
SESSIONS: dict[int, Order] = {}
TOKENS = itertools.count(1000)
QUEUES: dict[str, list[Order]] = {"open": [], "closed": []}
SEEN: set[Order] = set()
AUDIT: list[object] = []
TURNS = itertools.count()
TRACE = bytearray()
PAGES: list[bytes] = []
GREETING = ""


def place(number: int) -> Order:
    order = Order(number)
    ORDERS.append(order)
    return order


def greet(name: str) -> None:
    global GREETING
    GREETING += f"Hello, {name}. Nice to see you again.\n"


def audit() -> None:
    if next(TURNS) % 2 == 0:
        AUDIT.append(object())


def test_list() -> None:
    assert place(7).number == 7


def test_dict() -> None:
    token = next(TOKENS)
    SESSIONS[token] = Order(token)
    assert SESSIONS[token].number == token


def test_nested() -> None:
    QUEUES["open"].append(Order(3))
    assert not QUEUES["closed"]


@pytest.mark.parametrize("size", [1, 3])
def test_set(size: int) -> None:
    SEEN.update(Order(n) for n in range(size))
    assert len(SEEN) >= size


def test_one_per_two_runs() -> None:
    audit()
    assert AUDIT


def test_bytearray_grows_in_place() -> None:
    TRACE.extend(b"x" * 1000)
    assert TRACE.endswith(b"x")


def test_string_grows_in_place() -> None:
    greet("Ada")
    assert "Ada" in GREETING


def test_big_pages() -> None:
    PAGES.append(bytes(20_000))
    assert len(PAGES[-1]) == 20_000
