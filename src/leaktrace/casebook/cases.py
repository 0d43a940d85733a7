"""Suspect and response → case; pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath

from leaktrace.casebook.model import Case, Known
from leaktrace.errors import FileError
from leaktrace.explain.fingerprint import of_site, of_thing
from leaktrace.explain.known_leaks import KnownLeak, match
from leaktrace.explain.model import Exhibit
from leaktrace.probes.model import HEAP_BYTES, RSS_BYTES, Thing, Unread
from leaktrace.probes.words import remedy
from leaktrace.replay.protocol import Response
from leaktrace.serialize import Bounds, decode
from leaktrace.suspects.groups import SUITE
from leaktrace.suspects.model import Limits, Suspect
from leaktrace.verdict import outcome
from leaktrace.verdict.evidence import record_of
from leaktrace.verdict.judge import WEIGHT, group_of, judge_kinds
from leaktrace.verdict.model import Rate, Record, Ruling, Verdict
from leaktrace.verdict.rules import Rules


DEFAULT_LIMIT_BYTES = 10_000_000
MOST_OF_IT = 0.7
"""Of a suspect's growth: what is explained when so much of it is."""
MAPPED = ("shared memory", "memfd")
"""Things whose bytes count as resident in who maps them, and are no heap."""
OF_A_TRACE = Bounds(longest=10_000, most=1_000)
"""What a child may tell of one suspect; more would be no explanation."""


def case_of(suspect: Suspect, response: Response | None, *, limit_bytes: int) -> Case:
    """The case of one suspect, from what its replay answered; None means that nothing could be asked of a child."""
    case = Case(
        suspect=suspect,
        verdict=outcome.UNASKED.verdict,
        reason=outcome.UNASKED.reason,
        things=suspect.things,
        fixture=suspect.name if suspect.subject == "fixture" else None,
        reproduce=_reproduce(suspect, limit_bytes),
    )
    return case if response is None else _judged(case, response)


def is_allowed(case: Case, limits: Limits) -> bool:
    """Whether what its replay named is left out by a pattern, or no more a run than is allowed.

    A watch asks before it accuses; a hunt accuses by a count alone.
    """
    if not case.things or case.verdict is Verdict.UNREPLAYABLE:
        return False
    nodeid = case.suspect.name if case.suspect.subject == "test" else None
    rate = case.per_run.get(case.counter or "")
    allowed = limits.allowed(case.suspect.kind, nodeid)
    return limits.ignores(case.things, nodeid) or bool(allowed and rate is not None and rate.estimate <= allowed)


def folded(cases: Sequence[Case]) -> list[Case]:
    """The cases without the memory of suspects that are shown to leak shared memory: what they map is resident with it.

    Heap does not show it again, which says nothing against the suite's growth. A leak of heap beside it stays.
    """
    mapping = {
        case.suspect.key[:3]
        for case in cases
        if case.verdict is Verdict.LEAK and any(thing.noun in MAPPED for thing in case.things)
    }
    return [
        case
        for case in cases
        if case.suspect.kind != "memory" or case.suspect.key[:3] not in mapping or _is_of_heap(case)
    ]


def _is_of_heap(case: Case) -> bool:
    return case.verdict is Verdict.LEAK and case.counter != RSS_BYTES.name


def with_rates(case: Case, rates: Mapping[str, Rate]) -> Case:
    """The case with rates of counters that only the parent could read (blocks, references), from its repeats."""
    return replace(case, per_run={**rates, **case.per_run}) if rates else case


def evidence(response: Response) -> Record | None:
    """The record that a response is judged by; None where it failed before there was enough to judge."""
    batches = len(response.readings) - 1 - response.warmups
    if response.failure is not None and batches < Rules().min_batches:
        return None
    return record_of(
        response.counters,
        response.readings,
        warmups=response.warmups,
        batch_runs=response.batch_runs,
        unread=response.unread,
        spent=response.failure or response.spent or "runs",
        known=response.defined,
        rested=response.rested,
    )


def concluded(case: Case, said: outcome.Outcome) -> Case:
    """The case with what is finally said of it."""
    return replace(case, verdict=said.verdict, reason=said.reason)


