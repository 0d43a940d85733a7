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
from leaktrace.probes.model import HEAP_BYTES, REFS, RSS_BYTES, Thing, Unread
from leaktrace.probes.words import remedy
from leaktrace.replay.protocol import Response
from leaktrace.serialize import Bounds, decode
from leaktrace.suspects.groups import SUITE
from leaktrace.suspects.model import Limits, Suspect
from leaktrace.verdict.evidence import record_of
from leaktrace.verdict.judge import WEIGHT, group_of, judge_kinds
from leaktrace.verdict.model import Rate, Record, Ruling, Verdict
from leaktrace.verdict.rules import Rules
from leaktrace.words import size


DEFAULT_LIMIT_BYTES = 10_000_000
SHARING = ("fds", "sockets")
MAPPED = ("shared memory", "memfd")
"""Things whose bytes count as resident in who maps them, and are no heap."""
OF_A_TRACE = Bounds(longest=10_000, most=1_000)
"""What a child may tell of one suspect; more would be no explanation."""
NOT_READ = Ruling(verdict=Verdict.UNDECIDED, reason="what counts this could not be read in the replay child")
SMALL_BYTES = 1_000_000
"""Growth of a run below which resident memory is too coarse to show it again."""
TRICKLE = 0.005
"""Growth of a run below this part of what was seen in the suite is not what was seen there."""


def case_of(suspect: Suspect, response: Response | None, *, limit_bytes: int) -> Case:
    """The case of one suspect, from what its replay answered; None means that nothing could be asked of a child."""
    case = Case(
        nodeid=suspect.name,
        subject=suspect.subject,
        kind=suspect.kind,
        verdict=Verdict.UNREPLAYABLE,
        reason="the file of the test is not known, so no child could be told to run it",
        tests=suspect.tests,
        nodeids=suspect.nodeids,
        suspect_why=suspect.why,
        suspect_counter=suspect.counter,
        grew_by=suspect.grew_by,
        imports=suspect.imports,
        worker=suspect.worker,
        scope=suspect.scope,
        where=suspect.where,
        things=suspect.things,
        fixture=suspect.name if suspect.subject == "fixture" else None,
        reproduce=_reproduce(suspect, limit_bytes),
    )
    return case if response is None else _judged(case, response)


def key(case: Case) -> tuple[str, ...]:
    """What tells a case from others, and whom it is the case of: subject, name, place, kind of leak."""
    return (case.subject, case.nodeid, case.where, case.kind)


def is_allowed(case: Case, limits: Limits) -> bool:
    """Whether what its replay named is left out by a pattern, or no more a run than is allowed.

    A watch asks before it accuses; a hunt accuses by a count alone.
    """
    if not case.things or case.verdict is Verdict.UNREPLAYABLE:
        return False
    nodeid = case.nodeid if case.subject == "test" else None
    rate = case.per_run.get(case.counter or "")
    allowed = limits.allowed(case.kind, nodeid)
    return limits.ignores(case.things, nodeid) or bool(allowed and rate is not None and rate.estimate <= allowed)


def folded(cases: Sequence[Case]) -> list[Case]:
    """The cases without the memory of suspects that are shown to leak shared memory: what they map is resident with it.

    Heap does not show it again, which says nothing against the suite's growth. A leak of heap beside it stays.
    """
    mapping = {
        (case.subject, case.nodeid, case.where)
        for case in cases
        if case.verdict is Verdict.LEAK and any(thing.noun in MAPPED for thing in case.things)
    }
    return [
        case
        for case in cases
        if case.kind != "memory"
        or case.verdict is Verdict.LEAK
        or (case.subject, case.nodeid, case.where) not in mapping
    ]


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


