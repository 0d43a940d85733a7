"""Backwards from some objects to all that leads to them, as far as a walk from the roots has not come yet.

A walk forwards to an object that nobody holds meets all that lives before it gives up. Those few that lead to the
object are found by asking the collector, which does not allocate anything for the many that do not.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from leaktrace.heap import safe
from leaktrace.heap.growth import living
from leaktrace.pristine import gc


_MOST_STEPS = 12
_MOST_MORE = 5_000
"""What leads to something that everything leads to is better walked forwards."""
_FEW = 64
"""The collector compares each reference in the process with each of the objects that it is asked about."""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Ancestors:
    """What leads to some objects, by identity.

    Attributes:
        ids: the objects themselves, and all that leads to them and was not met yet.
        edge: of what was met already, all that refers to one of these.
    """

    ids: set[int] = field(default_factory=set)
    edge: set[int] = field(default_factory=set)


def ancestors(
    targets: AbstractSet[int], *, met: AbstractSet[int], is_closed: Callable[[Any], bool]
) -> Ancestors | None:
    """All that leads to some objects; None where that is too much, or cannot be told.

    Args:
        targets: identities of the objects, none of which was met.
        met: identities of what is not looked behind.
        is_closed: whether nothing leads through an object.
    """
    found = Ancestors(set(targets))
    front = living(targets)
    if len(front) < len(targets):
        return None  # the collector does not track it, nor perhaps what holds it
    for _ in range(_MOST_STEPS):
        if not front:
            return found
        holders = _holders(front)
        ours = {id(front), id(holders)}
        front.clear()
        for holder in holders:
            key = id(holder)
            if key in found.ids or key in ours or is_closed(holder):
                continue
            if key in met:
                found.edge.add(key)
            else:
                found.ids.add(key)
                front.append(holder)
        holders.clear()
        if len(found.ids) > len(targets) + _MOST_MORE:
            return None
    return None


def _holders(objects: list[Any]) -> list[Any]:
    """All that refers to one of some objects."""
    if len(objects) <= _FEW:
        return gc.get_referrers(*objects)
    keys = set(map(id, objects))
    everything = gc.get_objects()
    if dangerous := safe.never_asked():
        everything[:] = [obj for obj in everything if id(obj) not in dangerous]
    found: list[Any] = []
    for start in range(0, len(everything), _CHUNK):
        chunk = everything[start : start + _CHUNK]
        if not keys.isdisjoint(map(id, gc.get_referents(*chunk))):
            found += [obj for obj in chunk if not keys.isdisjoint(map(id, gc.get_referents(obj)))]
    return found