def _judged(case: Case, response: Response) -> Case:
    case = replace(case, runs=response.runs, warmups=response.warmups, batch_runs=response.batch_runs)
    record = evidence(response)
    if record is None:
        return concluded(case, outcome.not_repeatable(response.failure, runs=response.runs))
    ruling = judge_kinds(record).get(group_of(case.suspect.kind), outcome.NOT_READ)
    things = _things(case, response)
    share = max(1, len(case.suspect.nodeids)) if case.suspect.subject == "group" else 1
    if group_of(case.suspect.kind) == "memory":
        exhibit = _exhibit(response)
        said = outcome.of_memory(
            case.suspect,
            record,
            ruling,
            exhibit.holder,
            proved=exhibit.proof.status == "proved",
            share=share,
            quiet_runs=exhibit.quiet_runs,
            native=exhibit.native,
        )
    else:
        exhibit = _exhibit_of(case, things)
        said = outcome.of_things(case.suspect.kind, ruling, things)
    whole = replace(
        concluded(case, said),
        counter=ruling.counter,
        per_run={
            name: Rate(estimate=rate.estimate / share, low=rate.low / share, high=rate.high / share)
            for name, rate in ruling.rates.items()
        },
        readings={
            **{name: series.values for name, series in record.series.items()},
            **{name: (Unread(counter=name, why=why),) for name, why in response.unread.items()},
        },
        exhibit=exhibit,
        things=case.things if things is None else things,
    )
    return _by_cause(whole, ruling) if exhibit.beside else whole


def _by_cause(case: Case, ruling: Ruling) -> Case:
    """The case of the gravest of several causes, with those of the others beside it; each has its own verdict."""
    cases = []
    for exhibit in (case.exhibit, *case.exhibit.beside):
        holder = exhibit.holder
        if holder is None:
            continue
        said = outcome.of_cause(ruling, holder, proved=exhibit.proof.status == "proved")
        size_bytes = holder.held_bytes_per_run
        rates = {HEAP_BYTES.name: Rate(estimate=size_bytes, low=size_bytes, high=size_bytes)}
        own = concluded(replace(case, exhibit=replace(exhibit, beside=())), said)
        cases.append(replace(own, per_run=rates, counter=HEAP_BYTES.name) if size_bytes else own)
    cases.sort(key=lambda each: -WEIGHT.get(each.verdict, -1))
    first, *others = (replace(each, cause=number) for number, each in enumerate(cases))
    return replace(first, beside=tuple(others))


def _things(case: Case, response: Response) -> tuple[Thing, ...] | None:
    """What the replay named of this kind; None where it named nothing at all."""
    if response.things is None:
        return None
    try:
        found = tuple(decode(Thing, each, at="things", bounds=OF_A_TRACE) for each in response.things)
    except FileError:
        return None
    # What the watch could not list stands there under its counter's name, and may be of any kind that shares it.
    nameless = all(thing.noun == case.suspect.counter for thing in case.things)
    kinds = (
        outcome.SHARING if nameless and case.things and case.suspect.kind in outcome.SHARING else (case.suspect.kind,)
    )
    return tuple(thing for thing in found if thing.kind in kinds)


def _exhibit_of(case: Case, things: tuple[Thing, ...] | None) -> Exhibit:
    """What to do about things, and a short name of their cause."""
    newest = next(iter(things or case.things), None)
    if newest is None:
        return Exhibit()
    return Exhibit(
        fix=remedy(newest, fixture=bool(newest.owner) or case.suspect.subject == "fixture"),
        fingerprint=of_thing(newest, owner=newest.owner or case.suspect.name),
    )


def _exhibit(response: Response) -> Exhibit:
    if response.exhibit is None:
        return Exhibit()
    try:
        return decode(Exhibit, response.exhibit, bounds=OF_A_TRACE)
    except FileError as exc:
        return Exhibit(notes=(f"the trace could not be read: {exc}",))


def _reproduce(suspect: Suspect, limit_bytes: int) -> str:
    """A command that shows the same: a hunt where the growth of one run is below any limit on resident memory."""
    if suspect.subject == "group" and suspect.name == SUITE:
        return f"pytest --leaktrace{'' if limit_bytes == DEFAULT_LIMIT_BYTES else f' --leaktrace-limit={limit_bytes}'}"
    target = suspect.nodeids[0] if suspect.subject == "fixture" else suspect.name
    if suspect.things:
        return f"pytest --leaktrace {shlex.quote(target)}"
    if suspect.counter not in (RSS_BYTES.name, HEAP_BYTES.name) or suspect.grew_by < outcome.SMALL_BYTES:
        return f"pytest --leaktrace-hunt {shlex.quote(target)}"
    limit = "" if limit_bytes == DEFAULT_LIMIT_BYTES else f"--leaktrace-limit={limit_bytes} "
    return f"pytest --leaktrace {limit}{shlex.quote(target)}"


