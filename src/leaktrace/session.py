"""The conductor: the whole way of a run as one readable list of steps. It knows the rooms, and not pytest.

A process that ran tests ends with a `Part`: its ledger, its suspects, their cases. Parts of several processes (xdist)
are bound into one casebook.
"""

from __future__ import annotations

import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from leaktrace import __version__
from leaktrace.casebook.accounts import fixtures_of, groups_of, process_of
from leaktrace.casebook.cases import as_known, askable, case_of, is_borne, merged_cases, who, with_rates
from leaktrace.casebook.model import Case, Casebook
from leaktrace.casebook.wire import case_from_json, case_to_json
from leaktrace.changes import credited
from leaktrace.codec import decode, encode
from leaktrace.errors import LeaktraceError
from leaktrace.hunt import Game, decided_in_place
from leaktrace.ledger.model import Ledger
from leaktrace.ledger.wire import from_wire, to_wire
from leaktrace.native import followed
from leaktrace.options import KINDS, Mode, Options
from leaktrace.order import Hearing, heard_again
from leaktrace.probes.model import REFS
from leaktrace.replay.letters import Settings, Task, targets_of
from leaktrace.replay.runner import Bounds, replay
from leaktrace.suspects.accuse import accuse, doubtful, notes, ranked
from leaktrace.suspects.groups import group_names
from leaktrace.suspects.model import Limits, Note, Suspect
from leaktrace.trace.known import KnownLeak, installed, table
from leaktrace.verdict.judge import group_of
from leaktrace.verdict.model import Verdict


HEAVY_BYTES = 32_000_000
SLOW_S = 0.5
MOST_MEMORY_BYTES = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one process found."""

    ledger: Ledger
    suspects: tuple[Suspect, ...] = ()
    cases: tuple[Case, ...] = ()
    notes: tuple[Note, ...] = ()
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    overhead_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a process must know to replay its own suspects.

    Attributes:
        folder: where this run's letters go.
        settings: the process's own, taken before the first test.
        paths: each test's file.
        workers: how many processes share the machine and the groups.
        marked: options of tests with a marker.
        game: what a hunt has found in place, or None.
        known: known leaks of others that the user has added.
    """

    folder: Path
    settings: Settings
    paths: Mapping[str, str]
    workers: int = 1
    marked: Mapping[str, Options] = field(default_factory=dict)
    game: Game | None = None
    known: tuple[KnownLeak, ...] = ()


