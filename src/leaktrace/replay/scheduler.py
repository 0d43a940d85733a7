"""Which base child runs what and when: the one scheduler of all replays, with one budget for all passes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from leaktrace.errors import ReplayError
from leaktrace.files import remove_tree, temporary_name
from leaktrace.replay.base import Base, last_words
from leaktrace.replay.process import wait_for
from leaktrace.replay.protocol import Request, Response, ResponseReader, Settings, Share, Task
from leaktrace.replay.restore import restore


POLL_S = 0.05
SCREENED_A_SHARE = 400
"""Tests that one worker screens at most; a module's wider fixtures are set up once for them."""
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
    """All responses of a phase, and the tasks that budget or interruption left out, of which some answered in part."""

    responses: dict[int, Response] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Work:
    """One share that a base is at work on.

    Attributes:
        since: when its current task began, or last told how far it is.
        beside: whether another share ran at the same time.
        ended: how its worker ended, None while it runs.
        asked: when it was told to end, or None.
        late: whether it has to end since it took too long.
    """

    share: Share
    responses: ResponseReader
    since: float
    running: int | None = None
    explaining: bool = False
    preceded: int = 0
    done: bool = False
    beside: bool = False
    ended: int | None = None
    asked: float | None = None
    late: bool = False

    def take(self, now: float) -> None:
        """Read what it has answered: time begins anew with each task, and each test that comes before one."""
        if not self.responses.take():
            return
        by_task = self.responses.by_task
        current = next(
            (t.ident for t in self.share.tasks if t.ident not in by_task or not by_task[t.ident].ended), None
        )
        response = by_task.get(-1 if current is None else current)
        explaining, preceded = (response.judged, response.preceded) if response is not None else (False, 0)
        if (current, explaining, preceded) != (self.running, self.explaining, self.preceded):
            self.running, self.explaining, self.preceded, self.since = current, explaining, preceded, now
        self.done = current is None

    def allowed_s(self, bounds: Bounds) -> float:
        """How long it may go on without a word; once all is answered, only a fixture that does not end still runs."""
        if self.done:
            return END_S
        return min(bounds.timeout_s, EXPLAIN_S) if self.explaining else bounds.timeout_s