def with_runnable_command(case: Case, paths: Mapping[str, str], cwd: str) -> Case:
    """The case with a command that finds its file from where pytest was started.

    A node id begins at pytest's root, wherever that is, and under `--pyargs` where the package's own folder ends.
    """
    asked = case.suspect.nodeids[0] if case.suspect.subject == "fixture" else case.suspect.name
    file, colons, rest = asked.partition("::")
    first = case.suspect.nodeids[0] if case.suspect.nodeids else ""
    path, here = PurePath(paths.get(first, "")), PurePath(cwd)
    if first.partition("::")[0] != file or first not in paths or here / file == path:
        return case
    command = case.reproduce.removesuffix(shlex.quote(asked))
    if command == case.reproduce:
        return case  # a bisection's, which tells the test by its own name and then what to collect
    found = path.relative_to(here) if path.is_relative_to(here) else path
    return replace(case, reproduce=f"{command}{shlex.quote(f'{found}{colons}{rest}')}")


def after_others(case: Case, before: Sequence[str], command: str) -> Case:
    """The case of a test that was replayed after others, with a command that shows the same."""
    return replace(case, after=tuple(before), reproduce=command)


def as_known(case: Case, versions: Mapping[str, str], rows: Sequence[KnownLeak]) -> Case:
    """The case with whose leak it is, where a row of the table describes it and the version at fault is installed."""
    row = match(case.exhibit, versions, rows) if case.verdict in (Verdict.LEAK, Verdict.UNDECIDED) else None
    if row is None:
        return case
    version = versions[row.package]
    known = Known(id=row.id, package=row.package, version=version, blame=row.blame, remedy=row.remedy)
    return replace(case, known=known, status="known")


def with_native(case: Case, response: Response) -> Case:
    """The case with the stacks that memray saw in a child of its own, before the lines that were found without it."""
    seen, known = _exhibit(response), case.exhibit
    mark = known.fingerprint or of_site(next(iter(seen.sites), None), ())
    notes = (*known.notes, *seen.notes)
    return replace(case, exhibit=replace(known, sites=(*seen.sites, *known.sites), notes=notes, fingerprint=mark))


def is_decided(case: Case) -> bool:
    """Whether each cause that was found has a verdict, and together they are most of what grows."""
    cases = (case, *case.beside)
    if any(each.verdict is Verdict.UNDECIDED for each in cases):
        return False
    held = sum(each.exhibit.holder.held_bytes_per_run for each in cases if each.exhibit.holder is not None)
    return case.exhibit.quiet_runs > 0 or held >= MOST_OF_IT * _grown_bytes_per_run(case)


def _grown_bytes_per_run(case: Case) -> float:
    """By how much the heap grew with each run after the warm-ups; 0 where that was not read."""
    read = [value for value in case.readings.get(HEAP_BYTES.name, ())[case.warmups :] if not isinstance(value, Unread)]
    runs = case.batch_runs * (len(read) - 1)
    return (read[-1] - read[0]) / runs if runs > 0 else 0.0


def regrown_bytes(case: Case) -> float:
    """The most by which the heap, or else resident memory, was larger in the replay than before its first run."""
    for name in (HEAP_BYTES.name, RSS_BYTES.name):
        read = [value for value in case.readings.get(name, ()) if not isinstance(value, Unread)]
        if read:
            return max(read) - read[0]
    return 0.0


def flattened(cases: Iterable[Case]) -> list[Case]:
    """The cases, each followed by those of its suspect's other causes."""
    return [one for case in cases for one in (replace(case, beside=()), *case.beside)]


def merged_cases(cases: Iterable[Case]) -> list[Case]:
    """Several processes' cases: of one suspect the gravest verdict stands; LEAK first, then by growth."""
    found: dict[tuple[str, ...], list[Case]] = {}
    for case in cases:
        cause = case.exhibit.fingerprint if case.cause else ""
        found.setdefault((*case.suspect.key, cause), []).append(case)
    merged = [_gravest(each) for each in found.values()]
    return sorted(merged, key=lambda case: (-WEIGHT.get(case.verdict, -1), -case.suspect.grew_by))


def _gravest(cases: Sequence[Case]) -> Case:
    """One case of one suspect; each process saw a part of a group or of a fixture's setups, but a whole test."""
    gravest = max(cases, key=lambda case: WEIGHT.get(case.verdict, -1))
    if gravest.suspect.subject == "test":
        return gravest
    suspects = [case.suspect for case in cases]
    whole = replace(
        gravest.suspect,
        tests=sum(each.tests for each in suspects),
        grew_by=sum(each.grew_by for each in suspects),
        worker=",".join(dict.fromkeys(each.worker for each in suspects)),
    )
    return replace(gravest, suspect=whole)
