"""The whole trace as one readable list of steps: run again, find the holder, name it, size it, prove it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from leaktrace.explain import fingerprint, forgotten_references, proof
from leaktrace.explain.budget import Budget, Notes
from leaktrace.explain.endless import throws_away
from leaktrace.explain.findings import HolderFound, Scope, find, search_of
from leaktrace.explain.fix import fix_for
from leaktrace.explain.inquiry import Inquiry
from leaktrace.explain.model import Exhibit, Proof
from leaktrace.explain.observe import LINE_TRACE_SLOWDOWN, Observation, observe, quiet_runs
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
    """What was found so far of one cause; each part fills in its own. The first has the others `beside` it."""

    finding: HolderFound | None = None
    made: tuple[Site, ...] = ()
    adding: tuple[Site, ...] = ()
    types: tuple[tuple[str, float], ...] = ()
    native: bool = False
    quiet_runs: int = 0
    endless: bool = False
    beside: list[_Answer] = field(default_factory=list)
    proof: Proof = field(
        default_factory=lambda: Proof(status="untried", detail="nothing was found that could be taken out")
    )


# Long: each of its settings is told of; what it does is a list of steps.
def explain(
    run: Callable[[], object],
    *,
    settle: Callable[[], object],
    runs: int = 6,
    budget_s: float = 10.0,
    own: tuple[str, ...] = ("leaktrace", "_pytest", "pluggy", "pytest"),
    plugins: tuple[str, ...] = (),
    test_files: tuple[str, ...] = (),
    root: str = "",
    growth_bytes_per_run: float | None = None,
    references: bool = False,
    mirrored: bool = False,
    counted: bool = True,
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
        counted: whether it was malloc's bytes that were seen to grow.
        mirrored: whether objects that stay may have taken these references: then what holds them is looked for first.

    Returns:
        What was found; parts that failed are notes in it. Raises nothing but an interrupt.
    """
    places, notes, answer = Places(own, plugins), Notes(), _Answer()
    inquiry = Inquiry(
        run, settle, places, Sources(), Budget(budget_s), notes, growth_bytes_per_run, references, counted
    )
    frozen = gc.get_freeze_count() > _FROZEN_AT_START
    if frozen:
        gc.unfreeze()  # what the user froze must be seen, too; it is frozen again at the end
    seen: Observation | None = None
    try:
        with notes.part("the suspect"):
            seen = observe(inquiry, runs=runs)
        if seen is not None:
            answer.types = seen.survivors.per_run(seen.batches, own)
            _find_all(answer, inquiry, seen, Scope(own, frozenset(test_files)), root=root, mirrored=mirrored)
            for each in (answer, *answer.beside):
                with notes.part("the proof"):
                    _prove(each, settle)
    finally:
        if frozen:
            gc.freeze()
    beside = tuple(_exhibit(each, Notes()) for each in answer.beside)
    return replace(_exhibit(answer, notes), beside=beside)


def _find_all(answer: _Answer, inquiry: Inquiry, seen: Observation, scope: Scope, *, root: str, mirrored: bool) -> None:
    """Look for the holder and the lines, one part after the other; a part that fails costs itself alone."""
    places, part, by_references = inquiry.places, inquiry.notes.part, inquiry.references
    with part("the allocating lines"):
        _find_sites(answer, inquiry, seen, places)
    if not by_references or mirrored:
        with part("the holder"):
            growth = inquiry.growth_bytes_per_run or 0.0
            found = find(seen, scope, sites=answer.made, notes=inquiry.notes, growth_bytes_per_run=growth)
            answer.finding = next(iter(found), None)
            answer.beside = [_Answer(finding=each) for each in found[1:]]
    if not by_references and _has_stopped(answer, inquiry):
        return
    if by_references and answer.finding is None:
        answer.made = ()  # what was allocated meanwhile has nothing to do with it
        with part("the references"):
            search = partial(search_of, seen, scope)
            answer.finding = forgotten_references.find(inquiry.run, inquiry.settle, search, root=root)
    for each in (answer, *answer.beside):
        with part("the adding line"):
            each.adding = _adding(_adding_stacks(each.finding, inquiry, seen), inquiry)
            each.endless = _is_endless(each, inquiry)
    if answer.beside:
        with part("the allocating lines of each cause"):
            for each in (answer, *answer.beside):
                _keep_own_sites(each, inquiry, seen)
    if inquiry.growth_bytes_per_run and seen.after and not answer.made and answer.finding is None:
        answer.native = True  # nothing at all of it is Python's
    if answer.native:
        with part("native memory"):
            _find_native(answer, inquiry)
    if not answer.made and places.all is not places and not by_references:
        with part("the plugins' lines"):
            _find_sites(answer, inquiry, seen, places.all)


def _has_stopped(answer: _Answer, inquiry: Inquiry) -> bool:
    """Whether nothing grows any more; then what was found is what each run replaces."""
    if answer.finding is not None and answer.finding.container:
        return False
    with inquiry.notes.part("whether growth goes on"):
        answer.quiet_runs = quiet_runs(inquiry)
    if answer.quiet_runs:
        answer.finding, answer.made, answer.native = None, (), False
    return answer.quiet_runs > 0


