"""Pools, reused connections and buffers that keep what they need, and no more."""

from __future__ import annotations

import functools
import itertools
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor


IDLE: list[bytearray] = []
SCRATCH = bytearray()
WORK: list[int] = []
INDEX: dict[int, int] = {}
STOCK = [object() for _ in range(2000)]
SIZES = random.Random(7)
TURNS = itertools.count()


def borrow() -> bytearray:
    return IDLE.pop() if IDLE else bytearray(2048)


def give_back(buffer: bytearray) -> None:
    if len(IDLE) < 8:
        IDLE.append(buffer)


@functools.cache
def executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


@functools.cache
def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table orders (number integer)")
    return connection


def test_buffer_pool() -> None:
    buffers = [borrow() for _ in range(3)]
    for buffer in buffers:
        give_back(buffer)
    assert len(IDLE) <= 8


def test_shared_executor() -> None:
    assert list(executor().map(abs, [-1, 2])) == [1, 2]


def test_shared_database() -> None:
    connection = database()
    connection.execute("insert into orders values (1)")
    assert connection.execute("select count(*) from orders").fetchone()[0] >= 1
    connection.rollback()


def test_list_filled_and_cleared() -> None:
    WORK.extend(range(500))
    WORK.clear()
    assert not WORK


def test_dict_grown_and_emptied() -> None:
    INDEX.update((n, n) for n in range(300))
    for number in list(INDEX):
        del INDEX[number]
    assert not INDEX


def test_scratch_that_keeps_its_largest_size() -> None:
    size = SIZES.randrange(100, 4000)
    if len(SCRATCH) < size:
        SCRATCH.extend(bytes(size - len(SCRATCH)))
    assert len(SCRATCH) >= size


def test_random_sizes() -> None:
    rows = [bytes(SIZES.randrange(20_000)) for _ in range(SIZES.randrange(1, 30))]
    assert rows


def test_stock_that_is_used_up() -> None:
    if STOCK:
        STOCK.pop()
    assert len(STOCK) < 2000


def test_list_that_breathes() -> None:
    if next(TURNS) % 5 < 3:
        WORK.append(next(TURNS) * 1000)
    else:
        WORK.clear()
    assert len(WORK) < 10
