"""The hunt: which tests are screened in children, and the suspects and acquittals that follow from it; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from leaktrace.casebook.cases import case_of, concluded
from leaktrace.casebook.model import Case
from leaktrace.probes.model import HEAP_BYTES, REFS, RSS_BYTES
from leaktrace.recording.model import OUTCOMES, Recording
from leaktrace.replay.protocol import Response, Task, targets_of
from leaktrace.suspects.groups import group_names
from leaktrace.suspects.model import Suspect
from leaktrace.verdict import outcome
from leaktrace.verdict.evidence import record_of
from leaktrace.verdict.judge import is_suspicious, judge_kinds
from leaktrace.verdict.model import Rate, Ruling, Verdict
from leaktrace.verdict.rules import SCREENING


HEAVY_BYTES = 32_000_000
"""Growth of a test that is heard in a process of its own anyway: to screen it would fill the worker of all others."""
SCREENED = frozenset({"memory", "objects", "fds", "sockets", "threads"})
"""Kinds that the counters of a screen see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A test that kept growing when it was screened.

    Attributes:
        accused: what was ruled on each kind of leak that it may be.
        rates: growth a run, by counter.
        harmless: the installed class that took what grew, where nothing else did.
    """

    nodeid: str
    worker: str
    duration_s: float
    accused: Mapping[str, Ruling]
    rates: Mapping[str, Rate]
    harmless: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What became of the tests that were hunted."""

    clean: frozenset[str] = frozenset()
    grown: Mapping[str, Grown] = field(default_factory=dict)
    failed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By node id: the process that had run it, and why it could not be repeated."""
    left_out: tuple[str, ...] = ()
    """What nobody came to, and what was given up for time: that has failed, too."""

    def unclear(self) -> set[str]:
        """The tests that grew, but not steadily."""
        return {
            each.nodeid
            for each in self.grown.values()
            if all(ruling.verdict is not Verdict.LEAK for ruling in each.accused.values())
        }


def screenings(
    recording: Recording,
    paths: Mapping[str, str],
    *,
    left_out: Collection[str],
    suspects: Sequence[Suspect],
    first: int,
) -> list[Task]:
    """A task for each test that passed and that no marker leaves out, those of a file together, from number `first`."""
    heavy = {
        each.name for each in suspects if each.subject == "test" and each.grew_by > HEAVY_BYTES and not each.things
    }
    rows = {
        nodeid: row
        for row, nodeid in enumerate(recording.nodeids)
        if OUTCOMES[recording.cells[row * recording.width]] == "passed"
        and nodeid not in left_out
        and nodeid not in heavy
    }
    files: dict[str, list[str]] = {}
    for nodeid in rows:
        if nodeid in paths:
            files.setdefault(paths[nodeid], []).append(nodeid)
    names = [name for of_file in files.values() for name in of_file]
    return [
        Task(
            ident=first + number,
            targets=targets_of((name,), paths),
            screening=True,
            duration_s=recording.cells[rows[name] * recording.width + 1] / 1e6,
        )
        for number, name in enumerate(names)
    ]


def screened(tasks: Sequence[tuple[Task, str]], responses: Mapping[int, Response]) -> Screened:
    """What the responses say of the tests that were hunted; each task comes with the process that had run its test."""
    clean, grown, failed, left_out = [], {}, {}, []
    for task, worker in tasks:
        name, response = task.targets[0].nodeid, responses.get(task.ident)
        if response is None:
            left_out.append(name)
            continue
        if response.failure is not None:
            failed[name] = (worker, response.failure)
            left_out += [name] * response.late
        elif response.screened == "grown" and response.readings:
            grown[name] = _grown(name, worker, task, response)
        elif response.screened == "clean":
            clean.append(name)
        else:
            failed[name] = (worker, "its worker ended without a word")
    return Screened(clean=frozenset(clean), grown=grown, failed=failed, left_out=tuple(left_out))


def _grown(name: str, worker: str, task: Task, response: Response) -> Grown:
    record = record_of(
        response.counters,
        response.readings,
        warmups=0,
        batch_runs=response.batch_runs,
        unread=response.unread,
        spent=response.spent or "runs",
        known=response.defined,
    )
    rulings = judge_kinds(record, SCREENING)
    return Grown(
        nodeid=name,
        worker=worker,
        duration_s=task.duration_s,
        accused={kind: ruling for kind, ruling in rulings.items() if is_suspicious(ruling)},
        rates={name: rate for ruling in rulings.values() for name, rate in ruling.rates.items()},
        harmless=response.harmless,
    )


def hunted(found: Screened) -> list[Suspect]:
    """The tests that kept growing, steepest first, then those that failed when they were run again."""
    suspects = []
    for each in found.grown.values():
        for kind, ruling in each.accused.items():
            rate = each.rates.get(ruling.counter or "")
            suspects.append(
                Suspect(
                    subject="test",
                    name=each.nodeid,
                    kind=kind,
                    counter=ruling.counter or RSS_BYTES.name,
                    grew_by=round(rate.estimate) if rate is not None else 0,
                    why=f"screened, it {ruling.reason}",
                    nodeids=(each.nodeid,),
                    worker=each.worker,
                    duration_s=each.duration_s,
                )
            )
    failed = [
        Suspect(
            subject="test",
            name=nodeid,
            kind="memory",
            counter=RSS_BYTES.name,
            grew_by=0,
            why=f"not repeatable: {why}",
            nodeids=(nodeid,),
            worker=worker,
        )
        for nodeid, (worker, why) in found.failed.items()
    ]
    return [*sorted(suspects, key=lambda suspect: -suspect.grew_by), *failed]


def fixtures_hunted(recording: Recording, users: Mapping[str, Sequence[str]], found: Screened) -> list[Suspect]:
    """The wider fixtures that ended, each with a test that uses it and grows by nothing itself."""
    suspects = []
    for account in recording.fixtures:
        clean = next((nodeid for nodeid in users.get(account.name, ()) if nodeid in found.clean), None)
        if account.wide and account.closings and clean is not None:
            suspects.append(
                Suspect(
                    subject="fixture",
                    name=account.name,
                    kind="memory",
                    counter=HEAP_BYTES.name,
                    grew_by=0,
                    why="a hunt sets up and ends every wider fixture",
                    nodeids=(clean,),
                    worker=recording.worker,
                    scope=account.scope,
                    where=account.where,
                    tests=account.setups,
                    duration_s=recording.span(recording.nodeids.index(clean)).duration_s,
                )
            )
    return suspects


def decided(suspects: Sequence[Suspect], found: Screened, *, limit_bytes: int) -> dict[int, Case]:
    """Cases that need no closer look, by the suspect's number: growth that did not come again, failed repeats."""
    cases: dict[int, Case] = {}
    for number, suspect in enumerate(suspects):
        if suspect.subject != "test":
            continue
        case = case_of(suspect, None, limit_bytes=limit_bytes)
        grown = found.grown.get(suspect.name)
        if suspect.name in found.clean and suspect.kind in SCREENED:
            cases[number] = concluded(case, outcome.NOT_AGAIN)
        elif grown is not None and grown.harmless and suspect.counter == REFS.name:
            said = concluded(case, outcome.harmless(grown.harmless, suspect.why))
            cases[number] = replace(said, counter=REFS.name, per_run=dict(grown.rates))
        elif suspect.name in found.failed:
            cases[number] = concluded(case, outcome.not_repeatable(found.failed[suspect.name][1]))
    return cases


def variants_last(tasks: Sequence[Task]) -> list[Task]:
    """The tasks, one variant of each function before the others: where time runs out, that finds most."""
    seen: set[str] = set()
    order: dict[int, bool] = {}
    for task in tasks:
        function = group_names(task.targets[0].nodeid).get("function", task.targets[0].nodeid)
        order[task.ident] = function in seen
        seen.add(function)
    return sorted(tasks, key=lambda task: order[task.ident])
