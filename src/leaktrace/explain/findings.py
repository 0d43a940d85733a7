"""Which of all that was seen is the holder: the order in which the possibilities are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from types import FrameType

from leaktrace.explain import outside_python, proof
from leaktrace.explain.bounds import bound_of
from leaktrace.explain.budget import Notes
from leaktrace.explain.candidates import Candidate, candidates, describe
from leaktrace.explain.chains import Chain, from_survivors
from leaktrace.explain.endless import never_repeats
from leaktrace.explain.leaked_objects import is_innards, is_interesting_type
from leaktrace.explain.model import Holder, Hop
from leaktrace.explain.observe import Observation
from leaktrace.heap import naming, roots, safe
from leaktrace.heap.growth import Grower, living
from leaktrace.heap.search import Search
from leaktrace.lines.allocations import Stack
from leaktrace.lines.model import Site


_MOST_TYPES = 3
_MOST_ALSO = 3
_MOST_CAUSES = 6
_LIGHT_ENTRY = 100
"""Bytes of an entry that may be no more than the key of something else."""


@dataclass(slots=True)
class HolderFound:
    """A holder, and what is needed to prove it.

    Attributes:
        holder: as the report shows it.
        label: what the leaked thing is called in a sentence.
        removals: ways of taking the new entries out, of this holder first.
        expected: what should die then; None where nothing can be expected.
        untried: why no proof is possible, or "".
        container: identity of the growing container, or 0.
        changes: a number that rises when a holder that is no container is added to, or None.
        falls: whether that number also falls again on the way, as a reference count does.
        raised: tells the stack of the last raise, where a traceback grows with each; or None.
        origins: stacks of what it holds, where they are known.
        new_each_run: whether every run must add to it.
    """

    holder: Holder
    label: str = "entries"
    removals: list[proof.Removal] = field(default_factory=list)
    expected: proof.Expected | None = None
    untried: str = ""
    container: int = 0
    changes: Callable[[], int] | None = None
    falls: bool = False
    raised: Callable[[], Stack] | None = None
    origins: AbstractSet[Stack] = frozenset()
    new_each_run: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose things are looked at: packages that are never a holder, and the files of tests."""

    own: tuple[str, ...]
    test_files: frozenset[str]


def find(
    seen: Observation, scope: Scope, *, sites: Sequence[Site], notes: Notes, growth_bytes_per_run: float = 0.0
) -> list[HolderFound]:
    """The holders of what the runs left behind, that of most of it first; none where Python can see nothing.

    There are several where each holds things of its own: each is a cause by itself.
    """
    ranked = candidates(seen.growers, search_of(seen, scope), seen.survivors.ids)
    reached = [candidate for candidate in ranked if candidate.path and not candidate.weak]
    # What is dead is the cause only of what it weighs itself: something else may grow behind it.
    enough = growth_bytes_per_run * max(1, sum(seen.batches[1:])) / 2
    dead = [each for each in ranked if each.path and each.dead]
    if sum(each.kept.bytes_total for each in dead) < enough:
        dead = []
    reached = reached or dead
    if reached:
        return [_of_container(cause, reached, seen, notes) for cause in _distinct(reached, seen.survivors.ids)]
    other = _other(seen, scope, ranked, sites)
    return [] if other is None else [other]


def _distinct(reached: Sequence[Candidate], newborn: set[int]) -> list[Candidate]:
    """The first, and those that grow as steadily and mostly hold what no earlier one holds."""
    causes: list[Candidate] = []
    claimed: set[int] = set()
    for candidate in reached:
        own = candidate.kept.objects or set(map(id, candidate.fresh(newborn)))
        alone = candidate.grower.steady and own and 2 * len(own & claimed) < len(own)
        follows = _is_of_a_lock(candidate) or any(_is_index_of(candidate, cause) for cause in causes)
        if not causes or (alone and not follows):
            causes.append(candidate)
            claimed |= own
        if len(causes) == _MOST_CAUSES:
            break
    return [cause for cause in causes if not any(_is_kept_in_step(cause, other) for other in causes)]


def _is_kept_in_step(candidate: Candidate, other: Candidate) -> bool:
    """Whether it belongs to whom another one does that is bounded, and grows by the same: both are emptied together."""
    if candidate is other or len(candidate.path) < 2 or len(other.path) < 2:  # noqa: PLR2004 - it and its owner
        return False
    together = candidate.path[-2] is other.path[-2] and candidate.grower.rises == other.grower.rises
    return together and _bound(other) is not None and _bound(candidate) is None


