"""Delta debugging with scripted oracles."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktrace.bisection.ddmin import shrinking


T = TypeVar("T", int, str)


class Oracle(Generic[T]):
    """Says yes to every part that has all of the culprits, or all of another set of them."""

    def __init__(self, *causes: Collection[T], at_most: int = 10_000) -> None:
        self.causes: list[set[T]] = [set(cause) for cause in causes]
        self.at_most = at_most
        self.asked: list[Sequence[T]] = []

    def __call__(self, part: Sequence[T]) -> bool:
        if len(self.asked) == self.at_most:
            raise TimeoutError
        self.asked.append(part)
        return any(cause <= set(part) for cause in self.causes)


def smallest(items: Sequence[T], oracle: Callable[[tuple[T, ...]], bool]) -> list[tuple[T, ...]]:
    return list(shrinking(items, oracle))[-1:] or [tuple(items)]


@pytest.mark.parametrize("culprit", [0, 1, 499, 998, 999])
def test_one_culprit_of_a_thousand_is_found_with_few_questions(culprit: int) -> None:
    oracle = Oracle({culprit})

    assert smallest(range(1000), oracle) == [(culprit,)]
    assert len(oracle.asked) <= 2 * math.ceil(math.log2(1000))


@pytest.mark.parametrize("culprits", [{3, 4}, {0, 99}, {17, 50, 51}, {1, 25, 49, 73, 97}])
def test_several_that_are_needed_together_are_all_kept_in_their_order(culprits: set[int]) -> None:
    assert smallest(range(100), Oracle(culprits)) == [tuple(sorted(culprits))]


def test_of_two_causes_one_is_enough() -> None:
    [found] = smallest(range(100), Oracle({5, 60}, {77}))

    assert found in {(5, 60), (77,)}


def test_one_item_needs_no_question() -> None:
    oracle = Oracle({"a"})

    assert list(shrinking(["a"], oracle)) == []
    assert oracle.asked == []


def test_an_end_in_the_middle_leaves_the_smallest_so_far() -> None:
    found: list[tuple[int, ...]] = []
    with pytest.raises(TimeoutError):
        found.extend(each for each in iterated(found, shrinking(range(64), Oracle({63}, at_most=3))))

    assert found[-1] == tuple(range(56, 64))


def iterated(found: list[tuple[int, ...]], parts: Iterable[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    for part in parts:
        found.append(part)
        yield from ()


def test_equal_items_are_told_apart_by_their_place() -> None:
    assert smallest(["a", "b", "a"], lambda part: part.count("a") == 2) == [("a", "a")]


@given(size=st.integers(1, 40), data=st.data())
def test_what_is_found_brings_it_back_and_can_spare_nothing_and_no_part_is_asked_twice(
    size: int, data: st.DataObject
) -> None:
    causes = data.draw(st.lists(st.sets(st.integers(0, size - 1), min_size=1), min_size=1, max_size=3))
    oracle = Oracle(*causes)

    [found] = smallest(range(size), oracle)

    assert len(oracle.asked) == len(set(oracle.asked))
    assert () not in oracle.asked
    assert oracle(found)
    assert not any(oracle(tuple(x for x in found if x != spared)) for spared in found if len(found) > 1)
    assert list(found) == sorted(found)
