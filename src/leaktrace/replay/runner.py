"""Starts replay children, watches over them, and gathers their answers: the only room that starts processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from leaktrace.errors import ReplayError
from leaktrace.replay import launcher
from leaktrace.replay.letters import ORDER_VARIABLE, Answer, Order, Settings, Task, read_answers


POLL_S = 0.05
TASKS_A_CHILD = 8
TAIL_LINES = 6
END_S = 5.0
EXPLAIN_S = 60.0
"""Time for an explanation, which bounds itself to far less; an interpreter's own fault must not cost the verdict."""
START_S = 60.0
"""Time that a child is given to start and collect, beside the time-out of its task."""
METER = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
"""What makes malloc's live bytes exact: every object by malloc, and no freed chunk parked in a thread's cache."""
COVERAGE = (
    "COV_CORE_SOURCE",
    "COV_CORE_CONFIG",
    "COV_CORE_DATAFILE",
    "COVERAGE_PROCESS_START",
    "COVERAGE_PROCESS_CONFIG",
)


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
class Child:
    """One running child and its share of the tasks."""

    process: subprocess.Popen[bytes]
    tasks: Sequence[Task]
    answer: Path
    log: Path
    temporary: str
    since: float
    size: int = -1
    running: int | None = None
    explaining: bool = False
    done: bool = False


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
                try:
                    running.append(_start(waiting.popleft(), settings, folder, number, kinds, trace=trace, now=clock()))
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
            _kill(child)
    return outcome


def _shares(tasks: Iterable[Task]) -> Iterable[list[Task]]:
    """Which tasks share a child: the cost of starting one is the suite's imports and collection."""
    share: list[Task] = []
    for task in tasks:
        share.append(task)
        if len(share) == TASKS_A_CHILD:
            yield share
            share = []
    if share:
        yield share


def _start(
    tasks: Sequence[Task],
    settings: Settings,
    folder: Path,
    number: int,
    kinds: Sequence[str],
    *,
    trace: bool,
    now: float,
) -> Child:
    order_path, answer, log = (folder / f"{name}-{number}" for name in ("order", "answer", "log"))
    environ = {name: value for name, value in settings.environ.items() if name not in COVERAGE}
    restore = {name: environ.get(name) for name in METER}
    tunables = environ.get("GLIBC_TUNABLES")
    environ |= METER
    if tunables:
        environ["GLIBC_TUNABLES"] = f"{tunables}:{METER['GLIBC_TUNABLES']}"
    environ[ORDER_VARIABLE] = str(order_path)
    temporary = tempfile.mkdtemp(prefix="leaktrace-replay-")
    Order(
        args=settings.args,
        sys_path=settings.sys_path,
        answer=str(answer),
        tasks=tuple(tasks),
        kinds=tuple(kinds),
        trace=trace,
        restore=restore,
        temporary=temporary,
    ).write(order_path)
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own launcher, by the parent's own interpreter
            [*settings.interpreter, launcher.__file__],
            cwd=settings.cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(process, tasks, answer, log, temporary, since=now)


def _over(child: Child, bounds: Bounds, now: float, *, late: bool) -> bool:
    """Whether a child has ended, or has to: time begins anew with each of its tasks."""
    with contextlib.suppress(OSError):
        size = child.answer.stat().st_size
        if size != child.size:
            child.size = size
            current, explaining = _progress_of(child)
            child.done = current is None and size > 0
            if (current, explaining) != (child.running, child.explaining):
                child.running, child.explaining, child.since = current, explaining, now
    if child.process.poll() is not None:
        _kill(child)  # what it left running in its group
        return True
    # Once all is answered, what still runs is a thread or a fixture that does not end.
    allowed = END_S if child.done else bounds.timeout_s + (START_S if child.running is None else 0.0)
    if child.explaining:
        allowed = min(allowed, EXPLAIN_S)
    if now - child.since > allowed or late:
        _kill(child)
        return True
    return False


def _progress_of(child: Child) -> tuple[int | None, bool]:
    """The first task that has not ended, None when all have, and whether it is being explained by now."""
    with contextlib.suppress(ReplayError):
        answers = read_answers(child.answer)
        current = next((t.ident for t in child.tasks if t.ident not in answers or not answers[t.ident].ended), None)
        return current, current in answers and answers[current].judged
    return child.running, child.explaining


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
        answer.failure = answer.failure or _last_words(child)
    elif answer.exhibit is None:
        answer.exhibit = {"notes": [f"what keeps it alive was not found: {_last_words(child)}"]}


def _leave(task: Task, answer: Answer, outcome: Outcome) -> None:
    """The budget ran out while this one ran: what it had read may still tell."""
    if answer.readings:
        answer.spent, answer.ended = "time", True
        outcome.answers[task.ident] = answer
    else:
        outcome.left_out.append(task.ident)


def _last_words(child: Child) -> str:
    """How the child ended, with the last lines that it printed."""
    code = child.process.returncode
    if code is None or code == -signal.SIGKILL:
        how = "the replay child was killed: it took longer than --leaktrace-timeout, or memory ran out"
    elif code < 0:
        how = f"the replay child died of signal {signal.Signals(-code).name}"
    else:
        how = f"the replay child ended early with exit status {code}"
    with contextlib.suppress(OSError):
        text = child.log.read_bytes()[-20_000:].decode("utf-8", "replace")
        lines = _telling([line.rstrip() for line in text.splitlines() if line.strip()])
        if lines:
            how += "; its last lines: " + " | ".join(lines)
    return how


def _telling(lines: list[str]) -> list[str]:
    """The last lines; of a crash that faulthandler told, what happened and the innermost calls."""
    fatal = next((number for number, line in enumerate(lines) if line.startswith("Fatal Python error:")), None)
    if fatal is None:
        return lines[-TAIL_LINES:]
    dump = [line.strip() for line in lines[fatal:] if "hread 0x" not in line]
    return [*lines[max(0, fatal - 2) : fatal], *dump[: TAIL_LINES - 2]]


def _kill(child: Child) -> None:
    """End a child with everything that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(child.process.pid, signal.SIGKILL)
    else:
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(child.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        child.process.kill()
    child.process.wait()
    shutil.rmtree(child.temporary, ignore_errors=True)  # a child that crashes cannot do it


def _current(running: Sequence[Child]) -> int | None:
    return next((child.running for child in running if child.running is not None), None)


def interpreter() -> tuple[str, ...]:
    """This interpreter with the flags that it was started with (`-W`, `-X`, `-O`, …)."""
    flags: Callable[[], list[str]] | None = getattr(subprocess, "_args_from_interpreter_flags", None)
    return (sys.executable, *(flags() if flags is not None else ()))
