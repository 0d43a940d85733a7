"""The passes over suspects that children carry out, in their order: screen, measure, hear after others, follow, credit.

Each pass takes what is known so far and gives back what is known after it; one that fails costs itself alone, and says
so. What a budget or an interruption leaves out is listed, never dropped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import psutil

from leaktrace.casebook.cases import as_known, case_of, folded, is_allowed, key, with_rates, with_runnable_command
from leaktrace.casebook.model import Case
from leaktrace.confirm.after_others import Replayed, heard_again
from leaktrace.confirm.memray import followed
from leaktrace.confirm.part import Context, Findings, Part, Progress, is_replayed, is_wanted, key_of, without_doubts
from leaktrace.confirm.passes import Deadline, Passes
from leaktrace.confirm.screening import HEAVY_BYTES, Screened, decided, hunted, screened, screenings, variants_last
from leaktrace.confirm.state import credited
from leaktrace.explain.known_leaks import installed, table
from leaktrace.options import Mode, Options, Source
from leaktrace.probes.model import REFS, RSS_BYTES
from leaktrace.replay.protocol import Task, targets_of
from leaktrace.replay.scheduler import Outcome, Pool
from leaktrace.suspects.groups import group_names
from leaktrace.suspects.model import Limits, Suspect
from leaktrace.verdict.judge import group_of
from leaktrace.verdict.model import Verdict


PARKED_BYTES = 4_000_000
SLOW_S = 0.5
MOST_MEMORY_BYTES = 4 << 30
SHARES_A_JOB = 6
"""Memory that has to be free for a base and its worker, as a multiple of what a process held before its tests."""
FOLLOW_S = 15.0
FOLLOW_SHARE = 0.05
"""The part of a suspect's time-out after which one that could be ruled on is followed no further."""
SCREEN_FACTOR = 6.0
"""Time for screening where the user has set no budget, as a multiple of the suite's own."""


