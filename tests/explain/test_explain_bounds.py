from __future__ import annotations

import functools
import re
from collections import deque

import pytest

from explain.loading import Load
from leaktrace.explain.bounds import bound_of
from leaktrace.heap.naming import Step


def steps_to(*named: tuple[str, object]) -> list[Step]:
    """The steps of a path, from objects and the edges that lead to them."""
    return [Step(obj, edge, "", f"root{edge}") for edge, obj in named]


def test_an_lru_cache_says_its_bound() -> None:
    @functools.lru_cache(maxsize=64)
    def squared(number: int) -> int:
        return number * number

    squared(3)

    assert bound_of(steps_to((".squared", squared), ("", {}))) == (64, 1)


def test_an_lru_cache_without_a_maxsize_has_no_bound() -> None:
    @functools.cache
    def squared(number: int) -> int:
        return number * number

    assert bound_of(steps_to((".squared", squared), ("", {}))) is None


def test_a_deque_says_its_bound() -> None:
    assert bound_of(steps_to(("", object()), (".ring", deque([1, 2], maxlen=150)))) == (150, 2)


@pytest.mark.parametrize("name", ["_cache", "_cache2"])
def test_the_interpreters_own_pattern_cache_is_bounded_by_its_modules_constant(name: str) -> None:
    if not hasattr(re, name):
        pytest.skip("CPython 3.11 has one cache")
    cache = getattr(re, name)

    bound = getattr(re, name.replace("_cache", "_MAXCACHE"))
    assert bound_of(steps_to(("re", re), (f".{name}", cache))) == (bound, len(cache))


MODULE = """
    MOST = 40
    KNOWN, SEEN, FULL, ALL, ONCE, WARNED = {}, [], [], [], [], []

    class Store:
        limit = 30
        def __init__(self):
            self.rows, self.extra = [], []
        def put(self, row):
            self.rows.append(row)
            if len(self.rows) > self.limit:
                del self.rows[0]
            self.extra.append(row)

    def know(key):
        if len(KNOWN) >= MOST:
            KNOWN.clear()
        KNOWN[key] = 1

    def see(row):
        while 20 < len(SEEN):
            SEEN.pop()
        SEEN.append(row)

    def fill(row):
        FULL.append(row)
        if len(FULL) > 2:
            raise ValueError("too many")

    def keep(row):
        if len(ALL) > 0:
            print("not the first")
        if len(ONCE) == 100:
            print("the hundredth")
        ALL.append(row)
        WARNED.append(row)
        if len(WARNED) > 1000:
            print("so many")
    """


@pytest.mark.parametrize(("name", "bound"), [("KNOWN", 40), ("SEEN", 20)])
def test_a_module_that_compares_a_length_with_a_limit_bounds_it(load: Load, name: str, bound: int) -> None:
    module = load("bounded", MODULE)

    assert bound_of(steps_to(("specimen_bounded", module), (f".{name}", getattr(module, name)))) == (bound, 0)


@pytest.mark.parametrize("name", ["ALL", "ONCE", "WARNED"])
def test_a_length_that_is_compared_with_nothing_that_limits_it_is_not_bounded(load: Load, name: str) -> None:
    module = load("unbounded", MODULE)

    assert bound_of(steps_to(("specimen_unbounded", module), (f".{name}", getattr(module, name)))) is None


def test_a_limit_that_was_passed_bounds_nothing(load: Load) -> None:
    module = load("passed", MODULE)
    full: list[int] = vars(module)["FULL"]
    path = steps_to(("specimen_passed", module), (".FULL", full))
    assert bound_of(path) == (2, 0)

    full += [1, 2, 3]

    assert bound_of(path) is None


def test_a_class_that_compares_an_attributes_length_with_another_bounds_it(load: Load) -> None:
    store = load("store", MODULE).Store()

    assert bound_of(steps_to((".STORE", store), (".rows", store.rows))) == (30, 0)
    assert bound_of(steps_to((".STORE", store), (".extra", store.extra))) is None


def test_an_owner_of_the_owner_may_declare_the_bound() -> None:
    class Store:
        def __init__(self) -> None:
            self.data = {1: 2}

    class Cache:
        def __init__(self) -> None:
            self.capacity, self.store = 500, Store()

    cache = Cache()

    path = steps_to((".CACHE", cache), (".store", cache.store), (".data", cache.store.data))
    assert bound_of(path) == (500, 1)
