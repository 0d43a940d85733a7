"""Garbage that only the collector frees."""

from __future__ import annotations

import gc
from collections.abc import Iterator


class Node:
    def __init__(self, parent: Node | None = None) -> None:
        self.parent = parent
        self.children = [] if parent is None else [parent]
        self.payload = bytes(500)
        if parent is not None:
            parent.children.append(self)


class Closing:
    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        self.me = None


def fail() -> None:
    raise ValueError("cycle")


def test_self_cycle() -> None:
    items: list[object] = []
    items.append(items)
    assert items[0] is items


def test_tree_with_parents() -> None:
    root = Node()
    for _ in range(20):
        Node(root)
    assert len(root.children) == 20


def test_cycle_with_a_destructor() -> None:
    assert Closing().me


def test_exception_that_holds_its_frame() -> None:
    try:
        fail()
    except ValueError as error:
        kept = error
    assert kept.__traceback__


def test_recursive_closure() -> None:
    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n - 1)

    assert factorial(5) == 120


def test_generator_in_a_cycle() -> None:
    box: list[Iterator[int]] = []

    def numbers() -> Iterator[int]:
        yield len(box)
        yield 2

    box.append(numbers())
    assert next(box[0]) == 1


def test_cycles_while_the_collector_is_off() -> None:
    was_on = gc.isenabled()
    gc.disable()
    try:
        for _ in range(50):
            Node(Node())
    finally:
        if was_on:
            gc.enable()


def test_class_made_in_a_test() -> None:
    class Local:
        values: list[int] = [1]

    assert Local().values == [1]
