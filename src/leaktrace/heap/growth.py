"""What grows: containers whose length rises batch after batch, and newborn objects that outlive their run."""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import compress, filterfalse
from typing import Any

from leaktrace.heap import safe
from leaktrace.heap.containers import Container, Handlers
from leaktrace.pristine import gc


_CHUNK = 2_000
_MOST_CANDIDATES = 200


@dataclass(slots=True)
class Grower:
    """A container that existed before the runs and is longer after each batch of them.

    Attributes:
        container: the container itself.
        handler: how to handle it.
        lengths: before the runs, then after each batch.
        content: what it held after the first batch, to tell new entries and to put it back.
    """

    container: Any
    handler: Container
    lengths: list[int]
    content: Any = None

    @property
    def steady(self) -> bool:
        """Whether it rose in every batch."""
        return all(later > earlier for earlier, later in itertools.pairwise(self.lengths))

    @property
    def rises(self) -> list[int]:
        """By how many entries it rose in each batch."""
        return [later - earlier for earlier, later in itertools.pairwise(self.lengths)]

    @property
    def rose(self) -> bool:
        """Whether it rose over all batches after the first, too."""
        return self.lengths[-1] > self.lengths[1 if len(self.lengths) > 2 else 0]  # noqa: PLR2004 - before, first, more

    def per_run(self, runs: int) -> float:
        """Entries a run, over all runs since the first reading."""
        return (self.lengths[-1] - self.lengths[0]) / max(1, runs)

    def latest(self, count: int) -> list[Any]:
        """Some of the entries that came last, keys and values alike, in no order worth relying on."""
        if self.handler.buffer:
            return []
        if safe.inherits(self.container, set):
            return self.new_entries()[:count]
        entries = self.handler.entries(self.container)
        values = len(entries) // 2
        return [*entries[-count:], *(entries[values - count : values] if safe.inherits(self.container, dict) else ())]

    def new_entries(self) -> list[Any]:
        """What it refers to now and did not after the first batch."""
        if self.handler.buffer or self.content is None:
            return []
        old = {id(entry) for entry in _flat(self.content)}
        return [entry for entry in self.handler.entries(self.container) if id(entry) not in old]


def _flat(content: Any) -> list[Any]:
    if type(content) is dict:
        return [*content.keys(), *content.values()]
    if type(content) is list and content and all(type(item) is tuple and len(item) == 2 for item in content):  # noqa: PLR2004 - pairs
        return [*content, *(part for item in content for part in item)]
    return list(set.__iter__(content)) if safe.inherits(content, set) else list(content)


class Pool:
    """All containers alive at one moment, with their lengths; keeps them alive itself, so that no id is reused.

    Everything that is done once per living object is left to C loops (`map`, `compress`): there may be millions.
    """

    __slots__ = ("_groups", "_handlers")

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._groups: list[tuple[Container, list[Any], array[int]]] = []

    def fill(self, own_ids: frozenset[int]) -> None:
        """Take in every container that the collector knows, and the untracked ones that those refer to."""
        tracked = gc.get_objects()
        if dangerous := safe.never_asked():
            tracked[:] = [obj for obj in tracked if id(obj) not in dangerous]
        untracked = _untracked(tracked, set())
        deeper = _untracked(untracked, {id(obj) for obj in untracked})
        ours = own_ids | {id(tracked), id(untracked), id(deeper), id(self._groups)}
        members: dict[int, tuple[Container, list[Any]]] = {}
        for level in (tracked, untracked, deeper):
            self._sort(level, members)
        for kind, things in members.values():
            if ours.intersection(map(id, things)):
                things[:] = [obj for obj in things if id(obj) not in ours]
            self._groups.append((kind, things, array("q", map(kind.length, things))))

    def _sort(self, level: Sequence[Any], members: dict[int, tuple[Container, list[Any]]]) -> None:
        """Put the containers of a level to the others of their kind, by the identity of the kind."""
        known: set[int] = set()
        takers: dict[int, Callable[[Any], None]] = {}
        for start in range(0, len(level), _CHUNK):
            chunk = level[start : start + _CHUNK]
            types = list(map(id, map(type, chunk)))
            if not known.issuperset(types):
                for key, cls in zip(types, map(type, chunk), strict=True):
                    if key not in known:
                        known.add(key)
                        kind = self._handlers.of_type(cls)
                        if kind is not None:
                            takers[key] = members.setdefault(id(kind), (kind, []))[1].append
            for key, obj in compress(zip(types, chunk, strict=True), map(takers.__contains__, types)):
                takers[key](obj)

    def risen(self) -> list[Grower]:
        """The containers that are longer now than when they were taken in, those that rose most first."""
        found: list[Grower] = []
        for kind, things, before in self._groups:
            after = array("q", map(kind.length, things))
            if after != before:
                found += [
                    Grower(obj, kind, [old, new])
                    for obj, old, new in zip(things, before, after, strict=True)
                    if new > old
                ]
        found.sort(key=lambda grower: grower.lengths[0] - grower.lengths[1])
        return found[:_MOST_CANDIDATES]

    def clear(self) -> None:
        """Let go of everything."""
        self._groups.clear()


