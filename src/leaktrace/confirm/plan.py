"""How each suspect is run again, in which order, and how many children do so at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import psutil

from leaktrace.confirm.part import Context, Part
from leaktrace.confirm.screening import HEAVY_BYTES, Screened
from leaktrace.options import Options
from leaktrace.probes.model import REFS, RSS_BYTES
from leaktrace.replay.protocol import Task, targets_of
from leaktrace.suspects.groups import group_names
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.judge import group_of


PARKED_BYTES = 4_000_000
SLOW_S = 0.5
MOST_MEMORY_BYTES = 4 << 30
SHARES_A_JOB = 6
"""Memory that has to be free for a base and its worker, as a multiple of what a process held before its tests."""
FOLLOW_S = 15.0
FOLLOW_SHARE = 0.05
"""The part of a suspect's time-out after which one that could be ruled on is followed no further."""


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
            apart=all(group_of(each.kind) == "memory" for _number, each in several),
        )
        tasks.update(dict.fromkeys((number for number, _each in several), task))
    return tasks


def distinct(tasks: Mapping[int, Task]) -> list[Task]:
    """Each task once, but for those that nothing can be run for."""
    return [task for task in dict.fromkeys(tasks.values()) if task.targets]


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
