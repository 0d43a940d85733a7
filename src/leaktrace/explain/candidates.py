"""From growing containers to the holder: which of them it is, its path, and what it holds."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from leaktrace.explain.bounds import bound_of
from leaktrace.explain.dead_entries import are_dead
from leaktrace.explain.holder_kinds import are_lost, kind_of
from leaktrace.explain.labels import above_of, born, growing, propagate
from leaktrace.explain.leaked_objects import is_of_interest, label
from leaktrace.explain.model import Holder
from leaktrace.heap import naming, roots, safe
from leaktrace.heap.containers import lru_caches
from leaktrace.heap.growth import Grower
from leaktrace.heap.naming import Step
from leaktrace.heap.retained import Retained, nearest, retained
from leaktrace.heap.search import Search
from leaktrace.pristine import gc


_MOST_TARGETS = 60
_MOST_ENTRIES = 5_000


@dataclass(slots=True)
class Candidate:
    """A growing container, what its new entries retain, and how it is reached.

    Attributes:
        grower: the container and how it grew.
        root: the root of the path, or None where no root reaches it.
        path: from the root to the container, both included.
        kept: what the new entries retain.
        entries: how many objects those are, keys and values alike.
        weak: whether the new entries are weak references or plain values, which keep nothing alive.
        dead: whether they are dead in their owner's own terms.
        steps: the named path, once it was named.
    """

    grower: Grower
    root: roots.Root | None
    path: list[Any]
    kept: Retained
    entries: int
    weak: bool = False
    dead: bool = False
    steps: list[Step] = field(default_factory=list)

    @property
    def owner(self) -> Any:
        """What the container is part of, where that is a C cache; else None."""
        return self.path[-2] if len(self.path) > 1 and type(self.path[-2]) is lru_caches() else None

    def fresh(self, newborn: set[int]) -> list[Any]:
        """The entries that came since the first batch."""
        entries = self.grower.new_entries()
        if self.owner is not None:
            entries += [child for child in gc.get_referents(self.owner) if id(child) in newborn]
        return entries


def candidates(growers: Sequence[Grower], search: Search, newborn: set[int]) -> list[Candidate]:
    """The growing containers that a root reaches and that hold something, the most telling first."""
    wanted = {id(grower.container) for grower in growers[:_MOST_TARGETS]}
    search.find(wanted)
    found = [
        Candidate(grower, *search.path(id(grower.container)), Retained(0, 0, {}, {}, 0), 0)
        for grower in growers[:_MOST_TARGETS]
    ]
    search.clear()  # its references would count as other holders
    for candidate in found:
        entries = candidate.fresh(newborn)
        candidate.entries = len(entries)
        candidate.weak = any(map(_is_weak, entries)) and all(_is_weak(e) or safe.is_plain(e) for e in entries)
        candidate.dead = are_dead(entries)
        del entries[_MOST_ENTRIES:]
        candidate.kept = retained(entries, newborn, holder_refs=1)
    found.sort(key=_rank)
    alike = [candidate for candidate in found if candidate.path and _rank(candidate) == _rank(found[0])]
    if len(alike) > 1:
        found[: len(alike)] = sorted(alike, key=lambda candidate: naming.steps(candidate.root, candidate.path)[-1].name)  # type: ignore[arg-type]
    return found


def _rank(candidate: Candidate) -> tuple[bool, bool, bool, int, int, int]:
    """Sort key: reached before unreached, strong before weak, steady before fitful, then by weight, roughly."""
    grower = candidate.grower
    grown = grower.lengths[-1] - grower.lengths[0]
    weight = candidate.kept.bytes_total + (grown if grower.handler.buffer else 8 * grown)
    rough = -round(4 * math.log2(max(1, weight)))  # two that hold the same things must not be told apart by chance
    return not candidate.path, candidate.weak, not grower.steady, rough, -grown, len(candidate.path)


def _is_weak(obj: Any) -> bool:
    return safe.inherits(obj, weakref.ref)


def describe(best: Candidate, newborn: set[int], *, runs: int, fresh_runs: int) -> tuple[Holder, type | None, str]:
    """The holder as the report shows it, and the type and the label of the leaked thing."""
    named = naming.steps(best.root, best.path) if best.root else []
    best.steps = named
    grower = best.grower
    per_run = grower.per_run(runs)
    hops = above_of(named[:-1], best.root)
    noun, unit = safe.type_name(grower.container), " bytes" if grower.handler.buffer else ""
    bound = bound_of(named)
    if bound is not None and are_lost(grower.container, newborn, grew=grower.lengths[-1] - grower.lengths[0]):
        noun = f"{noun} of at most {bound[0]} keys, none of which can be found again"
    hops.append(growing(named[-1], noun, per_run, unit))
    alone, shared = _sizes(best, newborn, per_run, fresh_runs)
    way = leaked_way(best.fresh(newborn), newborn)
    tail = naming.onward(named[-1], way) if best.owner is None else naming.cached(named[-1], way)
    hops += [born(step, newborn) for step in tail]
    holder = Holder(
        name=named[-1].name,
        kind=kind_of(named),
        path=propagate(hops),
        entries_per_run=round(per_run, 3),
        retained_bytes_per_run=alone,
        shared_bytes_per_run=shared,
        bound=bound[0] if bound else None,
        filled=bound[1] if bound else None,
        dead=best.dead,
        steady=grower.steady,
    )
    return holder, type(way[-1]) if way else None, label(way[-1]) if way else "entries"


def _sizes(
    best: Candidate, newborn: set[int], per_run: float, fresh_runs: int
) -> tuple[float, float] | tuple[None, None]:
    """Bytes a run that the new entries keep alive alone, and with others; None where it is too much to tell."""
    if best.grower.handler.buffer:
        return per_run, 0.0
    kept = best.kept if best.entries <= _MOST_ENTRIES else retained(best.fresh(newborn), newborn)
    if not kept.whole:
        return None, None
    runs = max(1, fresh_runs)
    return round(kept.bytes_exclusive / runs, 1), round(kept.bytes_shared / runs, 1)


def leaked_way(entries: list[Any], newborn: set[int]) -> list[Any]:
    """From one of the latest entries to the nearest thing that a user would recognise; else the entry alone."""
    latest = [entry for entry in entries if not safe.is_plain(entry)][-50:][::-1]
    way = nearest(latest, newborn, is_of_interest)
    if way:
        return way
    return latest[:1] or entries[-1:]
