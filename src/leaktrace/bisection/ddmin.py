"""The smallest part of a list that still brings something about: delta debugging; pure.

After Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar


T = TypeVar("T")


def shrinking(items: Sequence[T], brings_back: Callable[[tuple[T, ...]], bool]) -> Iterator[tuple[T, ...]]:
    """Ever smaller parts of `items`, in their order, that bring it back; the last one can spare none of its items.

    `items` as a whole must bring it back, and nothing at all must not; neither is asked. No part is asked twice. An
    exception of `brings_back` ends the search; what was yielded before it stands. Parts near the end are tried first.
    """
    asked: dict[tuple[int, ...], bool] = {}

    def asks(part: tuple[int, ...]) -> bool:
        if part not in asked:
            asked[part] = brings_back(tuple(items[i] for i in part))
        return asked[part]

    left = tuple(range(len(items)))
    pieces = 2
    while len(left) > 1:
        chunks = _chunks(left, pieces)
        without = [tuple(i for i in left if i not in chunk) for chunk in map(frozenset, chunks)]
        smaller = next((chunk for chunk in reversed(chunks) if asks(chunk)), None)
        if smaller is not None:
            left, pieces = smaller, 2
        else:
            # With two pieces, what one leaves is the other, and was asked already.
            smaller = next((rest for rest in without if asks(rest)), None) if pieces > 2 else None  # noqa: PLR2004
            if smaller is None and pieces >= len(left):
                return
            left, pieces = (left, min(len(left), 2 * pieces)) if smaller is None else (smaller, max(pieces - 1, 2))
        if smaller is not None:
            yield tuple(items[i] for i in left)


def _chunks(left: tuple[int, ...], pieces: int) -> list[tuple[int, ...]]:
    """As many pieces, of even length as far as that goes."""
    ends = [len(left) * number // pieces for number in range(pieces + 1)]
    return [left[begin:end] for begin, end in itertools.pairwise(ends)]
