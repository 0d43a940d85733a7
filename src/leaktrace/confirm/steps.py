"""The passes over suspects that children carry out, in their order: screen, measure, hear after others, follow, credit.

Each pass takes what is known so far and gives back what is known after it; one that fails costs itself alone, and says
so. What a budget or an interruption leaves out is listed, never dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from leaktrace.casebook.cases import (
    as_known,
    case_of,
    flattened,
    folded,
    is_allowed,
    is_decided,
    with_rates,
    with_runnable_command,
)
from leaktrace.casebook.causes import of_their_makers
from leaktrace.casebook.model import Case
from leaktrace.confirm.after_others import Ask, Replayed, heard_again
from leaktrace.confirm.memray import followed
from leaktrace.confirm.part import (
    Context,
    Findings,
    Part,
    Progress,
    counted,
    is_replayed,
    is_wanted,
    without_doubts,
)
from leaktrace.confirm.passes import Deadline, Passes
from leaktrace.confirm.plan import distinct, jobs_of, plans, soonest_first
from leaktrace.confirm.screening import Screened, decided, fixtures_hunted, hunted, screened, screenings, variants_last
from leaktrace.confirm.state import credited
from leaktrace.explain.known_leaks import installed, table
from leaktrace.options import Mode, Options, Source
from leaktrace.replay.pool import Pool
from leaktrace.replay.protocol import Task
from leaktrace.replay.scheduler import Outcome
from leaktrace.suspects.model import Limits, Suspect
from leaktrace.verdict.judge import group_of
from leaktrace.verdict.model import Verdict


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
    with Pool(context.settings, context.folder, stopped) as pool:
        steps = Steps(parts, options, context, pool, progress=progress, clock=clock)
        if options.mode is Mode.HUNT:
            steps.screen()
        steps.acquit()
        steps.replay()
        steps.hear_after_others()
        steps.follow_native_code()
        steps.leave_out_what_is_allowed()
        steps.credit_changed_state()
    steps.compare_with_known_leaks()
    return replace(steps.findings(), overhead_s=clock() - began)


class Steps:
    """The state of a conclusion; each step takes what is known so far, and leaves what is known after it."""

    def __init__(
        self,
        parts: Sequence[Part],
        options: Options,
        context: Context,
        pool: Pool,
        *,
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        self._parts, self._options, self._context, self._pool, self._clock = parts, options, context, pool, clock
        self._paths = {nodeid: path for part in parts for nodeid, path in part.paths.items()}
        self._jobs = jobs_of(options, context, parts)
        deadline = Deadline(options.budget_s, clock, clock())
        self._passes = Passes(pool, options, deadline, progress, self._paths, jobs=self._jobs)
        watched = counted([each for part in parts for each in part.suspects], parts)
        known = {each.key for each in watched}
        self._suspects = [*watched, *(each for each in context.resumed if each.key not in known)]
        self._screened = Screened()
        self._acquitted: dict[int, Case] = {}
        self._open: list[int] = []
        self._outcome = Outcome()
        self._heard: dict[int, Replayed] = {}
        self._replayed: list[Replayed] = []
        self._cases: list[Case] = []
        self._told: tuple[Suspect, ...] = ()

    def screen(self) -> None:
        """Run every test that passed a few times; what grows beyond what the watch saw is a suspect, too."""
        passes, options = self._passes, self._options
        self._screened = passes.part(
            "screening",
            lambda: _screen(self._parts, self._suspects, options, passes, self._clock),
            Screened(left_out=screenable(self._parts)),
        )
        nobody: list[Suspect] = []
        more = passes.part("accusing what was screened", self._hunted, nobody)
        self._suspects += _beyond(self._suspects, [each for each in more if is_wanted(each.kind, options)])
        if options.origin.get("budget_s", Source.DEFAULT) is Source.DEFAULT:
            passes.within(Deadline(options.budget_s, self._clock, self._clock()))

    def _hunted(self) -> list[Suspect]:
        """What grew when it was screened, and every wider fixture, each once."""
        fixtures: dict[tuple[str, ...], Suspect] = {}
        for part in self._parts:
            for each in fixtures_hunted(part.recording, part.users, self._screened):
                fixtures.setdefault(each.key, each)
        return [*hunted(self._screened), *fixtures.values()]

    def acquit(self) -> None:
        """Of some suspects the screening has seen enough."""
        nobody: dict[int, Case] = {}
        limit_bytes = self._options.limit_bytes
        self._acquitted = self._passes.part(
            "judging what was screened",
            lambda: decided(self._suspects, self._screened, limit_bytes=limit_bytes),
            nobody,
        )
        self._open = [n for n, each in enumerate(self._suspects) if n not in self._acquitted and is_replayed(each)]

    def replay(self) -> None:
        """Run the others again until the judge has seen enough."""
        open_ones = [(number, self._suspects[number]) for number in self._open]
        side_by_side = self._jobs + self._context.beside
        tasks = plans(open_ones, self._paths, self._options, self._screened, side_by_side)
        self._outcome = self._passes.run("replaying", soonest_first(distinct(tasks), self._suspects))
        self._judge(tasks)
        self._follow(tasks)

    def _judge(self, tasks: Mapping[int, Task]) -> None:
        """What came of these suspects' replays."""
        for number, task in tasks.items():
            heard = _heard(self._suspects[number], task, self._outcome, self._options, self._passes)
            if heard is not None:
                self._heard[number] = heard

    def _follow(self, tasks: Mapping[int, Task]) -> None:
        """Follow to the end what was taken apart, and is not decided by what holds it."""
        longer = {
            number: replace(task, apart=False)
            for number, task in tasks.items()
            if task.apart and number in self._heard and not is_decided(self._heard[number].case)
        }
        outcome = self._passes.run("following", soonest_first(distinct(longer), self._suspects))
        self._outcome.responses.update(outcome.responses)
        self._outcome.left_out += outcome.left_out
        self._judge({number: task for number, task in longer.items() if task.ident in outcome.responses})

    def hear_after_others(self) -> None:
        """Who is steady alone is heard again after the tests that ran before."""
        heard = list(self._heard.values())
        self._replayed = self._passes.part(
            "hearing after others",
            lambda: heard_again(
                heard,
                {part.recording.worker: part.recording for part in self._parts},
                self._asked("hearing after others"),
                paths=self._paths,
                args=self._context.settings.args,
                limit_bytes=self._options.limit_bytes,
                unclear=self._screened.unclear(),
                warn=self._passes.warn,
            ),
            heard,
        )

    def follow_native_code(self) -> None:
        """What native code has taken is followed by memray, where that is installed."""
        self._cases = self._passes.part(
            "following native code",
            lambda: followed(self._replayed, self._asked("following native code"), self._passes.warn),
            [each.case for each in self._replayed],
        )
        self._cases = flattened(self._cases)

    def leave_out_what_is_allowed(self) -> None:
        """A run may leave so much: then nobody is accused of it."""
        limits = {part.recording.worker: part.limits for part in self._parts}
        none = Limits(test_bytes=self._options.limit_bytes)
        allowed = {case.suspect.key for case in self._cases if is_allowed(case, limits.get(case.suspect.worker, none))}
        self._cases = [case for case in self._cases if case.suspect.key not in allowed]
        self._told = tuple(each for each in self._suspects if each.key not in allowed)

    def credit_changed_state(self) -> None:
        """Which fixture has changed the state that its test is accused of."""
        self._told = self._passes.part(
            "crediting",
            lambda: credited(self._told, self._asked("crediting", ("state",)), self._paths, self._passes.warn),
            self._told,
        )

    def compare_with_known_leaks(self) -> None:
        """Cases of one subject are folded, those that are known leaks of others named so."""
        rates = {name: each.rates for name, each in self._screened.grown.items()}
        rated = [with_rates(case, rates.get(case.suspect.name, {})) for case in self._cases]
        cases = folded(of_their_makers([*rated, *self._acquitted.values()]))
        self._cases = self._passes.part("comparing with known leaks", lambda: with_known(cases, self._context), cases)
        told = {case.suspect.key for case in cases}
        self._told = tuple(each for each in self._told if each.key in told or not each.unaccused)

    def findings(self) -> Findings:
        """All that came of it; what nobody came to is listed."""
        unjudged = [self._suspects[n] for n in self._open if _is_open(self._heard.get(n), self._outcome)]
        cwd = self._context.settings.cwd
        return without_doubts(
            Findings(
                suspects=self._told,
                cases=tuple(with_runnable_command(case, self._paths, cwd) for case in self._cases),
                notes=tuple(note for part in self._parts for note in part.notes),
                left_out=(*self._screened.left_out, *(each.name for each in unjudged)),
                unjudged=tuple(each for each in unjudged if not each.doubtful),
                warnings=(*self._passes.warnings, *self._pool.notes),
            )
        )

    def _asked(self, doing: str, kinds: Sequence[str] | None = None) -> Ask:
        """Has children carry out tasks of one pass."""
        return lambda tasks: self._passes.run(doing, tasks, kinds=kinds).responses


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
    known = {(*each.key[:3], group_of(each.kind)) for each in watched}
    return [each for each in found if (*each.key[:3], group_of(each.kind)) not in known]


def with_known(cases: Sequence[Case], context: Context) -> list[Case]:
    """The cases, with those that are known leaks of others named so; the user's own rows come first."""
    rows = (*context.known, *table())
    versions = installed(rows) if any(case.exhibit.fingerprint for case in cases) else {}
    return [as_known(case, versions, rows) for case in cases]
