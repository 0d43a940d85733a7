"""One replay child as a process: started with the parent's settings, ended with all that it started itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from leaktrace.replay import launcher
from leaktrace.replay.letters import ORDER_VARIABLE, Order, Settings, Task
from leaktrace.replay.restore import restore


TAIL_LINES = 6
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
class Progress:
    """How far a child has come: the first task that has not ended, None when all have or before it told anything.

    Attributes:
        explaining: whether that task is being explained by now.
        preceded: how many of the tests that come before it have been run.
    """

    running: int | None = None
    explaining: bool = False
    preceded: int = 0


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
    progress: Progress = field(default_factory=Progress)
    done: bool = False


def start(
    order: Order, settings: Settings, folder: Path, name: str, *, metered: bool = True, now: float = 0.0
) -> Child:
    """Start a child that carries out an order; its letters and its log lie in `folder`, under `name`.

    Args:
        order: what to do; its path of the answer, its settings and its temporary folder are filled in here.
        settings: the parent's own.
        folder: for its files; made where it is not there.
        name: tells this child's files from those of others.
        metered: whether malloc is to count every object; else the allocators are those of the user.
        now: when it starts.

    Raises:
        OSError: it cannot be started.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order_path, answer, log = (folder / f"{part}-{name}" for part in ("order", "answer", "log"))
    environ = {variable: value for variable, value in settings.environ.items() if variable not in COVERAGE}
    restore: dict[str, str | None] = {}
    if metered:
        restore = {variable: environ.get(variable) for variable in METER}
        tunables = environ.get("GLIBC_TUNABLES")
        environ |= METER
        if tunables:
            environ["GLIBC_TUNABLES"] = f"{tunables}:{METER['GLIBC_TUNABLES']}"
    environ[ORDER_VARIABLE] = str(order_path)
    answer.unlink(missing_ok=True)  # of an earlier replay; the child appends
    temporary = tempfile.mkdtemp(prefix="leaktrace-replay-")
    if any("files" in task.kinds for task in order.tasks):
        environ["TMPDIR"] = f"{temporary}/own"  # what others write beside this child must not be taken for its own
        Path(environ["TMPDIR"]).mkdir()
    replace(
        order,
        args=settings.args,
        sys_path=settings.sys_path,
        answer=str(answer),
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
    return Child(process, order.tasks, answer, log, temporary, since=now)


def last_words(child: Child) -> str:
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


def kill(child: Child) -> None:
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
    restore(child.temporary)
    shutil.rmtree(child.temporary, ignore_errors=True)  # a child that crashes cannot do it


def interpreter() -> tuple[str, ...]:
    """This interpreter with the flags that it was started with (`-W`, `-X`, `-O`, …)."""
    flags: Callable[[], list[str]] | None = getattr(subprocess, "_args_from_interpreter_flags", None)
    return (sys.executable, *(flags() if flags is not None else ()))
