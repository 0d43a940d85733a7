"""Closures that keep what they once saw."""

from __future__ import annotations

import functools
from collections.abc import Callable


def make_counter() -> Callable[[str], int]:
    hits: list[list[str]] = []

    def count(page: str) -> int:
        hits.append([page])
        return len(hits)

    return count


def traced(function):
    calls: dict[int, dict[str, object]] = {}

    @functools.wraps(function)
    def wrapper(*args: object) -> object:
        calls[len(calls) + 1000] = {"args": list(args)}
        return function(*args)

    return wrapper


def identity(value: object) -> object:
    return value


def chain(inner: Callable[[object], object]) -> Callable[[object], object]:
    def outer(value: object) -> object:
        return inner(value)

    return outer


def undo_stack() -> tuple[Callable[[list[int]], None], Callable[[], int]]:
    undos: list[Callable[[], None]] = []

    def push(document: list[int]) -> None:
        undos.append(document.clear)

    def depth() -> int:
        return len(undos)

    return push, depth


def scheduler() -> Callable[[bytes], int]:
    pending: list[Callable[[], int]] = []

    def later(payload: bytes) -> int:
        pending.append(lambda: len(payload))
        return len(pending)

    return later


count_hit = make_counter()
push_undo, undo_depth = undo_stack()
later = scheduler()
PIPELINE: Callable[[object], object] = identity


@traced
def add(left: int, right: int) -> int:
    return left + right


def test_free_variable_list() -> None:
    assert count_hit("/index") >= 1


def test_decorator_that_records_its_calls() -> None:
    assert add(2, 3) == 5


def test_chain_of_closures() -> None:
    global PIPELINE
    PIPELINE = chain(PIPELINE)
    assert callable(PIPELINE)


def test_bound_methods_on_an_undo_stack() -> None:
    push_undo([1, 2, 3])
    assert undo_depth() >= 1


def test_lambdas_with_a_payload() -> None:
    assert later(bytes(4000)) >= 1
