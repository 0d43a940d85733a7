"""The way from a leaked entry to a telling object behind it."""

from __future__ import annotations

import tracemalloc
from typing import Any

from leaktrace.heap.retained import nearest


class Leaf:
    """One of many."""


def test_the_shortest_way_leads_to_what_is_wanted() -> None:
    wanted = Leaf()
    entry: list[Any] = [[[wanted]], [1, [2]]]

    assert nearest([entry], None, lambda obj: obj is wanted) == [entry, entry[0], entry[0][0], wanted]


def test_of_a_large_list_no_more_is_looked_at_than_is_asked_for() -> None:
    entry = [Leaf() for _ in range(100_000)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert nearest([entry], None, lambda _: False, limit=30) == []
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()

    # The list of all that it refers to is the collector's; a book of each of them would take ten times as much.
    assert taken < 2_000_000