def _bound(candidate: Candidate) -> tuple[int, int] | None:
    return bound_of(naming.steps(candidate.root, candidate.path)) if candidate.root is not None else None


def _is_of_a_lock(candidate: Candidate) -> bool:
    """Whether it is where threads wait for each other: the threads are the cause, and must still be woken."""
    return any(safe.module_of(type(obj)) == "threading" for obj in candidate.path[:-1])


def _is_index_of(candidate: Candidate, cause: Candidate) -> bool:
    """Whether a container of plain values grows in step with another one: it says what that one holds, and no more."""
    light = candidate.kept.bytes_total <= _LIGHT_ENTRY * candidate.entries
    return light and not candidate.kept.objects and candidate.grower.rises == cause.grower.rises


def _other(seen: Observation, scope: Scope, ranked: list[Candidate], sites: Sequence[Site]) -> HolderFound | None:
    """The holder where no container that a root reaches grows in place."""
    newborn = seen.survivors.ids
    itself = outside_python.in_itself(newborn, runs=seen.runs)
    if itself is not None:
        return _beyond(itself)
    risen = newest(seen, scope.own)
    ids, cls, per_run = risen[0]
    if seen.atexit_per_run > 0:
        found = outside_python.at_exit(newborn, per_run=seen.atexit_per_run)
        if found is not None:
            for grower in seen.growers:  # the interpreter's list is among them since CPython 3.14: what it held
                grower.content = None  # at first must not outlive its removal because of us
            return _beyond(found)
    search = search_of(seen, scope)
    if (chain := _of_survivors(risen, seen, search)) is not None:
        return chain
    own = _of_pytest(seen, scope, ranked, ids, search)
    if own is not None:
        return own
    if ids and cls is not None:
        outside = outside_python.in_c_code(ids, safe.class_name(cls), per_run=per_run, sites=sites)
        if outside is not None:
            return _beyond(outside)
    return None


def _of_survivors(
    risen: Sequence[tuple[set[int], type | None, float]], seen: Observation, search: Search
) -> HolderFound | None:
    """What holds the survivors of the first type; of the next, where only a full cache was found for that."""
    for ids, cls, per_run in risen:
        if not ids or cls is None:
            break
        chain = from_survivors(ids, seen.survivors.ids, search, per_run=per_run)
        if chain is not None:
            ours, whole = frozenset(ids) - chain.beside, not chain.entries
            return _of_chain(chain, proof.Expected(ours, safe.class_name(cls), ours, id(cls), 0, cut=whole))
        if not search.avoided:
            break
    return None


def newest(seen: Observation, own: tuple[str, ...]) -> list[tuple[set[int], type | None, float]]:
    """The survivors of the types that rise most; each with its type, and how many a run.

    A user's types come first, those of our `own` packages last: a frame that is kept keeps the runner's locals, too.
    """
    first, last = seen.survivors.counts[0], seen.survivors.counts[-1]
    runs = max(1, sum(seen.batches[1:]))
    types = {key: cls for key, cls in seen.survivors.types.items() if not is_innards(cls)}
    rates = {key: (last.get(key, 0) - first.get(key, 0)) / runs for key in types}
    risen = [key for key, rate in rates.items() if rate > 0.2]  # noqa: PLR2004 - 1 in 4 runs, with some air
    foreign = {key: not safe.is_within(safe.module_of(types[key]), own) for key in risen}
    risen.sort(key=lambda key: (foreign[key], is_interesting_type(types[key]), rates[key]), reverse=True)
    # A search never walks through the runner's own frames.
    alive = [
        obj
        for obj in living(seen.survivors.ids)
        if type(obj) is not FrameType or not safe.is_within(safe.module_of_frame(obj), own)
    ]
    return [
        ({id(obj) for obj in alive if id(type(obj)) == key}, types[key], rates[key]) for key in risen[:_MOST_TYPES]
    ] or [(set(), None, 0.0)]


def search_of(seen: Observation, scope: Scope) -> Search:
    """A search for ways from named roots, of which nothing that we made ourselves is a part."""
    hidden = (seen, seen.survivors.ids, seen.growers, *seen.growers)
    return Search(own=scope.own, test_files=scope.test_files, hidden=hidden)


