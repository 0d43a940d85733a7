"""Which base child runs what and when: the one scheduler of all replays, with one budget for all passes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leaktrace.replay.base import Base, last_words
from leaktrace.replay.pool import END_S, Bounds, Pool, Work
from leaktrace.replay.protocol import Response, Task


POLL_S = 0.05
SCREENED_A_SHARE = 400
"""Tests that one worker screens at most; a module's wider fixtures are set up once for them."""
START_S = 60.0
"""Time that a child is given to start and collect, beside the time-out of its task."""


@dataclass(slots=True)
class Outcome:
    """All responses of a phase, and the tasks that budget or interruption left out, of which some answered in part."""

    responses: dict[int, Response] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)


def replay(
    tasks: Sequence[Task],
    pool: Pool,
    bounds: Bounds,
    *,
    kinds: Sequence[str] = ("memory",),
    trace: bool = True,
    progress: Callable[[int, int, int | None], None] = lambda _done, _all, _ident: None,
    clock: Callable[[], float] = time.monotonic,
    outcome: Outcome | None = None,
) -> Outcome:
    """Run every task in a throw-away process, and return what was said.

    A task has a worker of its own; only those that screen share one, a module's at a time. What crashes, hangs or
    cannot be run costs that task alone: it is answered with its failure and its last lines, and those behind it go to
    a new worker. Responses are put into `outcome` as they come, so that an error costs only those that have not.

    Raises:
        ReplayError: no child can be started.
    """
    outcome = Outcome() if outcome is None else outcome
    schedule, began = _Schedule(pool, outcome, tasks, kinds, trace=trace), clock()
    while schedule.waiting or schedule.alone or pool.at_work():
        stop = pool.stopped() or (bounds.budget_s is not None and clock() - began > bounds.budget_s)
        if stop:
            schedule.leave_out()
        schedule.begin(bounds.jobs, clock)
        pool.listen(POLL_S)
        for base, work in pool.at_work():
            work.take(clock())
            work.beside = work.beside or len(pool.at_work()) > 1
            if _is_over(base, work, bounds, clock(), stop=stop):
                schedule.gather(base, work, stop=stop)
        progress(sum(response.ended for response in outcome.responses.values()), len(tasks), _current(pool))
    return outcome


def shares(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    """Which tasks share a worker: those that screen the tests of one file, in turn; every other has its own."""
    share: list[Task] = []
    for task in tasks:
        file = task.targets[0].path if task.targets else ""
        same = share and task.screening and share[0].screening and share[0].targets[0].path == file
        if share and not (same and len(share) < SCREENED_A_SHARE):
            yield share
            share = []
        share.append(task)
    if share:
        yield share


class _Schedule:
    """Which tasks are still to be run, and what came of the others.

    What failed beside others, or hung at once in a fork, is run once more: alone, in a process of its own.
    """

    def __init__(
        self, pool: Pool, outcome: Outcome, tasks: Sequence[Task], kinds: Sequence[str], *, trace: bool
    ) -> None:
        self._pool, self._outcome, self._kinds, self._trace = pool, outcome, kinds, trace
        self._files = frozenset(target.path for task in tasks for target in (*task.before, *task.targets))
        self._second_tries: set[int] = set()
        self.waiting = deque(shares(tasks))
        self.alone: deque[Task] = deque()

    def leave_out(self) -> None:
        """Nothing more is begun."""
        self._outcome.left_out += [task.ident for share in (*self.waiting, self.alone) for task in share]
        self.waiting.clear()
        self.alone.clear()

    def begin(self, jobs: int, clock: Callable[[], float]) -> None:
        """Give every free place a share; what runs alone waits until nothing else runs."""
        pool = self._pool
        while self.waiting and len(pool.at_work()) < jobs:
            self._give(self.waiting.popleft(), clock())
        if self.alone and not self.waiting and not pool.at_work():
            self._give([self.alone.popleft()], clock(), fresh=True)

    def _give(self, tasks: list[Task], now: float, *, fresh: bool = False) -> None:
        """Give a share to a base at rest, or to a new one; a `fresh` one carries it out itself."""
        pool, metered = self._pool, not any(task.native for task in tasks)
        base = None if fresh else pool.fitting(self._files, metered=metered)
        base = base or pool.new(sorted(self._files), metered=metered)
        pool.begin(base, tasks, self._kinds, now, trace=self._trace, forked=not fresh)

    def gather(self, base: Base, work: Work, *, stop: bool) -> None:
        """Take the responses of a share that is over; what it never came to waits for another worker."""
        work.take(0.0)
        responses = work.responses.by_task
        status = base.end() if work.ended is None else work.ended  # the base itself has ended, or does not respond
        culprit, rest = _culprit(work), []
        for task in work.share.tasks:
            response = responses.get(task.ident) or Response(ident=task.ident)
            tried_twice = task.ident in self._second_tries
            if response.ended and not (response.failure and work.beside and not tried_twice):
                self._outcome.responses[task.ident] = response
            elif stop:
                _leave(task, response, self._outcome)
            elif task.ident == culprit and (tried_twice or not _is_worth_another(work, response)):
                log = base.log if base.ready is None else Path(work.share.log)
                response.late = work.late and not response.judged
                _end_early(response, last_words(status, log))
                self._outcome.responses[task.ident] = response
            elif task.ident == culprit or response.ended:
                self._second_tries.add(task.ident)
                self.alone.append(task)
            else:
                rest.append(task)
        if rest:
            self.waiting.appendleft(rest)
        self._pool.rest(base)


def _is_over(base: Base, work: Work, bounds: Bounds, now: float, *, stop: bool) -> bool:
    """Whether a share is done, or its worker has to end: the base is asked to see to that, and ended if it does not."""
    if work.ended is not None or base.has_ended():
        return True
    if work.asked is not None:
        return now - work.asked > END_S
    work.late = now - work.since > (bounds.timeout_s + START_S if base.ready is None else work.allowed_s(bounds))
    if base.ready is None:
        return stop or work.late
    if stop or work.late:
        if not work.share.forked:
            return True
        work.asked = now
        base.end_worker()
    return False


def _culprit(work: Work) -> int | None:
    """The task at which a share came to its end too early, or None: that which had not come to its own."""
    responses = work.responses.by_task
    if any(response.retired for response in responses.values()):
        return None
    return next((t.ident for t in work.share.tasks if t.ident not in responses or not responses[t.ident].ended), None)


def _is_worth_another(work: Work, response: Response) -> bool:
    """Whether a task that did not come to its end gets a second worker: it hung at once, or ran beside others."""
    hung_at_once = work.asked is not None and not response.runs and response.ident == work.share.tasks[0].ident
    return not response.judged and (work.beside or hung_at_once)


def _end_early(response: Response, how: str) -> None:
    """The child died of this task, or had to be ended; one that was only being explained has its readings whole."""
    response.ended = True
    if not response.judged:
        response.failure = response.failure or how
    elif response.exhibit is None:
        response.exhibit = {"notes": [f"what keeps it alive was not found: {how}"]}


def _leave(task: Task, response: Response, outcome: Outcome) -> None:
    """The end came while this one ran: it is left out, though what it had read may be enough to convict it."""
    outcome.left_out.append(task.ident)
    if len(response.readings) > response.warmups + 1 and not task.screening:
        response.spent, response.ended = "time", True
        outcome.responses[task.ident] = response


def _current(pool: Pool) -> int | None:
    return next((work.running for _base, work in pool.at_work() if work.running is not None), None)