class Pool:
    """The base children of a run, kept from one pass to the next: each imports and collects once.

    Args:
        settings: the parent's own.
        folder: for their files.
        stopped: asked between two looks at them; whether the user or the system wants an end.
    """

    def __init__(self, settings: Settings, folder: Path, stopped: Callable[[], bool] = lambda: False) -> None:
        self.settings, self.folder, self.stopped = settings, folder, stopped
        self.notes: list[str] = []
        """What the user should know of how the children were made."""
        self.shares = 0
        self._bases: list[tuple[Base, Work | None]] = []
        self._made = 0
        self._fresh = False
        self._shared: Path | None = None

    def __enter__(self) -> Self:
        """Nothing is started before there is something to run."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """End all children."""
        self.close()

    def close(self) -> None:
        """End all children, with everything that they started, and put back what they have changed.

        A fault of ours in it is noted: what was judged is not lost by it.
        """
        try:
            while self._bases:
                self._bases.pop()[0].end()
        except Exception as exc:  # noqa: BLE001 - a child whose channel is closed ends by itself
            self.note(f"a replay child could not be ended: {type(exc).__name__}: {exc}")
        shared, self._shared = self._shared, None
        if shared is not None:
            try:
                for place in restore(str(shared)):
                    self.note(f"what a replay changed could not be put back: {place}")
                remove_tree(shared)
            except Exception as exc:  # noqa: BLE001 - as above
                self.note(f"what a replay changed could not be put back: {type(exc).__name__}: {exc}")

    def note(self, text: str) -> None:
        """Keep a word for the report; it is said once."""
        if text not in self.notes:
            self.notes.append(text)

    def fitting(self, files: frozenset[str], *, metered: bool) -> Base | None:
        """A base at rest that has collected these files."""
        for base, work in self._bases:
            if work is None and base.metered == metered and files <= base.files and not base.has_ended():
                return base
        return None

    def new(self, files: Iterable[str], *, metered: bool) -> Base:
        """One more base; one at rest makes way for it.

        Raises:
            ReplayError: it cannot be started.
        """
        for number, (base, work) in enumerate(self._bases):
            if work is None and base.metered != metered:
                del self._bases[number]
                base.end()
                break
        self._made += 1
        try:
            if self._shared is None:
                self._shared = temporary_name("lt-")
            request, name = Request(files=tuple(files)), str(self._made)
            base = Base(request, self.settings, self.folder, name, metered=metered, shared=self._shared)
        except (OSError, ValueError) as exc:
            raise ReplayError(f"no replay child could be started: {exc}") from exc
        self._bases.append((base, None))
        return base

    def begin(
        self, base: Base, tasks: Sequence[Task], kinds: Sequence[str], now: float, *, trace: bool, forked: bool = True
    ) -> None:
        """Give a share to a base; it is sent as soon as the base is ready."""
        self.shares += 1
        response, log = (self.folder / f"{part}-share-{self.shares}" for part in ("response", "log"))
        response.unlink(missing_ok=True)
        share = Share(
            number=self.shares,
            tasks=tuple(tasks),
            response=str(response),
            log=str(log),
            kinds=tuple(kinds),
            trace=trace,
            forked=forked and not self._fresh,
        )
        work = Work(share=share, responses=ResponseReader(response), since=now, running=tasks[0].ident)
        self._bases = [(each, work if each is base else held) for each, held in self._bases]
        if base.ready is not None:
            base.run(share)

    def at_work(self) -> list[tuple[Base, Work]]:
        """Which bases are at work, and on what."""
        return [(base, work) for base, work in self._bases if work is not None]

    def listen(self, seconds: float) -> None:
        """Wait for a word of any base at work, and take it in."""
        busy = self.at_work()
        wait_for([base.fileno() for base, _work in busy], seconds)
        for base, work in busy:
            waited = base.ready is None
            for said in base.heard():
                if said.get("is") == "ended" and said.get("number") == work.share.number:
                    work.ended = int(said.get("status", 0))
            if waited and base.ready is not None:
                self._ready(base, work)

    def _ready(self, base: Base, work: Work) -> None:
        """A base has collected: it gets its share, which it carries out itself where it cannot fork."""
        if not base.ready and work.share.forked:
            self._fresh = True
            self.note(f"each share of tests got a process of its own, since a fork was not safe: {base.why}")
        for name, why in base.unread.items() if base.metered else ():
            self.note(f"{name} could not be read in replays: {why}")
        work.share = replace(work.share, forked=bool(base.ready) and work.share.forked)
        work.since = time.monotonic()
        base.run(work.share)

    def rest(self, base: Base) -> None:
        """A base has done its share, and is at rest; one that cannot go on is ended."""
        work = dict(self.at_work())[base]
        usable = base.ready and work.share.forked and not base.has_ended()
        self._bases = [
            (each, None if each is base else held) for each, held in self._bases if usable or each is not base
        ]
        if not usable:
            base.end()


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
    a new worker. ResponseReader are put into `outcome` as they come, so that an error costs only those that have not.

    Raises:
        ReplayError: no child can be started.
    """
    waiting, alone = deque(shares(tasks)), deque[Task]()
    files = frozenset(target.path for task in tasks for target in (*task.before, *task.targets))
    outcome, began = Outcome() if outcome is None else outcome, clock()
    again: set[int] = set()
    while waiting or alone or pool.at_work():
        stop = pool.stopped() or (bounds.budget_s is not None and clock() - began > bounds.budget_s)
        if stop:
            outcome.left_out += [task.ident for share in (*waiting, alone) for task in share]
            waiting.clear()
            alone.clear()
        while waiting and len(pool.at_work()) < bounds.jobs:
            _begin(waiting.popleft(), files, pool, kinds, clock(), trace=trace)
        if alone and not waiting and not pool.at_work():
            _begin([alone.popleft()], files, pool, kinds, clock(), trace=trace, fresh=True)
        pool.listen(POLL_S)
        for base, work in pool.at_work():
            work.take(clock())
            work.beside = work.beside or len(pool.at_work()) > 1
            if not _is_over(base, work, bounds, clock(), stop=stop):
                continue
            rest = _gather(base, work, outcome, again, alone, stop=stop)
            if rest:
                waiting.appendleft(rest)
            pool.rest(base)
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


def _begin(
    tasks: list[Task],
    files: frozenset[str],
    pool: Pool,
    kinds: Sequence[str],
    now: float,
    *,
    trace: bool,
    fresh: bool = False,
) -> None:
    """Give a share to a base at rest, or to a new one; a `fresh` one carries it out itself."""
    metered = not any(task.native for task in tasks)
    base = None if fresh else pool.fitting(files, metered=metered)
    pool.begin(base or pool.new(sorted(files), metered=metered), tasks, kinds, now, trace=trace, forked=not fresh)


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


def _gather(base: Base, work: Work, outcome: Outcome, again: set[int], alone: deque[Task], *, stop: bool) -> list[Task]:
    """Take the responses of a share that is over; what it never came to is returned, for another worker.

    What failed beside others, or hung at once in a fork, is run once more: alone, in a process of its own.
    """
    work.take(0.0)
    responses = work.responses.by_task
    status = base.end() if work.ended is None else work.ended  # the base itself has ended, or does not respond
    rest: list[Task] = []
    culprit = next(
        (t.ident for t in work.share.tasks if t.ident not in responses or not responses[t.ident].ended), None
    )
    if any(response.retired for response in responses.values()):
        culprit = None
    for task in work.share.tasks:
        response = responses.get(task.ident) or Response(ident=task.ident)
        if response.ended and not (response.failure and work.beside and task.ident not in again):
            outcome.responses[task.ident] = response
        elif stop:
            _leave(task, response, outcome)
        elif task.ident == culprit and (task.ident in again or not _is_worth_another(work, response)):
            log = base.log if base.ready is None else Path(work.share.log)
            response.late = work.late and not response.judged
            _end_early(response, last_words(status, log))
            outcome.responses[task.ident] = response
        elif task.ident == culprit or response.ended:
            again.add(task.ident)
            alone.append(task)
        else:
            rest.append(task)
    return rest


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
