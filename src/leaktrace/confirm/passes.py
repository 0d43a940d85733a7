"""Runs one pass after the other within one budget: what fails in one is told, and costs it alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from leaktrace.confirm.part import Progress
from leaktrace.errors import LeaktraceError
from leaktrace.options import Options
from leaktrace.replay.pool import Bounds, Pool
from leaktrace.replay.protocol import Task, placed
from leaktrace.replay.scheduler import Outcome, replay


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """When all replays together have to be over."""

    budget_s: float | None
    clock: Callable[[], float] = time.monotonic
    began: float = field(default=0.0)

    def left_s(self) -> float | None:
        """Seconds left, None where there is no bound."""
        return None if self.budget_s is None else max(0.0, self.budget_s - (self.clock() - self.began))


class Passes:
    """Runs the tasks of each pass within what is left of the budget; a pass that cannot be run is told once."""

    def __init__(
        self,
        pool: Pool,
        options: Options,
        deadline: Deadline,
        progress: Progress,
        paths: Mapping[str, str] = MappingProxyType({}),
        *,
        jobs: int = 1,
    ) -> None:
        self._paths, self._jobs = paths, jobs
        self._pool, self._options, self._deadline, self._progress = pool, options, deadline, progress
        self.warnings: list[str] = []

    def run(
        self, doing: str, tasks: Sequence[Task], *, kinds: Sequence[str] | None = None, trace: bool = True
    ) -> Outcome:
        """What the children say of these tasks; all are left out where no child can be started."""
        if not tasks:
            return Outcome()
        names: dict[int | None, str] = {task.ident: task.targets[0].nodeid for task in tasks if task.targets}
        bounds = Bounds(jobs=self._jobs, budget_s=self._deadline.left_s(), timeout_s=self._options.timeout_s)
        outcome = Outcome()
        try:
            replay(
                placed(tasks, self._paths),
                self._pool,
                bounds,
                kinds=tuple(sorted(self._options.kinds)) if kinds is None else kinds,
                trace=trace,
                progress=lambda done, count, ident: self._progress(doing, done, count, names.get(ident, "")),
                outcome=outcome,
            )
        except Exception as exc:  # noqa: BLE001 - a fault of ours costs what this pass had not answered by then
            self._ended_early(doing, exc)
            self._pool.close()  # what its children still say is no answer to the next pass
            outcome.left_out = [task.ident for task in tasks if not _has_ended(outcome, task)]
            return outcome
        if outcome.left_out and self._deadline.left_s() == 0:
            self.warn(f"--leaktrace-budget ran out while {doing}")
        return outcome

    def part(self, doing: str, step: Callable[[], T], instead: T) -> T:
        """What a step gives back; a fault of ours in it is told, and the rest goes on with `instead`."""
        try:
            return step()
        except Exception as exc:  # noqa: BLE001 - as above
            self._ended_early(doing, exc)
            return instead

    def _ended_early(self, doing: str, exc: Exception) -> None:
        ours = isinstance(exc, LeaktraceError | OSError)
        self.warn(f"{doing} ended early: {exc}" if ours else f"{doing} ended early: {type(exc).__name__}: {exc}")

    def warn(self, text: str) -> None:
        """Say something once in the report."""
        if text not in self.warnings:
            self.warnings.append(text)

    def within(self, deadline: Deadline) -> None:
        """From now on, this is the time that there is."""
        self._deadline = deadline


def _has_ended(outcome: Outcome, task: Task) -> bool:
    return task.ident in outcome.responses and outcome.responses[task.ident].ended