def _find_sites(answer: _Answer, inquiry: Inquiry, seen: Observation, places: Places) -> None:
    runs, growth_bytes_per_run = seen.batches[-1], inquiry.growth_bytes_per_run
    answer.made = sites_between(
        seen.before,
        seen.after,
        runs=runs,
        places=places,
        preferred=seen.preferred,
        sources=inquiry.sources,
        growth_bytes_per_run=growth_bytes_per_run,
    )
    if seen.after and growth_bytes_per_run is not None and growth_bytes_per_run >= _LEAST_NATIVE_BYTES:
        python_bytes = bytes_between(seen.before, seen.after, runs=runs, places=places)
        answer.native = python_bytes < growth_bytes_per_run / 2


def _is_endless(answer: _Answer, inquiry: Inquiry) -> bool:
    finding = answer.finding
    if finding is None or not finding.new_each_run or finding.holder.bound is not None or finding.holder.dead:
        return False
    adding = next(iter(answer.adding), None)
    return finding.holder.steady and not throws_away(finding.holder.name, adding, inquiry.sources)


def _keep_own_sites(answer: _Answer, inquiry: Inquiry, seen: Observation) -> None:
    """Leave a cause the lines that made what it holds itself."""
    finding = answer.finding
    if finding is None:
        return
    before, after = (
        {stack: live[stack] for stack in finding.origins if stack in live} for live in (seen.before, seen.after)
    )
    answer.made = sites_between(
        before,
        after,
        runs=seen.batches[-1],
        places=inquiry.places,
        preferred=seen.preferred,
        sources=inquiry.sources,
        growth_bytes_per_run=finding.holder.held_bytes_per_run or None,
    )


def _adding_stacks(finding: HolderFound | None, inquiry: Inquiry, seen: Observation) -> dict[Stack, int]:
    """Where the holder was seen to grow; one that is no container is watched in one more run."""
    if finding is None:
        return {}
    if finding.raised is not None:
        inquiry.run()
        return {finding.raised(): 1}
    if finding.changes is None:
        return seen.adding_stacks.get(finding.container, {})
    budget, places = inquiry.budget, inquiry.places
    if budget.left_s() < seen.run_s * LINE_TRACE_SLOWDOWN:
        return {}
    watch = LineWatch([finding.changes], places, budget_s=budget.left_s(), signed=finding.falls)
    watch(inquiry.run)
    rises = watch.found[0]
    if not finding.falls:
        return rises
    return forgotten_references.taking(rises, finding.holder.entries_per_run, places, inquiry.sources)


def _adding(stacks: dict[Stack, int], inquiry: Inquiry) -> tuple[Site, ...]:
    """The suspect's line at which the holder was seen to grow most often."""
    if not stacks:
        return ()
    stack, count = min(stacks.items(), key=lambda entry: (-entry[1], entry[0]))
    part = inquiry.places.of_suspect(stack)
    if not part:
        return ()
    return (site_of(part, inquiry.sources, bytes_per_run=0.0, count_per_run=float(count), adds=True),)


def _find_native(answer: _Answer, inquiry: Inquiry) -> None:
    """The lines that were running when native memory was taken; memray's stacks need a process of their own."""
    if not native.has_memray():
        inquiry.notes.add(native.HOW_TO_INSTALL)
    if sys.getallocatedblocks():  # the variable itself is put back before the tests can see it
        why = "the process runs without PYTHONMALLOC=malloc"
        inquiry.notes.add(f"native memory could not be followed line by line: {why}")
        return
    lines = native.lines_by_elimination(
        inquiry.run,
        heap_bytes=proof.heap_reader(),
        growth_bytes=inquiry.growth_bytes_per_run or 0.0,
        places=inquiry.places,
        budget_s=inquiry.budget.left_s() * _NATIVE_SHARE_S,
    )
    answer.made = (*lines, *(site for site in answer.made if (site.file, site.line) not in _lines(lines)))


def _lines(sites: tuple[Site, ...]) -> set[tuple[str, int]]:
    return {(site.file, site.line) for site in sites}


def _prove(answer: _Answer, settle: Callable[[], object]) -> None:
    finding = answer.finding
    if finding is None:
        return
    if finding.expected is None or not finding.removals:
        answer.proof = Proof(status="untried", detail=finding.untried or answer.proof.detail)
        return
    answer.proof = proof.prove(finding.removals, finding.expected, settle=settle, heap_bytes=proof.heap_reader())


def _exhibit(answer: _Answer, notes: Notes) -> Exhibit:
    holder = replace(answer.finding.holder, endless=answer.endless) if answer.finding is not None else None
    best = next(iter(answer.made), None)
    if answer.quiet_runs:
        return Exhibit(quiet_runs=answer.quiet_runs, types_per_run=answer.types, notes=tuple(notes.lines))
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
        quiet_runs=answer.quiet_runs,
    )