def limits_of(options: Options, marked: Mapping[str, Options], workers: int) -> Limits:
    """What is suspicious in one of several processes: a group is spread over them, a test is not."""
    return Limits(
        test_bytes=options.limit_bytes,
        group_bytes=max(1, options.limit_bytes // workers),
        own_bytes={nodeid: own.limit_bytes for nodeid, own in marked.items() if own.mode is not Mode.OFF},
        left_out=frozenset(nodeid for nodeid, own in marked.items() if own.mode is Mode.OFF),
        ignore=options.ignore,
        confirming=options.mode is not Mode.WATCH,
        own_ignore={nodeid: own.ignore for nodeid, own in marked.items()},
        allow=options.allow,
        own_allow={nodeid: own.allow for nodeid, own in marked.items()},
    )


def conclude(
    ledger: Ledger,
    options: Options,
    context: Context,
    *,
    replaying: bool,
    warnings: Sequence[str] = (),
    progress: Callable[[int, int, str], None] = lambda _done, _all, _name: None,
    clock: Callable[[], float] = time.monotonic,
) -> Part:
    """Ledger → suspects → replay → verdicts, for one process."""
    began, game = clock(), context.game
    limits = limits_of(options, context.marked, context.workers)
    replaying = replaying and options.mode is not Mode.WATCH
    found = [*_suspects(ledger, limits, game), *(doubtful(ledger, limits) if replaying else ())]
    suspects = [each for each in found if is_wanted(each.kind, options)]
    part = Part(
        ledger=ledger,
        suspects=tuple(suspects),
        notes=tuple(each for each in notes(ledger, limits) if each.slug == "unclosed" or is_wanted("memory", options)),
        warnings=tuple(warnings),
        left_out=tuple(game.not_taken) if game is not None else (),
    )
    if not replaying:
        return part
    decided = decided_in_place(suspects, game, limit_bytes=options.limit_bytes)
    open_ones = [number for number in range(len(suspects)) if number not in decided and replayed(suspects[number])]
    bounds = Bounds(jobs=options.jobs, budget_s=options.budget_s, timeout_s=options.timeout_s)
    tasks = plans([(number, suspects[number]) for number in open_ones], context, options)
    try:
        outcome = replay(
            soonest_first([task for task in dict.fromkeys(tasks.values()) if task.targets], suspects),
            context.settings,
            bounds,
            context.folder,
            kinds=tuple(sorted(options.kinds)),
            progress=lambda done, count, ident: progress(
                done, count, suspects[ident].name if ident is not None else ""
            ),
        )
    except (LeaktraceError, OSError) as exc:
        # The suspects are known all the same; only what would prove them is missing.
        return without_doubts(
            replace(part, warnings=(*part.warnings, f"the suspects could not be replayed: {exc}")),
            cases=(),
            left_out=part.left_out,
            overhead_s=clock() - began,
        )
    hearings = [
        Hearing(suspect=suspects[number], task=task, case=case)
        for number, task in tasks.items()
        if task.ident not in outcome.left_out
        for case in [case_of(suspects[number], outcome.answers.get(task.ident), limit_bytes=options.limit_bytes)]
    ]
    heard = heard_again(
        hearings,
        ledger,
        context.settings,
        paths=context.paths,
        bounds=replace(bounds, budget_s=_left(bounds.budget_s, clock() - began)),
        folder=context.folder,
        kinds=tuple(sorted(options.kinds)),
        limit_bytes=options.limit_bytes,
        unclear=game.unclear() if game is not None else (),
    )
    bounds = replace(bounds, budget_s=_left(options.budget_s, clock() - began))
    cases = followed(heard, context.settings, bounds=bounds, folder=context.folder)
    prey = game.prey if game is not None else {}
    borne = {who(case) for case in cases if is_borne(case, limits)}
    cases = [case for case in cases if who(case) not in borne]
    bounds = replace(bounds, budget_s=_left(options.budget_s, clock() - began))
    left = [each for each in suspects if _whom(each) not in borne]
    named = credited(left, context.settings, paths=context.paths, bounds=bounds, folder=context.folder)
    part = replace(part, suspects=named)
    cases = whose([with_rates(case, prey[case.nodeid].rates if case.nodeid in prey else {}) for case in cases], context)
    return without_doubts(
        part,
        cases=tuple(askable(case, context.paths, context.settings.cwd) for case in (*cases, *decided.values())),
        left_out=(*part.left_out, *(suspects[ident].name for ident in outcome.left_out)),
        overhead_s=clock() - began + (game.spent_s if game is not None else 0.0),
    )


def whose(cases: Sequence[Case], context: Context) -> list[Case]:
    """The cases, with those that are known leaks of others named so; the user's own rows come first."""
    rows = (*context.known, *table())
    versions = installed(rows) if any(case.exhibit.fingerprint for case in cases) else {}
    return [as_known(case, versions, rows) for case in cases]


def _whom(suspect: Suspect) -> tuple[str, ...]:
    return (suspect.subject, suspect.name, suspect.where, suspect.kind)


def _left(budget_s: float | None, spent_s: float) -> float | None:
    return None if budget_s is None else max(0.0, budget_s - spent_s)


def without_doubts(part: Part, *, cases: tuple[Case, ...], left_out: tuple[str, ...], overhead_s: float) -> Part:
    """The part with its cases; a doubtful suspect that was not proved is what the watch took it for, garbage."""
    in_doubt = {suspect.name for suspect in part.suspects if suspect.doubtful}
    proved = {case.nodeid for case in cases if case.verdict is Verdict.LEAK and case.nodeid in in_doubt}
    return replace(
        part,
        suspects=tuple(each for each in part.suspects if not each.doubtful or each.name in proved),
        cases=tuple(each for each in cases if each.nodeid not in in_doubt - proved or each.kind != "memory"),
        notes=tuple(note for note in part.notes if note.slug != "garbage" or note.nodeid not in proved),
        left_out=left_out,
        overhead_s=overhead_s,
    )


def _suspects(ledger: Ledger, limits: Limits, game: Game | None) -> list[Suspect]:
    """What the watch accuses, and what the hunt has found beyond it."""
    watched = accuse(ledger, limits)
    if game is None:
        return watched
    known = {(suspect.name, group_of(suspect.kind)) for suspect in watched if suspect.subject == "test"}
    hunted = [each for each in game.suspects(ledger.worker) if (each.name, group_of(each.kind)) not in known]
    failed = [each for each in game.unrepeatable_suspects(ledger.worker) if (each.name, "memory") not in known]
    return [*watched, *hunted, *failed]


def is_wanted(kind: str, options: Options) -> bool:
    """Whether somebody has asked for leaks of a kind; those that share a counter share its suspects."""
    return kind not in KINDS or any(group_of(kind) == group_of(each) for each in options.kinds)


def replayed(suspect: Suspect) -> bool:
    """Whether running it again can tell more: changed state is a fact, and a second change to the same is none."""
    return suspect.kind != "state"


def plans(suspects: Sequence[tuple[int, Suspect]], context: Context, options: Options) -> dict[int, Task]:
    """A task for each suspect, by its number; those of one test or fixture share one, whatever kinds they are of."""
    shared: dict[tuple[str, str, str], list[tuple[int, Suspect]]] = {}
    for number, suspect in suspects:
        shared.setdefault((suspect.subject, suspect.name, suspect.where), []).append((number, suspect))
    tasks: dict[int, Task] = {}
    for several in shared.values():
        first, suspect = several[0]
        task = replace(
            plan(first, suspect, context, options),
            kinds=tuple({each.kind for _number, each in several}),
            references=any(_by_references(each, context.game) for _number, each in several),
        )
        tasks.update(dict.fromkeys((number for number, _each in several), task))
    return tasks


def soonest_first(tasks: Sequence[Task], suspects: Sequence[Suspect]) -> list[Task]:
    """The tasks in the order in which a budget finds most.

    A slow test takes the time of ten others, and the variants of one function tend to leak what the first one does.
    """
    seen: Counter[str] = Counter()
    order: dict[int, tuple[bool, int]] = {}
    for task in tasks:
        suspect = suspects[task.ident]
        function = group_names(suspect.name).get("function", suspect.name)
        order[task.ident] = (suspect.duration_s > SLOW_S, seen[function])
        seen[function] += 1
    return sorted(tasks, key=lambda task: order[task.ident])


def _by_references(suspect: Suspect, game: Game | None) -> bool:
    """Whether a hunt saw the number of references grow, beside others or alone."""
    prey = game.prey.get(suspect.name) if game is not None else None
    rate = prey.rates.get(REFS.name) if prey is not None else None
    return suspect.counter == REFS.name or (rate is not None and rate.low > 0)


def plan(number: int, suspect: Suspect, context: Context, options: Options) -> Task:
    """How a suspect is run again: heavy or slow ones with a reading after each run, and fewer runs."""
    heavy = suspect.grew_by > HEAVY_BYTES or suspect.duration_s > SLOW_S
    memory = min(MOST_MEMORY_BYTES, psutil.virtual_memory().available // (2 * options.jobs * context.workers))
    return Task(
        ident=number,
        targets=targets_of(suspect.nodeids, context.paths),
        scope=suspect.scope,
        warmups=2 if heavy else 3,
        batch_runs=1 if heavy else 3,
        memory_bytes=memory,
    )


def bind(
    parts: Sequence[Part],
    options: Options,
    *,
    started_at: float,
    duration_s: float,
    warnings: Sequence[str] = (),
    whole: bool = True,
) -> Casebook:
    """One casebook of all processes' parts.

    With `whole`, tests and groups are in it one by one, as the JSON has them; the terminal needs neither.
    """
    ledgers = [part.ledger for part in parts]
    suspects = [each for each in ranked(s for part in parts for s in part.suspects) if _over(each, options)]
    names = {_whom(each) for each in suspects}
    merged = merged_cases(case for part in parts for case in part.cases)
    cases = [case for case in merged if who(case) in names]
    return Casebook(
        mode=options.mode.value,
        limit_bytes=options.limit_bytes,
        python=platform.python_version(),
        platform=platform.platform(),
        tool={"name": "pytest-leaktrace", "version": __version__, "implementation": sys.implementation.name},
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started_at)),
        duration_s=duration_s,
        overhead_s=max((part.overhead_s for part in parts), default=0.0),
        processes=tuple(process_of(ledger) for ledger in ledgers),
        tests=tuple(span for ledger in ledgers for span in ledger.spans()) if whole else (),
        fixtures=tuple(each for ledger in ledgers for each in fixtures_of(ledger)),
        groups=tuple(groups_of(ledgers)) if whole else (),
        suspects=tuple(suspects),
        cases=tuple(cases),
        notes=tuple(each for part in parts for each in part.notes),
        left_out=tuple(dict.fromkeys(name for part in parts for name in part.left_out)),
        warnings=tuple(dict.fromkeys([*warnings, *(text for part in parts for text in part.warnings)])),
        runs=sum(len(ledger) for ledger in ledgers) + sum(case.runs for case in cases),
    )


