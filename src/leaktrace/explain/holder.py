"""From growing containers and survivors to the holder: which one it is, its path, its labels."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from leaktrace.explain.bounds import bound_of
from leaktrace.explain.dead_entries import are_dead
from leaktrace.explain.holder_kinds import are_lost, kind_of
from leaktrace.explain.labels import grows_here, propagate
from leaktrace.explain.leaked_objects import doing, is_of_interest, label
from leaktrace.explain.model import Holder, Hop
from leaktrace.explain.references import slot_of
from leaktrace.heap import naming, roots, safe
from leaktrace.heap.containers import fill_of, lru_caches
from leaktrace.heap.growth import Grower
from leaktrace.heap.naming import Step
from leaktrace.heap.retained import Retained, nearest, retained
from leaktrace.heap.search import Search
from leaktrace.lines.allocations import Stack
from leaktrace.pristine import gc, threading


_MOST_CACHES = 4
"""Full caches on the way to survivors that are walked around; each costs a sweep."""
_MOST_REPLACED = 40
"""Things that each run replaces, and that lie nearer to a root than what it keeps; each costs no more than its path."""
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


@dataclass(frozen=True, slots=True)
class Chain:
    """A holder that is no container of its own.

    Attributes:
        holder: as the report shows it.
        label: what the leaked thing is called.
        cut: cuts the leaked things off; None where that cannot be done from outside.
        changes: a number that rises when the holder is added to; None where that cannot be seen.
        entries: how many are taken out by that; 0 where the whole is set to None.
        raised: tells the stack of the raise that was last added to an exception's traceback, where it is that.
        beside: survivors of the same type that it does not hold: each run replaces them elsewhere.
    """

    holder: Holder
    label: str
    cut: Callable[[], object] | None
    changes: Callable[[], int] | None
    entries: int = 0
    raised: Callable[[], Stack] | None = None
    beside: frozenset[int] = frozenset()


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
    hops = _above(named[:-1], best.root)
    noun, unit = safe.type_name(grower.container), " bytes" if grower.handler.buffer else ""
    bound = bound_of(named)
    if bound is not None and are_lost(grower.container, newborn, grew=grower.lengths[-1] - grower.lengths[0]):
        noun = f"{noun} of at most {bound[0]} keys, none of which can be found again"
    hops.append(_grows(named[-1], noun, per_run, unit))
    alone, shared = _sizes(best, newborn, per_run, fresh_runs)
    way = leaked_way(best.fresh(newborn), newborn)
    tail = naming.onward(named[-1], way) if best.owner is None else naming.cached(named[-1], way)
    hops += [_born(step, newborn) for step in tail]
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


def _above(named: Sequence[Step], root: roots.Root | None) -> list[Hop]:
    """The hops above the accumulation point, with what the root is part of before them."""
    hops = [_fine(step, index, root) for index, step in enumerate(named)]
    if root is not None and root.place:
        hops.insert(0, Hop(edge="", name=root.place, type="", leaking="NO", reason=root.reason))
    return hops


def _fine(step: Step, index: int, root: roots.Root | None) -> Hop:
    if index == 0 and root is not None and not root.place:
        why = root.reason
    elif safe.inherits(step.obj, type):
        why = "a class lives as long as its module"
    else:
        why = "existed before the runs"
    return Hop(edge=step.edge, name=step.name, type=safe.type_name(step.obj), leaking="NO", reason=why)


def _born(step: Step, newborn: set[int]) -> Hop:
    if gc.is_tracked(step.obj):
        new = id(step.obj) in newborn
        leaking, why = ("YES", "created in these runs") if new else ("UNKNOWN", "existed before these runs")
        if (named := safe.callable_name(step.obj)) is not None:
            why = f"{why}: {named}()"
        if safe.inherits(step.obj, threading.Thread) and (busy := doing(step.obj)) is not None:
            why = f"{why}, still running {busy}"
    else:
        leaking, why = "YES", "new entry"
    return Hop(edge=step.edge, name=step.name, type=safe.type_name(step.obj), leaking=leaking, reason=why)  # type: ignore[arg-type]


def from_survivors(ids: set[int], newborn: set[int], search: Search, *, per_run: float) -> Chain | None:
    """The holder where no container grows in place.

    That is a chain, a container that is replaced by a longer copy, or an instance that gets ever more attributes.

    Args:
        ids: the survivors to look for.
        newborn: all survivors.
        search: finds paths.
        per_run: survivors a run.
    """
    root, path, beside = _way_to_most(ids, newborn, search)
    if root is None:
        return None
    named = naming.steps(root, path)
    split = next((i for i, step in enumerate(named) if id(step.obj) in newborn), len(named) - 1)
    above, first = named[:split], named[split]
    if above and id(first.obj) in ids and _held(above[-1].obj, ids) > 1:
        return _attributes(above, first, root, per_run, ids)
    replaced = _held(first.obj, ids) > 1 and any(
        type(first.obj) is kind for kind in (tuple, list, dict, set, frozenset)
    )
    noun = f"{safe.type_name(first.obj)}, replaced by a longer copy" if replaced else "chain"
    hops = [*_above(above, root), _grows(first, noun, per_run), *(_born(step, newborn) for step in named[split + 1 :])]
    special = kind_of(named[: split + 1])
    kind = ("replaced" if replaced else "chain") if special.endswith("-container") else special
    holder = Holder(name=first.name, kind=kind, path=propagate(hops), entries_per_run=round(per_run, 3))
    slot = slot_of(above[-1].obj, first.obj) if above else None
    if slot is None:
        return Chain(holder, label(named[-1].obj), None, None)
    return Chain(holder, label(named[-1].obj), slot.cut, slot.changes, raised=slot.raised, beside=beside)


def _way_to_most(
    ids: set[int], newborn: set[int], search: Search
) -> tuple[roots.Root | None, list[Any], frozenset[int]]:
    """The way to the survivor nearest to a root, beyond or beside which most of them are; and the lone ones elsewhere.

    Not every survivor is what grows: of what each run replaces there is always a new one. And full caches keep new
    entries, too.
    """
    ways: dict[object, tuple[roots.Root | None, list[Any]]] = {}
    kept: dict[object, set[int]] = {}
    left, caches = set(ids), 0
    for _ in range(_MOST_CACHES + _MOST_REPLACED):
        root, path = search.nearest(left)
        if root is None:
            break
        full = next((obj for obj in path if _is_full(obj)), None)
        if full is not None:
            caches += 1
            if caches == _MOST_CACHES:
                break
            search.avoid(full)
            continue
        first = next((i for i, obj in enumerate(path) if id(obj) in newborn), len(path) - 1)
        owner = id(path[first - 1]) if first else root.place
        # With its fellows that the same owner refers to.
        fellows = [child for child in _children(path[first - 1]) if id(child) in ids] if first else []
        found = retained([path[first], *fellows], newborn).objects & ids
        ways.setdefault(owner, (root, path))
        kept.setdefault(owner, set()).update(found)
        if 2 * len(kept[owner]) >= len(ids) or not found:
            break
        left -= found
    if not kept:
        return None, [], frozenset()
    most = max(kept, key=lambda owner: len(kept[owner]))
    return *ways[most], frozenset[int]().union(*(each for key, each in kept.items() if key != most and len(each) == 1))


def _is_full(obj: object) -> bool:
    """Whether it is a cache that lets go of an entry for each new one: what it holds is new, and no growth."""
    most, filled = fill_of(obj) or (None, 0)
    return most is not None and filled >= most > 1


def _attributes(above: list[Step], first: Step, root: roots.Root, per_run: float, ids: set[int]) -> Chain:
    """An object that existed before and gets one more attribute each time."""
    owner = above[-1]
    grown = Step(owner.obj, ".__dict__", "instance-container", f"{owner.name}.__dict__")
    hops = [*_above(above, root), _grows(grown, "attributes", per_run), _born(first, ids)]
    holder = Holder(name=grown.name, kind="instance-container", path=propagate(hops), entries_per_run=round(per_run, 3))
    names = safe.instance_namespace(owner.obj)

    def remove() -> None:
        for key in [key for key, value in dict.items(names or {}) if id(value) in ids]:
            dict.__delitem__(names, key)  # type: ignore[arg-type]

    if names is None:
        return Chain(holder, label(first.obj), None, None)
    return Chain(holder, label(first.obj), remove, lambda: dict.__len__(names), entries=_held(owner.obj, ids))


def _held(owner: Any, ids: set[int]) -> int:
    """How many of some objects an object refers to, by itself or by its dict."""
    return sum(id(child) in ids for child in _children(owner))


def _children(owner: Any) -> list[Any]:
    names = safe.instance_namespace(owner)
    return gc.get_referents(owner) if names is None else list(dict.values(names))


def _grows(step: Step, noun: str, per_run: float, unit: str = "") -> Hop:
    return Hop(
        edge=step.edge,
        name=step.name,
        type=safe.type_name(step.obj),
        leaking="UNKNOWN",
        reason=grows_here(noun, per_run, unit),
    )
