"""The base children of a run, what each is at work on, and how long that may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from leaktrace.errors import ReplayError
from leaktrace.files import remove_tree, temporary_name
from leaktrace.replay.base import Base
from leaktrace.replay.process import wait_for
from leaktrace.replay.protocol import Request, Settings, Share, Task
from leaktrace.replay.responses import ResponseReader
from leaktrace.replay.restore import restore


END_S = 5.0
EXPLAIN_S = 60.0
"""Time for an explanation, which bounds itself to far less; an interpreter's own fault must not cost the verdict."""


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
