"""What the holder's new entries keep alive, and what of that nobody else does."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from leaktrace.heap import safe
from leaktrace.pristine import gc, sys


_MOST_OBJECTS = 300_000
_LONGEST_WAY = 12


@dataclass(frozen=True, slots=True)
class Retained:
    """The closure of some entries over newborn objects.

    Attributes:
        bytes_total: size of all that can be reached from the entries without passing an older object.
        bytes_exclusive: size of the part that nothing else refers to: what would be freed with the entries.
        ids: identities of the tracked objects reached, by identity of their type.
        types: those types.
        exclusive: how many of them are exclusive.
        whole: whether all was looked at; where it was too much, the sizes say nothing.
    """

    bytes_total: int
    bytes_exclusive: int
    ids: dict[int, set[int]]
    types: dict[int, type]
    exclusive: int
    whole: bool = True

    @property
    def bytes_shared(self) -> int:
        """Size of the part that something else refers to, too: what stays when the entries alone are dropped."""
        return self.bytes_total - self.bytes_exclusive

    @property
    def objects(self) -> set[int]:
        """Identities of all tracked objects reached."""
        return set().union(*self.ids.values()) if self.ids else set()


def retained(entries: list[Any], newborn: set[int], *, holder_refs: int = 1) -> Retained:
    """Size what `entries` retain, by the collector's own arithmetic: references counted minus references explained.

    Args:
        entries: the new entries, in a list that holds exactly one reference to each occurrence.
        newborn: identities of the tracked objects that the runs created; others are not entered.
        holder_refs: how many references the holder itself has to each entry.
    """
    members, inner, fanout = _closure(entries, newborn)
    for key in map(id, entries):  # a name for the entry itself would be one more reference to the last of them
        # One reference from our own list, one from the holder.
        inner[key] = inner.get(key, 0) + 1 + holder_refs
    shared = deque(_referred_from_outside(members, inner, entries))
    outside = {id(obj) for obj in shared}
    while shared:
        for child in gc.get_referents(shared.popleft()):
            if id(child) in fanout and id(child) not in outside:
                outside.add(id(child))
                shared.append(child)
    ids: dict[int, set[int]] = {}
    types: dict[int, type] = {}
    total = exclusive_bytes = exclusive = 0
    for obj in members:
        size = safe.size_bytes(obj, fanout[id(obj)])
        total += size
        if id(obj) not in outside:
            exclusive_bytes += size
        if id(obj) in newborn:
            ids.setdefault(id(type(obj)), set()).add(id(obj))
            types[id(type(obj))] = type(obj)
            exclusive += id(obj) not in outside
    return Retained(total, exclusive_bytes, ids, types, exclusive, whole=len(members) == len(fanout))


def _closure(entries: Iterable[Any], newborn: set[int]) -> tuple[list[Any], dict[int, int], dict[int, int]]:
    """All newborn or untracked objects reached; references among them by target; references held by source."""
    members: list[Any] = []
    inner: dict[int, int] = {}
    fanout: dict[int, int] = {}
    queue: deque[Any] = deque()
    for entry in entries:
        if id(entry) not in fanout and _belongs(entry, newborn):
            fanout[id(entry)] = 0
            queue.append(entry)
    while queue and len(members) < _MOST_OBJECTS:
        obj = queue.popleft()
        members.append(obj)
        children = gc.get_referents(obj)
        fanout[id(obj)] = len(children)
        for child in children:
            inner[id(child)] = inner.get(id(child), 0) + 1
            if id(child) not in fanout and _belongs(child, newborn):
                fanout[id(child)] = 0
                queue.append(child)
    return members, inner, fanout


def _belongs(obj: Any, newborn: set[int]) -> bool:
    if gc.is_tracked(obj):
        return id(obj) in newborn
    return not (obj is None or type(obj) is bool or type(obj) is type)


def _referred_from_outside(members: list[Any], inner: dict[int, int], entries: list[Any]) -> list[Any]:
    """The members with references that neither the members nor the holder explain."""
    spare = [object()]
    ours = 0
    for obj in spare:
        ours = sys.getrefcount(obj)  # the list, the loop, the call: as for each member below
    del entries
    return [obj for obj in members if sys.getrefcount(obj) - ours > inner.get(id(obj), 0)]


def nearest(
    entries: Iterable[Any], newborn: AbstractSet[int] | None, wanted: Callable[[Any], bool], *, limit: int = 50_000
) -> list[Any]:
    """The shortest way from one of the entries to an object that is wanted, over newborn objects.

    Empty where there is none, or none that a reader would follow. Where the newborn are not known (None), nothing is
    looked for beyond modules, classes and functions.
    """
    queue: deque[Any] = deque()
    parents: dict[int, Any] = {}
    for entry in entries:
        if id(entry) not in parents:
            parents[id(entry)] = None
            queue.append(entry)
    while queue and limit:
        limit -= 1
        obj = queue.popleft()
        if wanted(obj):
            way = [obj]
            while parents[id(way[-1])] is not None:
                way.append(parents[id(way[-1])])
            way.reverse()
            return way if len(way) <= _LONGEST_WAY else []
        for child in gc.get_referents(obj):
            if len(queue) >= limit:
                break  # nobody would come to it
            if id(child) in parents:
                continue
            if id(child) in newborn if newborn is not None else gc.is_tracked(child) and not _leads_away(child):
                parents[id(child)] = obj
                queue.append(child)
    return []


def reached_bytes(obj: Any, *, limit: int = 20_000) -> int:
    """Size of what can be reached from an object, itself included, without passing modules, classes and functions."""
    known = {id(obj)}
    pending = deque([obj])
    total = 0
    while pending and limit:
        limit -= 1
        part = pending.popleft()
        children = gc.get_referents(part)
        total += safe.size_bytes(part, len(children))
        for child in children:
            if id(child) not in known and not _leads_away(child):
                known.add(id(child))
                pending.append(child)
    return total


def _leads_away(obj: Any) -> bool:
    """Whether everything else can be reached through an object."""
    return safe.inherits(obj, types.ModuleType) or safe.inherits(obj, type) or type(obj) is types.FunctionType