def _judged(case: Case, response: Response) -> Case:
    case = replace(case, runs=response.runs, warmups=response.warmups, batch_runs=response.batch_runs)
    record = evidence(response)
    if record is None:
        return replace(case, reason=_failure(response))
    ruling = judge_kinds(record).get(group_of(case.kind), NOT_READ)
    things = _things(case, response)
    share = max(1, len(case.nodeids)) if case.subject == "group" else 1
    if group_of(case.kind) == "memory":
        exhibit = _exhibit(response)
        verdict, reason = _by_size(case, record, ruling, share) or _by_holder(ruling, exhibit)
    else:
        exhibit = _exhibit_of(case, things)
        verdict, reason = _by_things(case, ruling, things)
    return replace(
        case,
        verdict=verdict,
        reason=reason,
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


def _by_size(case: Case, record: Record, ruling: Ruling, share: int) -> tuple[Verdict, str] | None:
    """What a trickle leaves of an accusation of megabytes: they came once, or not at all; None where it fits."""
    heap, rate = record.series.get(HEAP_BYTES.name), ruling.rates.get(HEAP_BYTES.name)
    if case.grew_by < SMALL_BYTES or not case.suspect_counter.endswith("_bytes") or heap is None or rate is None:
        return None
    if ruling.verdict is Verdict.ONE_TIME:
        return None
    accused = case.grew_by / max(1, case.tests) * share
    if rate.high >= accused * TRICKLE:
        return None
    first, warm = heap.values[0], heap.values[record.warmups]
    once = 0 if isinstance(first, Unread) or isinstance(warm, Unread) else warm - first
    rest = f"{size(max(0.0, rate.estimate))} of heap a run"
    if once >= accused / 2:
        return Verdict.ONE_TIME, f"grew by {size(once)} in the first runs and not again; what is left is {rest}"
    if ruling.verdict is Verdict.STEADY:
        return None
    return Verdict.STEADY, f"its growth, {rest}, does not explain the {size(accused)} of the suite"


def _things(case: Case, response: Response) -> tuple[Thing, ...] | None:
    """What the replay named of this kind; None where it named nothing at all."""
    if response.things is None:
        return None
    try:
        found = tuple(decode(Thing, each, at="things", bounds=OF_A_TRACE) for each in response.things)
    except FileError:
        return None
    # What the watch could not list stands there under its counter's name, and may be of any kind that shares it.
    nameless = all(thing.noun == case.suspect_counter for thing in case.things)
    kinds = SHARING if nameless and case.things and case.kind in SHARING else (case.kind,)
    return tuple(thing for thing in found if thing.kind in kinds)


def _exhibit_of(case: Case, things: tuple[Thing, ...] | None) -> Exhibit:
    """What to do about things, and a short name of their cause."""
    newest = next(iter(things or case.things), None)
    if newest is None:
        return Exhibit()
    return Exhibit(
        fix=remedy(newest, fixture=bool(newest.owner) or case.subject == "fixture"),
        fingerprint=of_thing(newest, owner=newest.owner or case.nodeid),
    )


def _by_things(case: Case, ruling: Ruling, things: tuple[Thing, ...] | None) -> tuple[Verdict, str]:
    """Sockets and files share one counter: which of them grew, their names tell."""
    if ruling.verdict is Verdict.LEAK and things is not None and not things and case.kind in SHARING:
        return Verdict.STEADY, f"no {case.kind} among what the runs left behind, though descriptors are"
    return ruling.verdict, ruling.reason


def _failure(response: Response) -> str:
    if response.runs == 0:
        return f"{response.failure}"
    return f"not repeatable: {response.failure}"


def _exhibit(response: Response) -> Exhibit:
    if response.exhibit is None:
        return Exhibit()
    try:
        return decode(Exhibit, response.exhibit, bounds=OF_A_TRACE)
    except FileError as exc:
        return Exhibit(notes=(f"the trace could not be read: {exc}",))


def _by_holder(ruling: Ruling, exhibit: Exhibit) -> tuple[Verdict, str]:
    """Statistics tell growth; the holder tells leak from cache, and from references that keep nothing alive."""
    holder = exhibit.holder
    if ruling.verdict is Verdict.LEAK and ruling.counter == REFS.name:
        if holder is None:
            return Verdict.UNDECIDED, f"no object was found whose count rises with the runs; {ruling.reason}"
        if holder.kind == "shared-references":
            return Verdict.STEADY, f"nothing is kept by it that would go otherwise: {holder.name} {ruling.reason}"
    if ruling.verdict in (Verdict.LEAK, Verdict.UNDECIDED) and holder is not None and holder.bound is not None:
        filled = "" if holder.filled is None else f"{holder.filled} of "
        return Verdict.CACHE, f"{holder.name} holds {filled}at most {holder.bound} entries; {ruling.reason}"
    return ruling.verdict, ruling.reason


def _reproduce(suspect: Suspect, limit_bytes: int) -> str:
    """A command that shows the same: a hunt where the growth of one run is below any limit on resident memory."""
    if suspect.subject == "group" and suspect.name == SUITE:
        return f"pytest --leaktrace{'' if limit_bytes == DEFAULT_LIMIT_BYTES else f' --leaktrace-limit={limit_bytes}'}"
    target = suspect.nodeids[0] if suspect.subject == "fixture" else suspect.name
    if suspect.things:
        return f"pytest --leaktrace {shlex.quote(target)}"
    if suspect.counter not in (RSS_BYTES.name, HEAP_BYTES.name) or suspect.grew_by < SMALL_BYTES:
        return f"pytest --leaktrace-hunt {shlex.quote(target)}"
    limit = "" if limit_bytes == DEFAULT_LIMIT_BYTES else f"--leaktrace-limit={limit_bytes} "
    return f"pytest --leaktrace {limit}{shlex.quote(target)}"


def with_runnable_command(case: Case, paths: Mapping[str, str], cwd: str) -> Case:
    """The case with a command that finds its file from where pytest was started.

    A node id begins at pytest's root, wherever that is, and under `--pyargs` where the package's own folder ends.
    """
    asked = case.nodeids[0] if case.subject == "fixture" else case.nodeid
    file, colons, rest = asked.partition("::")
    first = case.nodeids[0] if case.nodeids else ""
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


def merged_cases(cases: Iterable[Case]) -> list[Case]:
    """Several processes' cases: of one suspect the gravest verdict stands; LEAK first, then by growth."""
    found: dict[tuple[str, str, str, str], list[Case]] = {}
    for case in cases:
        found.setdefault((case.subject, case.nodeid, case.where, case.kind), []).append(case)
    merged = [_gravest(each) for each in found.values()]
    return sorted(merged, key=lambda case: (-WEIGHT.get(case.verdict, -1), -case.grew_by))


def _gravest(cases: Sequence[Case]) -> Case:
    """One case of one suspect; each process saw a part of a group or of a fixture's setups, but a whole test."""
    gravest = max(cases, key=lambda case: WEIGHT.get(case.verdict, -1))
    if gravest.subject == "test":
        return gravest
    return replace(
        gravest,
        tests=sum(case.tests for case in cases),
        grew_by=sum(case.grew_by for case in cases),
        worker=",".join(dict.fromkeys(case.worker for case in cases)),
    )