def confirm(
    parts: Sequence[Part],
    options: Options,
    context: Context,
    *,
    stopped: Callable[[], bool] = lambda: False,
    progress: Progress = lambda _doing, _done, _all, _name: None,
    clock: Callable[[], float] = time.monotonic,
) -> Findings:
    """Suspects → replays → cases, of all processes that ran here; in a hunt every test is screened first."""
    began = clock()
    recordings = {part.recording.worker: part.recording for part in parts}
    paths = {nodeid: path for part in parts for nodeid, path in part.paths.items()}
    limits = {part.recording.worker: part.limits for part in parts}
    watched = [*(each for part in parts for each in part.suspects)]
    known = {key_of(each) for each in watched}
    watched += [each for each in context.resumed if key_of(each) not in known]
    jobs = jobs_of(options, context, parts)
    with Pool(context.settings, context.folder, stopped) as pool:
        passes = Passes(pool, options, Deadline(options.budget_s, clock, clock()), progress, paths, jobs=jobs)
        found = Screened()
        if options.mode is Mode.HUNT:
            found = passes.part(
                "screening",
                lambda: _screen(parts, watched, options, passes, clock),
                Screened(left_out=screenable(parts)),
            )
            none_hunted: list[Suspect] = []
            more = passes.part("accusing what was screened", lambda: hunted(found), none_hunted)
            watched += _beyond(watched, [each for each in more if is_wanted(each.kind, options)])
            if options.origin.get("budget_s", Source.DEFAULT) is Source.DEFAULT:
                passes.within(Deadline(options.budget_s, clock, clock()))
        none_cleared: dict[int, Case] = {}
        cleared = passes.part(
            "judging what was screened",
            lambda: decided(watched, found, limit_bytes=options.limit_bytes),
            none_cleared,
        )
        open_ones = [number for number in range(len(watched)) if number not in cleared and is_replayed(watched[number])]
        tasks = plans([(number, watched[number]) for number in open_ones], paths, options, found, jobs + context.beside)
        outcome = passes.run("replaying", soonest_first(_distinct(tasks), watched))
        heard = {
            number: each
            for number, task in tasks.items()
            if (each := _heard(watched[number], task, outcome, options, passes))
        }
        hearings = passes.part(
            "hearing after others",
            lambda: heard_again(
                list(heard.values()),
                recordings,
                lambda again: passes.run("hearing after others", again).responses,
                paths=paths,
                args=context.settings.args,
                limit_bytes=options.limit_bytes,
                unclear=found.unclear(),
                warn=passes.warn,
            ),
            list(heard.values()),
        )
        cases = passes.part(
            "following native code",
            lambda: followed(hearings, lambda again: passes.run("following native code", again).responses, passes.warn),
            [each.case for each in hearings],
        )
        borne = {key(case) for case in cases if is_allowed(case, limits.get(case.worker, _none(options)))}
        cases = [case for case in cases if key(case) not in borne]
        left = [each for each in watched if key_of(each) not in borne]
        named = passes.part(
            "crediting",
            lambda: credited(
                left, lambda again: passes.run("crediting", again, kinds=("state",)).responses, paths, passes.warn
            ),
            tuple(left),
        )
    rates = {name: each.rates for name, each in found.grown.items()}
    rated = folded([*(with_rates(case, rates.get(case.nodeid, {})) for case in cases), *cleared.values()])
    cases = passes.part("comparing with known leaks", lambda: with_known(rated, context), rated)
    open_names = [watched[number] for number in open_ones if _is_open(heard.get(number), outcome)]
    return without_doubts(
        Findings(
            suspects=tuple(named),
            cases=tuple(with_runnable_command(case, paths, context.settings.cwd) for case in cases),
            notes=tuple(note for part in parts for note in part.notes),
            left_out=(*found.left_out, *(each.name for each in open_names)),
            unjudged=tuple(each for each in open_names if not each.doubtful),
            warnings=(*passes.warnings, *pool.notes),
            overhead_s=clock() - began,
        )
    )


def _heard(suspect: Suspect, task: Task, outcome: Outcome, options: Options, passes: Passes) -> Replayed | None:
    """What came of a suspect's replay; None where it has not been judged, though what it had read may convict it."""
    response = outcome.responses.get(task.ident)
    case = passes.part(
        f"judging {suspect.name}", lambda: case_of(suspect, response, limit_bytes=options.limit_bytes), None
    )
    if case is None or (task.ident in outcome.left_out and case.verdict is not Verdict.LEAK):
        return None
    return Replayed(suspect=suspect, task=task, case=case)


def _is_open(heard: Replayed | None, outcome: Outcome) -> bool:
    """Whether a suspect is left for a run that goes on: nobody came to it, or it was given up for time undecided."""
    if heard is None:
        return True
    response = outcome.responses.get(heard.task.ident)
    return response is not None and response.late and heard.case.verdict in (Verdict.UNREPLAYABLE, Verdict.UNDECIDED)


def screenable(parts: Sequence[Part]) -> tuple[str, ...]:
    """The tests that a hunt screens, by name."""
    tasks = [task for part in parts for task in _screenings(part, part.suspects, 0)]
    return tuple(task.targets[0].nodeid for task in tasks)


def _screenings(part: Part, watched: Sequence[Suspect], first: int) -> list[Task]:
    return screenings(part.recording, part.paths, left_out=part.limits.left_out, suspects=watched, first=first)


