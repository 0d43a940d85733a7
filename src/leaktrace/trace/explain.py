"""The whole trace as one readable list of steps: run again, find the holder, name it, size it, prove it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from leaktrace.trace import fingerprint, naming, proof
from leaktrace.trace.fix import fix_for
from leaktrace.trace.growth import living
from leaktrace.trace.holder import Candidate, Search, candidates, describe, from_survivors
from leaktrace.trace.model import Exhibit, Holder, Proof, Site
from leaktrace.trace.notes import Budget, Notes
from leaktrace.trace.observe import Observation, observe
from leaktrace.trace.sites import Places, bytes_between, frames, sites_between
from leaktrace.trace.source import Sources
from leaktrace.trace.things import is_interesting_type


_MOST_ALSO = 3


@dataclass(slots=True)
class _Answer:
    """What was found so far; each part fills in its own."""

    holder: Holder | None = None
    best: Candidate | None = None
    also: tuple[Candidate, ...] = ()
    leaked: type | None = None
    label: str = "entries"
    sites: tuple[Site, ...] = ()
    types: tuple[tuple[str, float], ...] = ()
    python_bytes: float = 0.0
    proof: Proof = Proof(status="untried", detail="nothing was found that could be taken out")


def explain(
    run: Callable[[], None],
    *,
    settle: Callable[[], None],
    runs: int = 6,
    budget_s: float = 10.0,
    own: tuple[str, ...] = ("leaktrace", "_pytest", "pluggy", "pytest"),
    test_files: tuple[str, ...] = (),
    growth_bytes_per_run: float | None = None,
) -> Exhibit:
    """Say why what a suspect leaves behind is alive, where it was made, and prove it.

    Only for a throw-away process: it runs the suspect several times more, and at the end empties the holder.

    Args:
        run: executes the suspect once: setup, call, teardown.
        settle: quietens the process (collects garbage, clears the interpreter's caches).
        runs: how many further runs to look at; fewer where the time does not suffice.
        budget_s: seconds that all of this may take.
        own: packages that are no part of the suspect and never a holder.
        test_files: source files of tests, whose modules are the last to be named.
        growth_bytes_per_run: by how much the suspect grows a run, all kinds of memory together, where that is known.

    Returns:
        What was found; parts that failed are notes in it. Raises nothing but an interrupt.
    """
    notes, budget, answer = Notes(), Budget(budget_s), _Answer()
    places, sources = Places(own), Sources()
    frozen = gc.get_freeze_count() > 0
    if frozen:
        gc.unfreeze()  # what the user froze must be seen, too; it is frozen again at the end
    seen: Observation | None = None
    try:
        with notes.part("the suspect"):
            seen = observe(run, settle, runs=runs, budget=budget, own=own, places=places, notes=notes)
        if seen is not None:
            answer.types = seen.survivors.per_run(seen.batches, own)
            with notes.part("the holder"):
                _find_holder(answer, seen, own, test_files)
            with notes.part("the lines"):
                _find_sites(answer, seen, places, sources)
            with notes.part("the proof"):
                answer.proof = _prove(answer, settle)
    finally:
        if frozen:
            gc.freeze()
    return _exhibit(answer, notes, growth_bytes_per_run)


def _find_holder(answer: _Answer, seen: Observation, own: tuple[str, ...], test_files: tuple[str, ...]) -> None:
    newborn = seen.survivors.ids
    search = Search(
        own=own, test_files=frozenset(test_files), hidden=(seen, answer, newborn, seen.growers, *seen.growers)
    )
    ranked = candidates(seen.growers, search, newborn)
    reached = [candidate for candidate in ranked if candidate.path and not candidate.weak]
    if reached:
        best = reached[0]
        fresh_runs = sum(seen.batches[1:]) + (1 if seen.adders else 0)
        answer.best = best
        answer.holder, answer.leaked, answer.label = describe(best, newborn, runs=seen.runs, fresh_runs=fresh_runs)
        held = best.kept.objects
        answer.also = tuple(c for c in reached[1:] if held & c.kept.objects)[:_MOST_ALSO]
        return
    wanted = _newest(seen)
    found = from_survivors(wanted[0], newborn, search, per_run=wanted[1]) if wanted[0] else None
    if found is not None:
        answer.holder, answer.leaked, answer.label = found


def _newest(seen: Observation) -> tuple[set[int], float]:
    """The survivors of the type that rises most, a user's type first, and how many there are a run."""
    best: tuple[tuple[bool, float], int] | None = None
    first, last = seen.survivors.counts[0], seen.survivors.counts[-1]
    for key, cls in seen.survivors.types.items():
        rate = (last.get(key, 0) - first.get(key, 0)) / max(1, sum(seen.batches[1:]))
        rank = (is_interesting_type(cls), rate)
        if rate > 0 and (best is None or rank > best[0]):
            best = (rank, key)
    if best is None:
        return set(), 0.0
    ids = {id(obj) for obj in living(seen.survivors.ids) if id(type(obj)) == best[1]}
    return ids, best[0][1]


def _find_sites(answer: _Answer, seen: Observation, places: Places, sources: Sources) -> None:
    runs = seen.batches[-1]
    answer.python_bytes = bytes_between(seen.before, seen.after, runs=runs, places=places)
    made = sites_between(seen.before, seen.after, runs=runs, places=places, preferred=seen.preferred, sources=sources)
    adding: tuple[Site, ...] = ()
    if answer.best is not None:
        stacks = seen.adders.get(id(answer.best.grower.container), {})
        adding = tuple(_adding(places.of_suspect(stack), count, sources) for stack, count in _most(stacks))
    answer.sites = (*made, *adding)


def _most(stacks: dict[tuple[tuple[str, int], ...], int]) -> list[tuple[tuple[tuple[str, int], ...], int]]:
    return sorted(stacks.items(), key=lambda entry: (-entry[1], entry[0]))[:1]


def _adding(stack: tuple[tuple[str, int], ...], count: int, sources: Sources) -> Site:
    file, line = stack[0]
    return Site(
        file=file,
        line=line,
        function=sources.function(file, line),
        bytes_per_run=0.0,
        count_per_run=float(count),
        code=sources.code(file, line),
        stack=frames(stack, sources),
        adds=True,
    )


def _prove(answer: _Answer, settle: Callable[[], None]) -> Proof:
    best, holder = answer.best, answer.holder
    if best is None or holder is None:
        return answer.proof if holder is None else Proof(status="untried", detail=f"{holder.name} is no container")
    if holder.kind == "thread":
        return Proof(status="untried", detail="a running thread cannot be taken out")
    expected = proof.expect(best.kept, answer.leaked)
    if best.grower.handler.buffer:
        lengths = best.grower.lengths
        expected = replace(expected, bytes_exclusive=lengths[-1] - lengths[1])
    removals = [_removal(holder.name, best), *(_removal(_name(also), also) for also in answer.also)]
    also_paths_dropped(answer)
    return proof.prove(removals, expected, settle=settle, heap_bytes=heap_bytes)


def also_paths_dropped(answer: _Answer) -> None:
    """Let go of every path and step: what they pass through must be free to die."""
    for candidate in (answer.best, *answer.also):
        if candidate is not None:
            candidate.path, candidate.steps, candidate.root = [], [], None


def _name(candidate: Candidate) -> str:
    return naming.steps(candidate.root, candidate.path)[-1].name if candidate.root else "another holder"


def _removal(name: str, candidate: Candidate) -> proof.Removal:
    grower, owner = candidate.grower, candidate.owner
    length = grower.handler.length(grower.container)
    if owner is not None:

        def clear() -> None:
            grower.content = None
            type(owner).cache_clear(owner)

        return proof.Removal(name, length - grower.lengths[0], clear)
    entries = 0 if grower.handler.buffer else length - grower.lengths[1]
    return proof.Removal(name, entries, lambda: grower.handler.restore(grower.container, grower.content))


def heap_bytes() -> int | None:
    """Living bytes of the C heap, or None where the platform does not tell."""
    try:
        import psutil  # noqa: PLC0415 - only here, and absent in no installation of ours

        info = psutil.heap_info()
    except (ImportError, AttributeError, OSError, NotImplementedError):
        return sys.getallocatedblocks() * 64 or None
    return int(info.heap_used + info.mmap_used)


def _exhibit(answer: _Answer, notes: Notes, growth_bytes_per_run: float | None) -> Exhibit:
    holder = answer.holder
    native = growth_bytes_per_run is not None and answer.python_bytes < growth_bytes_per_run / 2
    allocating = next((site for site in answer.sites if not site.adds), None)
    if holder is not None:
        fix = fix_for(holder.kind, holder=holder.name, leaked=answer.label, bound=holder.bound)
        mark = fingerprint.of_path(holder.kind, holder.path)
    else:
        fix = fix_for("native" if native else "c-code", holder="", leaked="") if allocating else ""
        mark = fingerprint.of_site(allocating, answer.types)
    exhibit = Exhibit(
        holder=holder,
        sites=answer.sites,
        proof=answer.proof,
        fix=fix,
        types_per_run=answer.types,
        fingerprint=mark,
        native=native,
    )
    return replace(exhibit, notes=tuple(notes.lines))
