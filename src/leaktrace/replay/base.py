"""The parent's end of one base child: start it, tell it what to run, hear it, end it with all that it began."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from leaktrace.files import open_private, private_folder, remove_tree, temporary_name
from leaktrace.masking import masked
from leaktrace.probes.memory import HeapProbe
from leaktrace.probes.model import Unread
from leaktrace.replay import launcher
from leaktrace.replay.process import OwnProcess
from leaktrace.replay.protocol import REQUEST_VARIABLE, Request, Settings, Share
from leaktrace.replay.restore import restore
from leaktrace.serialize import encode


TAIL_LINES = 6
METER = {
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=1048576",
}
"""What makes malloc's live bytes exact: every object by malloc, no freed chunk parked in a thread's cache, and each
large block mapped for itself, whatever was freed before it. Python's own allocator stays, and its blocks are counted,
where it cannot be replaced (a free-threaded CPython) or nobody counts malloc's bytes (musl)."""
COVERAGE = (
    "COV_CORE_SOURCE",
    "COV_CORE_CONFIG",
    "COV_CORE_DATAFILE",
    "COVERAGE_PROCESS_START",
    "COVERAGE_PROCESS_CONFIG",
)
END_S = 3.0
"""Time in which a base that is told to end does so, and cleans up behind its workers."""
MAX_LINE_BYTES = 1 << 20