def _screen(
    parts: Sequence[Part], watched: Sequence[Suspect], options: Options, passes: Passes, clock: Callable[[], float]
) -> Screened:
    """Run every test that passed a few times, those of a file in one worker."""
    tasks: list[Task] = []
    workers: dict[int, str] = {}
    for part in parts:
        own = _screenings(part, watched, len(tasks))
        workers |= {task.ident: part.recording.worker for task in own}
        tasks += own
    plain_s = sum(task.duration_s for task in tasks)
    given = options.origin.get("budget_s", Source.DEFAULT) > Source.DEFAULT
    if options.budget_s is not None and not given:
        passes.within(Deadline(max(options.budget_s, SCREEN_FACTOR * plain_s), clock, clock()))
    order = variants_last(tasks) if given and options.budget_s is not None else tasks
    outcome = passes.run("screening", order, trace=False)
    return screened([(task, workers[task.ident]) for task in tasks], outcome.responses)


def _beyond(watched: Sequence[Suspect], found: Sequence[Suspect]) -> list[Suspect]:
    """What the screening found beyond the watch."""
    known = {(each.name, group_of(each.kind)) for each in watched if each.subject == "test"}
    return [each for each in found if (each.name, group_of(each.kind)) not in known]


def _none(options: Options) -> Limits:
    return Limits(test_bytes=options.limit_bytes)


def _distinct(tasks: Mapping[int, Task]) -> list[Task]:
    return [task for task in dict.fromkeys(tasks.values()) if task.targets]


def with_known(cases: Sequence[Case], context: Context) -> list[Case]:
    """The cases, with those that are known leaks of others named so; the user's own rows come first."""
    rows = (*context.known, *table())
    versions = installed(rows) if any(case.exhibit.fingerprint for case in cases) else {}
    return [as_known(case, versions, rows) for case in cases]


def plans(
    suspects: Sequence[tuple[int, Suspect]],
    paths: Mapping[str, str],
    options: Options,
    found: Screened,
    side_by_side: int,
) -> dict[int, Task]:
    """A task for each suspect, by its number; those of one test or fixture share one, whatever kinds they are of."""
    shared: dict[tuple[str, str, str], list[tuple[int, Suspect]]] = {}
    for number, suspect in suspects:
        shared.setdefault((suspect.subject, suspect.name, suspect.where), []).append((number, suspect))
    tasks: dict[int, Task] = {}
    for several in shared.values():
        first, suspect = several[0]
        task = replace(
            plan(first, suspect, paths, options, side_by_side),
            kinds=tuple({each.kind for _number, each in several}),
            references=any(_by_references(each, found) for _number, each in several),
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


def _by_references(suspect: Suspect, found: Screened) -> bool:
    """Whether a hunt saw the number of references grow, beside others or alone."""
    grown = found.grown.get(suspect.name)
    rate = grown.rates.get(REFS.name) if grown is not None else None
    return suspect.counter == REFS.name or (rate is not None and rate.low > 0)


def jobs_of(options: Options, context: Context, parts: Sequence[Part]) -> int:
    """How many children run at a time: as many as the user says, else as could run before and find memory."""
    if options.jobs is not None:
        return options.jobs
    read = [part.recording.first.get(RSS_BYTES.name) for part in parts]
    resident = max((value for value in read if isinstance(value, int)), default=0)
    return max(1, min(context.jobs, psutil.virtual_memory().available // max(SHARES_A_JOB * resident, 1)))


def plan(number: int, suspect: Suspect, paths: Mapping[str, str], options: Options, side_by_side: int = 1) -> Task:
    """How a suspect is run again: heavy or slow ones with a reading after each run, and fewer runs."""
    heavy = suspect.grew_by > HEAVY_BYTES or suspect.duration_s > SLOW_S
    memory = min(MOST_MEMORY_BYTES, psutil.virtual_memory().available // (2 * side_by_side))
    return Task(
        ident=number,
        targets=targets_of(suspect.nodeids, paths),
        scope=suspect.scope,
        warmups=2 if heavy else 3,
        batch_runs=1 if heavy else 3,
        follow_s=max(FOLLOW_S, FOLLOW_SHARE * options.timeout_s),
        memory_bytes=memory,
        heavy=suspect.kind == "memory" and suspect.counter.endswith("_bytes") and suspect.grew_by > PARKED_BYTES,
    )
