"""The file of specimens: each test says in its name what it is."""

from __future__ import annotations


BIG_PACKAGE = "TABLE = bytearray(15_000_000)\n"

SPECIMENS = """
import asyncio
import ctypes
import gc
import unittest
from functools import lru_cache

import pytest

KEPT = []
LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes = [ctypes.c_size_t]


def native(size):
    ctypes.memset(LIBC.malloc(size), 1, size)


def test_leaks_20_mb():
    KEPT.append(bytearray(20_000_000))


def test_leaks_30_mb_native():
    native(30_000_000)


@lru_cache
def table():
    return bytearray(30_000_000)


def test_fills_a_table_once():
    assert table()


@pytest.fixture(scope="session")
def repaid():
    held = [bytearray(50_000_000)]
    yield held
    held.clear()


def test_first_user_of_repaid(repaid):
    assert repaid


def test_second_user_of_repaid(repaid):
    assert repaid


@pytest.fixture(scope="session")
def hoarder():
    KEPT.append(bytearray(50_000_000))


def test_first_user_of_hoarder(hoarder):
    pass


def test_second_user_of_hoarder(hoarder):
    pass


class TestCase(unittest.TestCase):
    def setUp(self):
        self.big = bytearray(20_000_000)

    def test_holds_self_big(self):
        self.assertTrue(self.big)


def test_imports_lazily():
    import bigone
    assert bigone.TABLE


def test_imports_and_keeps_20_mb():
    import otherone
    KEPT.append(bytearray(20_000_000))


class Knot:
    pass


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


def test_ties_50_mb_in_a_knot(no_collector):
    knot = Knot()
    knot.itself, knot.big = knot, bytearray(50_000_000)


@pytest.mark.parametrize("number", range(200))
def test_variant(number):
    KEPT.append(bytearray(300_000))


@pytest.fixture
def freed():
    held = [bytearray(20_000_000)]
    yield held
    held.clear()


def test_is_freed_by_its_fixture(freed):
    assert freed


def test_fails_with_20_mb():
    KEPT.append(bytearray(20_000_000))
    raise ValueError


def test_leaks_20_mb_in_asyncio_run():
    async def main():
        KEPT.append(bytearray(20_000_000))

    asyncio.run(main())


@pytest.mark.asyncio
async def test_leaks_20_mb_in_pytest_asyncio():
    KEPT.append(bytearray(20_000_000))


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_leaks_30_mb_native_in_anyio(anyio_backend):
    native(30_000_000)
"""

LEAKS = {
    "test_leaks_20_mb": 20e6,
    "test_leaks_30_mb_native": 30e6,
    "test_imports_and_keeps_20_mb": 20e6,
    "test_leaks_20_mb_in_asyncio_run": 20e6,
    "test_leaks_20_mb_in_pytest_asyncio": 20e6,
    "test_leaks_30_mb_native_in_anyio": 30e6,
    "test_variant": 0.3e6,
    "hoarder": 50e6,
}
"""What must be called a LEAK, with its bytes a run."""

ACQUITTED = {"test_fills_a_table_once", "test_imports_lazily"}
"""Suspects that must be called ONE_TIME."""