def _of_container(best: Candidate, reached: Sequence[Candidate], seen: Observation, notes: Notes) -> HolderFound:
    """What is to be said of one container, and of the others that hold some of the same."""
    fresh_runs = sum(seen.batches[1:]) + seen.watched_runs
    if best.owner is not None:  # of a C cache, all that is new is taken for an entry
        fresh_runs += seen.batches[0]
    holder, leaked, label = describe(best, seen.survivors.ids, runs=seen.runs, fresh_runs=fresh_runs)
    key = id(best.grower.container)
    finding = HolderFound(holder, label, container=key, origins=seen.origins.get(key, frozenset()))
    grew = best.grower.lengths[-1] - best.grower.lengths[0]
    entries = best.fresh(seen.survivors.ids)
    finding.new_each_run = never_repeats(best.grower.container, entries, seen.survivors.ids, grew=grew)
    del entries
    if holder.kind == "thread":
        finding.untried = "a running thread cannot be taken out"
        return finding
    held = best.kept.objects
    also = [other for other in reached if other is not best and held & other.kept.objects][:_MOST_ALSO]
    finding.expected = proof.expect(best.kept, leaked)
    if best.grower.handler.buffer:
        lengths = best.grower.lengths
        finding.expected = replace(finding.expected, bytes_exclusive=lengths[-1] - lengths[1])
    finding.removals = [_removal(holder.name, best)]
    for candidate in also:
        name = naming.steps(candidate.root, candidate.path)[-1].name if candidate.root else "another holder"
        notes.add(f"also held by {name}")
        finding.removals.append(_removal(name, candidate))
    return finding


def _removal(name: str, candidate: Candidate) -> proof.Removal:
    """How to take the new entries of a candidate out; holds the container alone, no path to it."""
    grower, owner = candidate.grower, candidate.owner
    length = grower.handler.length(grower.container)
    if owner is not None:

        def clear() -> None:
            grower.content = None
            type(owner).cache_clear(owner)

        return proof.Removal(name, length - grower.lengths[0], clear, whole=True)
    entries = 0 if grower.handler.buffer else length - grower.lengths[1]
    return proof.Removal(name, entries, partial(_restore, grower), partial(_restore, grower, rehearsing=True))


def _restore(grower: Grower, *, rehearsing: bool = False) -> None:
    """Put the content back that the container had after the first batch; in a dry run, the one that it has."""
    content = grower.handler.copy(grower.container) if rehearsing else grower.content
    grower.handler.restore(grower.container, content)


def _of_chain(chain: Chain, expected: proof.Expected) -> HolderFound:
    name = chain.holder.name
    if chain.cut is None:
        return HolderFound(chain.holder, chain.label, untried=f"{name} cannot be replaced from outside")
    removal = proof.Removal(name, chain.entries, chain.cut)
    return HolderFound(chain.holder, chain.label, [removal], expected, changes=chain.changes, raised=chain.raised)


def _beyond(found: outside_python.Beyond) -> HolderFound:
    if found.remove is None or found.kept is None:
        why = "what holds itself" if found.holder.kind == "self-class" else "what C code holds"
        return HolderFound(found.holder, found.label, untried=f"{why} cannot be taken out")
    removal = proof.Removal(found.holder.name, found.entries, found.remove)
    expected = proof.expect(found.kept, found.leaked)
    return HolderFound(found.holder, found.label, [removal], expected, changes=found.changes)


def _of_pytest(
    seen: Observation, scope: Scope, ranked: list[Candidate], ids: set[int], search: Search
) -> HolderFound | None:
    """What only the test runner keeps, named as its own, never by its internals."""
    if not any(package in {"pytest", "_pytest"} for package in scope.own):
        return None
    holding = {id(c.grower.container) for c in ranked if not c.weak and _holds_most(c, ids)}
    if not search.widen(("leaktrace",), holding | ids):
        return None
    reached = search.find(holding, enough=1) if holding else set()
    for target in reached or {id(path[-1]) for path in [search.nearest(ids)[1]] if path}:
        _root, path = search.path(target)
        if not any(map(roots.is_runners, path)):
            continue
        grower = next((c.grower for c in ranked if id(c.grower.container) == target), None)
        per_run = grower.per_run(seen.runs) if grower else len(ids) / max(1, seen.runs)
        hop = Hop(edge="", name="pytest itself", type="", leaking="NO", reason="it keeps this until the session ends")
        holder = Holder(name="pytest itself", kind="pytest", path=(hop,), entries_per_run=round(per_run, 3))
        return HolderFound(holder, untried="what pytest keeps is not the suspect's")
    return None


def _holds_most(candidate: Candidate, ids: set[int]) -> bool:
    """Whether the new entries of a container keep most of what survived."""
    return 2 * len(candidate.kept.objects & ids) >= len(ids)
