"""Interned strings, small numbers, attribute names and free lists."""

from __future__ import annotations

import itertools
import sys


NUMBERS = itertools.count(10**6)
WORDS = ["alpha", "beta", "gamma"]
SLOT: list[object] = [None]


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x = x
        self.y = y


def test_interned_words() -> None:
    assert [sys.intern(word) for word in WORDS] == WORDS


def test_numbers_that_grow() -> None:
    SLOT[0] = next(NUMBERS) ** 3
    assert SLOT[0]


def test_instances_and_their_dicts() -> None:
    points = [Point(n, n) for n in range(50)]
    points[0].color = "red"
    assert points[-1].x == 49


def test_free_lists() -> None:
    values = [(float(n), [n], {n: n}) for n in range(80)]
    assert len(values) == 80


def test_text_made_and_dropped() -> None:
    text = "".join(chr(n) for n in range(32, 2000))
    assert text.upper().lower()


def test_slot_of_two_sizes() -> None:
    SLOT[0] = bytes(3000 if next(NUMBERS) % 2 else 10)
    assert SLOT[0]
