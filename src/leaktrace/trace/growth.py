"""What grows: containers whose length rises batch after batch, and newborn objects that outlive their run."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from leaktrace.trace import safe
from leaktrace.trace.containers import Container, Handlers


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
        return all(later > earlier for earlier, later in zip(self.lengths, self.lengths[1:], strict=False))

    @property
    def rose(self) -> bool:
        """Whether it rose over all batches after the first, too."""
        return self.lengths[-1] > self.lengths[1 if len(self.lengths) > 2 else 0]  # noqa: PLR2004 - before, first, more

    def per_run(self, runs: int) -> float:
        """Entries a run, over all runs since the first reading."""
        return (self.lengths[-1] - self.lengths[0]) / max(1, runs)

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
    """All containers alive at one moment, with their lengths; keeps them alive itself, so that no id is reused."""

    __slots__ = ("_handlers", "_kinds", "_lengths", "_things")

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._things: list[Any] = []
        self._kinds: list[Container] = []
        self._lengths = array("q")

    def fill(self, own_ids: frozenset[int]) -> None:
        """Take in every container that the collector knows, and the untracked ones that those refer to."""
        things, kinds, of = self._things, self._kinds, self._handlers.of
        seen = set(own_ids) | {id(things), id(kinds)}
        tracked = gc.get_objects()
        seen.add(id(tracked))
        untracked: list[Any] = []
        for obj in tracked:
            kind = of(obj)
            if kind is not None and id(obj) not in seen:
                things.append(obj)
                kinds.append(kind)
        for level in (tracked, untracked):
            untracked = self._untracked(level, seen)
            for obj in untracked:
                things.append(obj)
                kinds.append(of(obj))  # type: ignore[arg-type]
        self._lengths = array("q", bytes(8 * len(things)))
        for index, (kind, obj) in enumerate(zip(kinds, things, strict=True)):
            self._lengths[index] = kind.length(obj)

    def _untracked(self, level: Sequence[Any], seen: set[int]) -> list[Any]:
        """Containers that a level refers to and the collector does not track (dicts of atoms, bytearrays)."""
        kinds = {id(kind) for kind in (dict, bytearray, array)}
        found: list[Any] = []
        for start in range(0, len(level), _CHUNK):
            for obj in gc.get_referents(*level[start : start + _CHUNK]):
                if id(type(obj)) in kinds and not gc.is_tracked(obj) and id(obj) not in seen:
                    seen.add(id(obj))
                    found.append(obj)
        return found

    def risen(self) -> list[Grower]:
        """The containers that are longer now than when they were taken in, those that rose most first."""
        found: list[Grower] = []
        for kind, obj, before in zip(self._kinds, self._things, self._lengths, strict=True):
            now = kind.length(obj)
            if now > before:
                found.append(Grower(obj, kind, [before, now]))
        found.sort(key=lambda grower: grower.lengths[0] - grower.lengths[1])
        return found[:_MOST_CANDIDATES]

    def clear(self) -> None:
        """Let go of everything."""
        self._things.clear()
        self._kinds.clear()
        del self._lengths[:]


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

    def count(self, skip: frozenset[int]) -> None:
        """Count what is alive now by type; the collector must be frozen since before the first run."""
        counts: dict[int, int] = {}
        for obj in gc.get_objects():
            if id(obj) in skip or obj is skip or obj is counts:
                continue
            cls = type(obj)
            counts[id(cls)] = counts.get(id(cls), 0) + 1
            self.types[id(cls)] = cls
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
            rising = all(later >= earlier for earlier, later in zip(series, series[1:], strict=False))
            if rising and rate > 0.2 and not safe.is_within(safe.module_of(cls), own):  # noqa: PLR2004 - 1 in 4 runs
                rates.append((safe.class_name(cls), round(rate, 2)))
        rates.sort(key=lambda rate: (-rate[1], rate[0]))
        return tuple(rates)


def living(ids: set[int]) -> list[Any]:
    """The tracked objects alive now whose identities are among `ids`; the collector must not be frozen."""
    return [obj for obj in gc.get_objects() if id(obj) in ids]


def frozen_newborns(skip: frozenset[int]) -> set[int]:
    """Identities of what the collector tracks and was not frozen."""
    return {id(obj) for obj in gc.get_objects() if id(obj) not in skip}


def repeat(run: Callable[[], None], times: int, settle: Callable[[], None]) -> None:
    """Run the suspect some times, then quieten the process."""
    for _ in range(times):
        run()
    settle()