def _over(suspect: Suspect, options: Options) -> bool:
    """A group that no worker saw whole counts only if its sum over all passes the limit."""
    return suspect.subject != "group" or bool(suspect.things) or suspect.grew_by > options.limit_bytes


def matched(book: Casebook, options: Options) -> list[str]:
    """Which of the words of `--leaktrace-fail-on` this run meets; known leaks of others meet none."""
    known = {who(case) for case in book.cases if case.status == "known"}
    found = {case.verdict.value.lower() for case in book.cases if case.status != "known"}
    for suspect in book.suspects:
        if _whom(suspect) not in known:
            found.add("state" if suspect.kind == "state" else "suspect")
    return sorted(found & options.fail_on)


def part_to_wire(part: Part) -> dict[str, Any]:
    """Plain values for the way from a worker to the controller."""
    return {
        "ledger": to_wire(part.ledger),
        "suspects": encode(part.suspects),
        "cases": [case_to_json(case) for case in part.cases],
        "notes": encode(part.notes),
        "left_out": list(part.left_out),
        "warnings": list(part.warnings),
        "overhead_s": part.overhead_s,
    }


def part_from_wire(data: Mapping[str, Any]) -> Part:
    """The way back."""
    return Part(
        ledger=from_wire(data["ledger"]),
        suspects=tuple(decode(Suspect, each) for each in data["suspects"]),
        cases=tuple(case_from_json(each) for each in data["cases"]),
        notes=tuple(decode(Note, each) for each in data["notes"]),
        left_out=tuple(data["left_out"]),
        warnings=tuple(data["warnings"]),
        overhead_s=float(data["overhead_s"]),
    )
