"""From survivors to the holder where no container grows in place: a chain, a longer copy, ever more attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leaktrace.explain.holder_kinds import kind_of
from leaktrace.explain.labels import above_of, born, growing, propagate
from leaktrace.explain.leaked_objects import label
from leaktrace.explain.model import Holder
from leaktrace.explain.references import slot_of
from leaktrace.heap import naming, roots, safe
from leaktrace.heap.containers import fill_of
from leaktrace.heap.naming import Step
from leaktrace.heap.retained import retained
from leaktrace.heap.search import Search
from leaktrace.lines.allocations import Stack
from leaktrace.pristine import gc


_MOST_CACHES = 4
"""Full caches on the way to survivors that are walked around; each costs a sweep."""
_MOST_REPLACED = 40
"""Things that each run replaces, and that lie nearer to a root than what it keeps; each costs no more than its path."""


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
    hops = [
        *above_of(above, root),
        growing(first, noun, per_run),
        *(born(step, newborn) for step in named[split + 1 :]),
    ]
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
    hops = [*above_of(above, root), growing(grown, "attributes", per_run), born(first, ids)]
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
