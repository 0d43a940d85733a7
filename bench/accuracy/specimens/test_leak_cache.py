"""Caches without a bound."""

from __future__ import annotations

import functools
import itertools
import weakref


REQUESTS = itertools.count(10_000)
TURNS = itertools.count()


class Request:
    def __init__(self, number: int) -> None:
        self.number = number


class Report:
    def __init__(self, rows: int) -> None:
        self.rows = list(range(rows))

    @functools.cache
    def total(self) -> int:
        return sum(self.rows)


@functools.cache
def route(request: Request) -> str:
    return f"/orders/{request.number}"


@functools.cache
def square(number: int) -> int:
    return number * number


class Owner:
    def __init__(self, pet: object) -> None:
        self.pet = pet


class Pet:
    pass


RENDERED: dict[str, str] = {}
OWNERS: weakref.WeakKeyDictionary[Pet, Owner] = weakref.WeakKeyDictionary()


def render(template: str) -> str:
    if template not in RENDERED:
        RENDERED[template] = template.upper()
    return RENDERED[template]


def memoize(function):
    results: dict[object, object] = {}

    @functools.wraps(function)
    def wrapper(argument: object) -> object:
        if argument not in results:
            results[argument] = function(argument)
        return results[argument]

    return wrapper


@memoize
def describe(thing: object) -> str:
    return type(thing).__name__


def test_unbounded_lru_cache() -> None:
    request = Request(next(REQUESTS))
    assert route(request).endswith(str(request.number))


def test_cache_on_a_method() -> None:
    assert Report(20).total() == 190


def test_one_per_four_runs() -> None:
    number = next(TURNS) // 4 + 1000
    assert square(number) == number**2


def test_dict_keyed_by_text() -> None:
    assert render(f"dear customer {next(REQUESTS)}").startswith("DEAR")


def test_weak_keys_with_values_that_hold_them() -> None:
    pet = Pet()
    OWNERS[pet] = Owner(pet)
    assert OWNERS[pet].pet is pet


def test_memoizing_decorator() -> None:
    assert describe(Pet()) == "Pet"