def _untracked(level: Sequence[Any], seen: set[int]) -> list[Any]:
    """Containers that a level refers to and the collector does not track (dicts of atoms, bytearrays)."""
    kinds = {id(kind) for kind in (dict, bytearray, array)}
    found: list[Any] = []
    for start in range(0, len(level), _CHUNK):
        loose = list(filterfalse(gc.is_tracked, gc.get_referents(*level[start : start + _CHUNK])))
        for obj in compress(loose, map(kinds.__contains__, map(id, map(type, loose)))):
            if id(obj) not in seen:
                seen.add(id(obj))
                found.append(obj)
    return found


@dataclass(slots=True)
class Survivors:
    """Newborn objects by identity, and how many of each type stayed after each batch.

    Attributes:
        ids: the newborn objects that are still alive after everything was settled; identities only.
        counts: per batch, living newborn objects by identity of their type.
        types: the types counted, kept alive so that their identities stay true.
    """

    ids: set[int] = field(default_factory=set)
    counts: list[dict[int, int]] = field(default_factory=list)
    types: dict[int, type] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Counter(map(id, ()))  # fills the ABC caches that a first count would seem to leave behind

    def count(self, skip: frozenset[int]) -> None:
        """Count what is alive now by type; the collector must be frozen since before the first run."""
        objects = gc.get_objects()
        counts = dict(Counter(map(id, map(type, objects))))
        for obj in compress(objects, map(skip.__contains__, map(id, objects))):
            counts[id(type(obj))] -= 1
        counts[id(frozenset)] = counts.get(id(frozenset), 1) - 1  # `skip` itself
        self.types.update(zip(map(id, map(type, objects)), map(type, objects), strict=True))
        self.counts.append(counts)

    def per_run(self, batches: Sequence[int], own: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
        """Types whose count rose in the later batches, with the objects kept a run, most first.

        Args:
            batches: how many runs each batch had.
            own: packages whose types are not the suspect's.
        """
        if not self.counts:
            return ()
        rates: list[tuple[str, float]] = []
        last = self.counts[-1]
        first = self.counts[0] if len(self.counts) > 1 else {}
        runs = sum(batches[1:]) if len(self.counts) > 1 else sum(batches)
        for key, cls in self.types.items():
            series = [counts.get(key, 0) for counts in self.counts]
            rate = (last.get(key, 0) - first.get(key, 0)) / max(1, runs)
            rising = all(later >= earlier for earlier, later in itertools.pairwise(series))
            if rising and rate > 0.2 and not safe.is_within(safe.module_of(cls), own):  # noqa: PLR2004 - 1 in 4 runs
                rates.append((safe.class_name(cls), round(rate, 2)))
        rates.sort(key=lambda rate: (-rate[1], rate[0]))
        return tuple(rates)


def living(ids: AbstractSet[int]) -> list[Any]:
    """The tracked objects alive now whose identities are among `ids`; the collector must not be frozen."""
    objects = gc.get_objects()
    return list(compress(objects, map(ids.__contains__, map(id, objects))))


def frozen_newborns(skip: AbstractSet[int]) -> set[int]:
    """Identities of what the collector tracks and was not frozen."""
    return set(map(id, gc.get_objects())) - skip


def repeat(run: Callable[[], object], times: int, settle: Callable[[], object]) -> None:
    """Run the suspect some times, then quieten the process."""
    for _ in range(times):
        run()
    settle()