class Base:
    """One base child. It says `ready`, then `ended` for each share that it was given.

    Args:
        request: what to collect; settings and temporary folder are filled in here.
        settings: the parent's own.
        folder: for its files; made where it is not there.
        name: tells this child's files from those of others.
        metered: whether malloc is to count every object; else the allocators are those of the user.
        shared: the folder that all children of a run share, see `leaktrace.replay.undo`; without one it has its own,
            and what it changed is put back at its end.

    Raises:
        OSError: it cannot be started.
        ReplayError: what was started is no process of ours.
    """

    def __init__(
        self,
        request: Request,
        settings: Settings,
        folder: Path,
        name: str,
        *,
        metered: bool = True,
        shared: Path | None = None,
    ) -> None:
        private_folder(folder)
        self.files = frozenset(request.files)
        self.metered = metered
        self.ready: bool | None = None
        """Whether it can fork, once it has collected; None before."""
        self.why = ""
        """Why it cannot fork, or what went wrong."""
        self.unread: dict[str, str] = {}
        """Why a counter cannot be read in it, by its name."""
        self.log, self.response = folder / f"log-{name}", folder / f"response-{name}"
        self._request = folder / f"request-{name}"
        self._shared = temporary_name("lt-") if shared is None else shared
        self._own = self._shared if shared is None else None
        self.temporary = f"{self._shared}/{name}"
        self._rest = b""
        self._process: OwnProcess | None = None
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._start(request, settings, theirs)
        except BaseException:
            self._socket.close()
            remove_tree(self._own or self.temporary)
            raise
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own signature

    def _start(self, request: Request, settings: Settings, theirs: socket.socket) -> None:
        environ, restore = environment(settings, self.temporary, metered=self.metered)
        environ[REQUEST_VARIABLE] = str(self._request)
        self.response.unlink(missing_ok=True)
        replace(
            request,
            args=settings.args,
            sys_path=settings.sys_path,
            response=str(self.response),
            restore=restore,
            temporary=self.temporary,
            channel=theirs.fileno(),
            parent=os.getpid(),
            undo=str(self._shared),
        ).write(self._request)
        log = open_private(self.log)
        try:
            self._process = OwnProcess(
                [*settings.interpreter, launcher.__file__],
                cwd=settings.cwd,
                environ=environ,
                log=log,
                inherited=[theirs.fileno()],
            )
        finally:
            os.close(log)

    def fileno(self) -> int:
        """The descriptor that becomes readable when it has said something or ended."""
        return self._socket.fileno()

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process is None or self._process.has_ended()

    def run(self, share: Share) -> None:
        """Let it carry out a share."""
        self._say({"do": "run", "share": encode(share)})

    def end_worker(self) -> None:
        """Let it end the worker that is at work."""
        self._say({"do": "end"})

    def _say(self, request: dict[str, Any]) -> None:
        with suppress(OSError):  # that it has ended is seen elsewhere
            self._socket.setblocking(True)  # noqa: FBT003
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            self._socket.setblocking(False)  # noqa: FBT003

    def heard(self) -> list[dict[str, Any]]:
        """What it has said since it was last asked."""
        with suppress(OSError):
            while new := self._socket.recv(65_536):
                self._rest = (self._rest + new)[-MAX_LINE_BYTES:]
        *lines, self._rest = self._rest.split(b"\n")
        said = []
        for line in lines:
            with suppress(ValueError, RecursionError):
                message = json.loads(line)
                if isinstance(message, dict):
                    said.append(message)
        for message in said:
            if message.get("is") == "ready":
                self.ready, self.why = bool(message.get("forks")), str(message.get("why", ""))
                self.unread = dict(message.get("unread") or {})
                self._forget_order()
        return said

    def _forget_order(self) -> None:
        """Remove what has been read: pytest's own arguments, which may hold a password, stand in it as they are."""
        with suppress(OSError):
            self._request.unlink(missing_ok=True)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, so long at most; returns whether it has ended."""
        return self._process is None or self._process.wait(seconds)

    def end(self) -> int | None:
        """End it with everything that it started, and remove its temporary folder; returns how it ended."""
        self._socket.close()  # it ends by itself when nobody is there to talk to, and cleans up
        status = None
        if self._process is not None:
            self._process.wait(END_S)
            status = self._process.end()
        self._forget_order()
        if self._own is not None:
            restore(str(self._own))
        remove_tree(self._own or self.temporary)
        return status


def environment(settings: Settings, temporary: str, *, metered: bool) -> tuple[dict[str, str], dict[str, str | None]]:
    """The environment of a child, and what of it is set back before the first import of the suite."""
    environ = {name: value for name, value in settings.environ.items() if name not in COVERAGE}
    restore: dict[str, str | None] = {}
    if metered:
        restore = {name: environ.get(name) for name in METER}
        tunables = environ.get("GLIBC_TUNABLES")
        uncounted = isinstance(HeapProbe().read(), Unread)
        environ |= {name: value for name, value in METER.items() if not (uncounted and name == "PYTHONMALLOC")}
        if tunables:
            environ["GLIBC_TUNABLES"] = f"{tunables}:{METER['GLIBC_TUNABLES']}"
    # What tests leave in a temporary folder goes with the child, and what others write there is not taken for theirs.
    environ["TMPDIR"] = f"{temporary}/{launcher.FOR_TESTS}"
    return environ, restore


def last_words(status: int | None, log: Path) -> str:
    """How a child ended, with the last lines that it printed."""
    if status is None or status == -signal.SIGKILL:
        how = "the replay child was killed: it took longer than --leaktrace-timeout, or memory ran out"
    elif status < 0:
        how = f"the replay child died of signal {_name_of(-status)}"
    else:
        how = f"the replay child ended early with exit status {status}"
    with suppress(OSError):
        text = log.read_bytes()[-20_000:].decode("utf-8", "replace")
        lines = _telling([line.rstrip() for line in text.splitlines() if line.strip()])
        if lines:
            how += "; its last lines: " + masked(" | ".join(lines))
    return how


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _telling(lines: list[str]) -> list[str]:
    """The last lines; of a crash that faulthandler told, what happened and the innermost calls."""
    fatal = next((number for number, line in enumerate(lines) if line.startswith("Fatal Python error:")), None)
    if fatal is None:
        return lines[-TAIL_LINES:]
    dump = [line.strip() for line in lines[fatal:] if "hread 0x" not in line]
    return [*lines[max(0, fatal - 2) : fatal], *dump[: TAIL_LINES - 2]]


def interpreter() -> tuple[str, ...]:
    """This interpreter with the flags that it was started with (`-W`, `-X`, `-O`, …)."""
    flags: Callable[[], list[str]] | None = getattr(subprocess, "_args_from_interpreter_flags", None)
    return (sys.executable, *(flags() if flags is not None else ()))
