"""Caches with a bound, filling or full."""

from __future__ import annotations

import array
import functools
import itertools
import queue
from collections import OrderedDict, deque

import pytest


NUMBERS = itertools.count(1000)
RECENT: deque[list[int]] = deque(maxlen=40)
HISTORY: dict[int, list[int]] = {}
LRU: OrderedDict[int, list[int]] = OrderedDict()
MEMO: dict[int, str] = {}
SAWTOOTH: dict[int, bytes] = {}
BACKLOG: queue.Queue[list[int]] = queue.Queue(maxsize=25)
RING = array.array("q", bytes(8 * 64))


@functools.lru_cache(maxsize=16)
def tax(amount: int) -> list[int]:
    return [amount, amount * 19 // 100]


@functools.lru_cache(maxsize=128)
def rate(currency: int) -> list[int]:
    return [currency, 7]


@functools.lru_cache(maxsize=10_000)
def address(customer: int) -> list[int]:
    return [customer, 1]


@functools.lru_cache
def weekday(day: int) -> str:
    return f"weekday-{day % 7}"


@functools.cache
def country(code: int) -> str:
    return f"country-{code}"


class Rows:
    @functools.lru_cache(maxsize=8)
    def row(self, number: int) -> list[int]:
        return [number] * 20


def test_lru_of_16() -> None:
    assert tax(next(NUMBERS))


def test_lru_of_128() -> None:
    assert rate(next(NUMBERS))


def test_lru_of_10_000() -> None:
    assert address(next(NUMBERS))


def test_lru_of_the_default_size() -> None:
    assert weekday(next(NUMBERS))


def test_lru_on_a_method() -> None:
    assert len(Rows().row(3)) == 20


def test_unbounded_cache_of_few_keys() -> None:
    assert country(next(NUMBERS) % 30)


def test_deque_with_maxlen() -> None:
    RECENT.append([1, 2])
    assert len(RECENT) <= 40


def test_dict_that_drops_the_oldest() -> None:
    HISTORY[next(NUMBERS)] = [0] * 10
    if len(HISTORY) > 32:
        del HISTORY[next(iter(HISTORY))]
    assert len(HISTORY) <= 32


@pytest.mark.parametrize("per_run", [3, 7])
def test_lru_that_evicts_half(per_run: int) -> None:
    for _ in range(per_run):
        LRU[next(NUMBERS)] = [0] * 5
    if len(LRU) > 64:
        for _ in range(40):
            LRU.popitem(last=False)
    assert len(LRU) <= 64


def test_dict_that_is_cleared_when_full() -> None:
    SAWTOOTH[next(NUMBERS)] = bytes(200)
    if len(SAWTOOTH) >= 24:
        SAWTOOTH.clear()
    assert len(SAWTOOTH) < 24


def test_memo_that_stops_when_full() -> None:
    number = next(NUMBERS)
    if len(MEMO) < 20:
        MEMO[number] = f"number {number}"
    assert len(MEMO) <= 20


def test_queue_with_a_bound() -> None:
    if BACKLOG.full():
        BACKLOG.get_nowait()
    BACKLOG.put_nowait([1])
    assert BACKLOG.qsize() <= 25


def test_ring_buffer() -> None:
    number = next(NUMBERS)
    RING[number % 64] = number
    assert RING[number % 64] == number
