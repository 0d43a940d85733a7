"""The whole trace as one readable list of steps: run again, find the holder, name it, size it, prove it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from leaktrace.explain import fingerprint, forgotten_references, proof
from leaktrace.explain.budget import Budget, Notes
from leaktrace.explain.findings import HolderFound, Scope, find, search_of
from leaktrace.explain.fix import fix_for
from leaktrace.explain.model import Exhibit, Proof
from leaktrace.explain.observe import LINE_TRACE_SLOWDOWN, Observation, observe
from leaktrace.lines import native
from leaktrace.lines.allocations import Places, Stack, bytes_between, site_of, sites_between
from leaktrace.lines.line_watch import LineWatch
from leaktrace.lines.model import Site
from leaktrace.lines.source import Sources
from leaktrace.pristine import gc, sys


_FROZEN_AT_START = 1_000  # CPython 3.12 starts with some hundred frozen objects of its own
_LEAST_NATIVE_BYTES = 64
_NATIVE_SHARE_S = 0.5


@dataclass(slots=True)
class _Answer:
    """What was found so far; each part fills in its own."""

    finding: HolderFound | None = None
    made: tuple[Site, ...] = ()
    adding: tuple[Site, ...] = ()
    types: tuple[tuple[str, float], ...] = ()
    native: bool = False
    proof: Proof = field(
        default_factory=lambda: Proof(status="untried", detail="nothing was found that could be taken out")
    )


def explain(
    run: Callable[[], None],
    *,
    settle: Callable[[], None],
    runs: int = 6,
    budget_s: float = 10.0,
    own: tuple[str, ...] = ("leaktrace", "_pytest", "pluggy", "pytest"),
    plugins: tuple[str, ...] = (),
    test_files: tuple[str, ...] = (),
    root: str = "",
    growth_bytes_per_run: float | None = None,
    references: bool = False,
    mirrored: bool = False,
) -> Exhibit:
    """Say why what a suspect leaves behind is alive, where it was made, and prove it.

    Only for a throw-away process: it runs the suspect several times more, and at the end empties the holder.

    Args:
        run: executes the suspect once: setup, call, teardown.
        settle: quietens the process (collects garbage, clears the interpreter's caches).
        runs: how many further runs to look at; fewer where the time does not suffice.
        budget_s: seconds that all of this may take.
        own: packages that are no part of the suspect and never a holder.
        plugins: modules that only work around tests, whose lines are told where there are no others.
        test_files: source files of tests, whose modules are the last to be named.
        root: the folder of the suite.
        growth_bytes_per_run: by how much the suspect grows a run, all kinds of memory together, where that is known.
        references: whether it was the number of references that was seen to grow.
        mirrored: whether objects that stay may have taken these references: then what holds them is looked for first.

    Returns:
        What was found; parts that failed are notes in it. Raises nothing but an interrupt.
    """
    notes, budget, answer = Notes(), Budget(budget_s), _Answer()
    places, sources = Places(own, plugins), Sources()
    frozen = gc.get_freeze_count() > _FROZEN_AT_START
    if frozen:
        gc.unfreeze()  # what the user froze must be seen, too; it is frozen again at the end
    seen: Observation | None = None
    try:
        with notes.part("the suspect"):
            seen = observe(run, settle, runs=runs, budget=budget, places=places, notes=notes)
        if seen is not None:
            answer.types = seen.survivors.per_run(seen.batches, own)
            with notes.part("the allocating lines"):
                _find_sites(answer, seen, places, sources, growth_bytes_per_run)
            scope = Scope(own, frozenset(test_files))
            if not references or mirrored:
                with notes.part("the holder"):
                    answer.finding = find(seen, scope, sites=answer.made, notes=notes)
            if references and answer.finding is None:
                answer.made = ()  # what was allocated meanwhile has nothing to do with it
                with notes.part("the references"):
                    answer.finding = forgotten_references.find(run, settle, partial(search_of, seen, scope), root=root)
            with notes.part("the adding line"):
                stacks = _adding_stacks(answer.finding, seen, run, places=places, sources=sources, budget=budget)
                answer.adding = _adding(stacks, places, sources)
            if growth_bytes_per_run and seen.after and not answer.made and answer.finding is None:
                answer.native = True  # nothing at all of it is Python's
            if answer.native:
                with notes.part("native memory"):
                    _find_native(answer, run, growth_bytes_per_run or 0.0, places=places, budget=budget, notes=notes)
            if not answer.made and places.all is not places and not references:
                with notes.part("the plugins' lines"):
                    _find_sites(answer, seen, places.all, sources, growth_bytes_per_run)
            with notes.part("the proof"):
                _prove(answer, settle)
    finally:
        if frozen:
            gc.freeze()
    return _exhibit(answer, notes)


def _find_sites(
    answer: _Answer, seen: Observation, places: Places, sources: Sources, growth_bytes_per_run: float | None
) -> None:
    runs = seen.batches[-1]
    answer.made = sites_between(
        seen.before,
        seen.after,
        runs=runs,
        places=places,
        preferred=seen.preferred,
        sources=sources,
        growth_bytes_per_run=growth_bytes_per_run,
    )
    if seen.after and growth_bytes_per_run is not None and growth_bytes_per_run >= _LEAST_NATIVE_BYTES:
        python_bytes = bytes_between(seen.before, seen.after, runs=runs, places=places)
        answer.native = python_bytes < growth_bytes_per_run / 2


def _adding_stacks(
    finding: HolderFound | None,
    seen: Observation,
    run: Callable[[], None],
    *,
    places: Places,
    sources: Sources,
    budget: Budget,
) -> dict[Stack, int]:
    """Where the holder was seen to grow; one that is no container is watched in one more run."""
    if finding is None:
        return {}
    if finding.raised is not None:
        run()
        return {finding.raised(): 1}
    if finding.changes is None:
        return seen.adders.get(finding.container, {})
    if budget.left_s() < seen.run_s * LINE_TRACE_SLOWDOWN:
        return {}
    watch = LineWatch([finding.changes], places, budget_s=budget.left_s(), signed=finding.falls)
    watch(run)
    found = watch.found[0]
    return (
        forgotten_references.taking(found, finding.holder.entries_per_run, places, sources) if finding.falls else found
    )


def _adding(stacks: dict[Stack, int], places: Places, sources: Sources) -> tuple[Site, ...]:
    """The suspect's line at which the holder was seen to grow most often."""
    if not stacks:
        return ()
    stack, count = min(stacks.items(), key=lambda entry: (-entry[1], entry[0]))
    part = places.of_suspect(stack)
    if not part:
        return ()
    return (site_of(part, sources, bytes_per_run=0.0, count_per_run=float(count), adds=True),)


def _find_native(
    answer: _Answer, run: Callable[[], None], growth: float, *, places: Places, budget: Budget, notes: Notes
) -> None:
    """The lines that were running when native memory was taken; memray's stacks need a process of their own."""
    if not native.has_memray():
        notes.add(native.HOW_TO_INSTALL)
    if sys.getallocatedblocks():  # the variable itself is put back before the tests can see it
        notes.add("native memory could not be followed line by line: the process runs without PYTHONMALLOC=malloc")
        return
    lines = native.lines_by_elimination(
        run,
        heap_bytes=proof.heap_reader(),
        growth_bytes=growth,
        places=places,
        budget_s=budget.left_s() * _NATIVE_SHARE_S,
    )
    answer.made = (*lines, *(site for site in answer.made if (site.file, site.line) not in _lines(lines)))


def _lines(sites: tuple[Site, ...]) -> set[tuple[str, int]]:
    return {(site.file, site.line) for site in sites}


def _prove(answer: _Answer, settle: Callable[[], None]) -> None:
    finding = answer.finding
    if finding is None:
        return
    if finding.expected is None or not finding.removals:
        answer.proof = Proof(status="untried", detail=finding.untried or answer.proof.detail)
        return
    answer.proof = proof.prove(finding.removals, finding.expected, settle=settle, heap_bytes=proof.heap_reader())


def _exhibit(answer: _Answer, notes: Notes) -> Exhibit:
    holder = answer.finding.holder if answer.finding is not None else None
    best = next(iter(answer.made), None)
    if holder is not None and answer.finding is not None:
        fix = fix_for(holder.kind, holder=holder.name, leaked=answer.finding.label, bound=holder.bound)
        mark = fingerprint.of_path(holder.kind, holder.path)
    else:
        kind = "native" if answer.native else "c-code"
        fix = fix_for(kind, holder="", leaked="") if best is not None or answer.native else ""
        mark = fingerprint.of_site(best, answer.types)
    return Exhibit(
        holder=holder,
        sites=(*answer.made, *answer.adding),
        proof=answer.proof,
        fix=fix,
        types_per_run=answer.types,
        fingerprint=mark,
        native=answer.native,
        notes=tuple(notes.lines),
    )
