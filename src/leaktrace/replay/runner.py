"""Starts replay children, watches over them, and gathers their answers: the only room that starts processes."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leaktrace.errors import ReplayError
from leaktrace.replay.children import Child, Progress, kill, last_words, start
from leaktrace.replay.letters import Answer, Order, Settings, Task, read_answers


POLL_S = 0.05
TASKS_A_CHILD = 8
END_S = 5.0
EXPLAIN_S = 60.0
"""Time for an explanation, which bounds itself to far less; an interpreter's own fault must not cost the verdict."""
START_S = 60.0
"""Time that a child is given to start and collect, beside the time-out of its task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much the replays may take.

    Attributes:
        jobs: children at a time.
        budget_s: time for the whole phase, or None for no bound.
        timeout_s: time for one task.
    """

    jobs: int = 1
    budget_s: float | None = None
    timeout_s: float = 300.0


@dataclass(slots=True)
class Outcome:
    """All answers of a phase, and the tasks that the budget left out."""

    answers: dict[int, Answer] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)


def replay(
    tasks: Sequence[Task],
    settings: Settings,
    bounds: Bounds,
    folder: Path,
    *,
    kinds: Sequence[str] = ("memory",),
    trace: bool = True,
    progress: Callable[[int, int, int | None], None] = lambda _done, _all, _ident: None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Run every task in children of its own process group, and return what they said.

    A child that crashes, hangs or cannot run a task costs that task alone: it is answered with its failure and the
    child's last lines, and the tasks behind it go to a new child.
    """
    waiting = deque(_shares(tasks))
    running: list[Child] = []
    outcome, began, number = Outcome(), clock(), 0
    folder.mkdir(parents=True, exist_ok=True)
    try:
        while waiting or running:
            late = bounds.budget_s is not None and clock() - began > bounds.budget_s
            if late:
                outcome.left_out += [task.ident for share in waiting for task in share]
                waiting.clear()
            while waiting and len(running) < bounds.jobs:
                number += 1
                share = waiting.popleft()
                order = Order(tasks=tuple(share), kinds=tuple(kinds), trace=trace)
                metered = not any(task.native for task in share)
                try:
                    running.append(start(order, settings, folder, str(number), metered=metered, now=clock()))
                except OSError as exc:
                    raise ReplayError(f"no replay child could be started: {exc}") from exc
            for child in list(running):
                if not _over(child, bounds, clock(), late=late):
                    continue
                running.remove(child)
                rest = _gather(child, outcome, late=late)
                if rest:
                    waiting.appendleft(rest)
            progress(sum(answer.ended for answer in outcome.answers.values()), len(tasks), _current(running))
            if running:
                time.sleep(POLL_S)
    finally:
        for child in running:
            kill(child)
    return outcome


def _shares(tasks: Iterable[Task]) -> Iterable[list[Task]]:
    """Which tasks share a child: the cost of starting one is the suite's imports and collection.

    What has to come before a task, and memray, leave a process in which no other task can be measured.
    """
    share: list[Task] = []
    for task in tasks:
        if task.before or task.native:
            yield [task]
            continue
        share.append(task)
        if len(share) == TASKS_A_CHILD:
            yield share
            share = []
    if share:
        yield share


def _over(child: Child, bounds: Bounds, now: float, *, late: bool) -> bool:
    """Whether a child has ended, or has to: time begins anew with each of its tasks."""
    with contextlib.suppress(OSError):
        size = child.answer.stat().st_size
        if size != child.size:
            child.size = size
            progress = _progress_of(child)
            child.done = progress.running is None and size > 0
            if progress != child.progress:
                child.progress, child.since = progress, now
    if child.process.poll() is not None:
        kill(child)  # what it left running in its group
        return True
    # Once all is answered, what still runs is a thread or a fixture that does not end.
    allowed = END_S if child.done else bounds.timeout_s + (START_S if child.progress.running is None else 0.0)
    if child.progress.explaining:
        allowed = min(allowed, EXPLAIN_S)
    if now - child.since > allowed or late:
        kill(child)
        return True
    return False


def _progress_of(child: Child) -> Progress:
    """How far it has come."""
    with contextlib.suppress(ReplayError):
        answers = read_answers(child.answer)
        current = next((t.ident for t in child.tasks if t.ident not in answers or not answers[t.ident].ended), None)
        if current not in answers:
            return Progress(running=current)
        return Progress(running=current, explaining=answers[current].judged, preceded=answers[current].preceded)
    return child.progress


def _gather(child: Child, outcome: Outcome, *, late: bool) -> list[Task]:
    """Take a dead child's answers; the tasks that it never came to are returned, for another child."""
    try:
        answers = read_answers(child.answer)
    except ReplayError as exc:
        answers = {}
        for task in child.tasks:
            outcome.answers[task.ident] = Answer(ident=task.ident, failure=str(exc), ended=True)
        return []
    rest: list[Task] = []
    culprit = next((t.ident for t in child.tasks if t.ident not in answers or not answers[t.ident].ended), None)
    for task in child.tasks:
        answer = answers.get(task.ident) or Answer(ident=task.ident)
        if answer.ended:
            outcome.answers[task.ident] = answer
        elif late:
            _leave(task, answer, outcome)
        elif task.ident == culprit:
            _end_early(answer, child)
            outcome.answers[task.ident] = answer
        else:
            rest.append(task)
    return rest


def _end_early(answer: Answer, child: Child) -> None:
    """The child died of this task, or had to be ended; one that was only being explained has its readings whole."""
    answer.ended = True
    if not answer.judged:
        answer.failure = answer.failure or last_words(child)
    elif answer.exhibit is None:
        answer.exhibit = {"notes": [f"what keeps it alive was not found: {last_words(child)}"]}


def _leave(task: Task, answer: Answer, outcome: Outcome) -> None:
    """The budget ran out while this one ran: what it had read may still tell."""
    if answer.readings:
        answer.spent, answer.ended = "time", True
        outcome.answers[task.ident] = answer
    else:
        outcome.left_out.append(task.ident)


def _current(running: Sequence[Child]) -> int | None:
    return next((child.progress.running for child in running if child.progress.running is not None), None)
