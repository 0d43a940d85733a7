"""The loop of a base child: fork a worker for each share that the parent sends, see to its end, clean up behind it.

A worker begins with what the base has imported and collected, and with no fixture set up: a fork costs milliseconds.
It is ended through its pidfd, and what it leaves running comes to the base, which is the reaper of its descendants.
"""

from __future__ import annotations

import json
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from socket import socket as Socket  # noqa: N812 - a suite may put another in its place
from sys import _current_frames
from types import MappingProxyType
from typing import Any, NoReturn

from leaktrace.errors import FileError
from leaktrace.pristine import os
from leaktrace.probes.descriptor import keep_high
from leaktrace.replay.launcher import become_reaper, die_with_parent
from leaktrace.replay.process import children_of_this, end_orphans, opened_pidfd, parent_of, reap_strays, send
from leaktrace.replay.protocol import Share
from leaktrace.replay.restore import remove, restore_and_remove
from leaktrace.serialize import decode


STANDARD = (1, 2)
STEP_MS = 100
GRACE_S = 1.0
"""How long what a worker has left running may take to end by itself."""


class Channel:
    """The line to the parent; when that has gone there is nothing to read but the end."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the standard library's own signature
        self._socket = Socket(fileno=keep_high(descriptor))
        self._rest = b""

    def fileno(self) -> int:
        """The descriptor that becomes readable when the parent has said something or gone."""
        return self._socket.fileno()

    def say(self, **message: object) -> None:
        """Tell the parent."""
        with suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def next(self) -> dict[str, Any] | None:
        """The next request; None when the parent has gone."""
        while b"\n" not in self._rest:
            try:
                new = self._socket.recv(1 << 16)
            except OSError:
                return None
            if not new:
                return None
            self._rest += new
        line, _, self._rest = self._rest.partition(b"\n")
        request = json.loads(line)
        return request if isinstance(request, dict) else None

    def close(self) -> None:
        """Let go of it, in a worker."""
        self._socket.close()


def why_not_to_fork() -> str:
    """Why a fork is not safe in this process, or ""."""
    if not hasattr(os, "fork") or not hasattr(os, "waitid"):
        return "this platform has no fork"
    if sys.platform == "darwin":
        return "macOS's own frameworks do not survive it"
    own = opened_pidfd(os.getpid())
    if own < 0:
        return "this system has no descriptors of processes"
    os.close(own)
    others = len(_current_frames()) - 1  # threading knows only the threads that it has started
    if others:
        import threading  # noqa: PLC0415 - only to name them

        names = sorted(each.name for each in threading.enumerate() if each is not threading.main_thread())
        return f"{others} thread{'s run' if others > 1 else ' runs'} after collection ({', '.join(names)})"
    return ""


def serve(
    channel: Channel,
    temporary: Path,
    carry_out: Callable[[Share], None],
    *,
    unread: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Carry out share after share until the parent has gone; one that must not be forked is the last.

    Args:
        channel: the line to the parent.
        temporary: the child's own folder.
        carry_out: does what a share asks for.
        unread: why a counter cannot be read here, by its name; the parent is told.
    """
    why = why_not_to_fork()
    channel.say(**{"is": "ready", "forks": not why, "why": why, "unread": unread})
    if why:
        die_with_parent()
    else:
        become_reaper()
        die_with_parent(0)  # the channel tells of that, and what the workers began has to be ended first
    forks = _Forks(channel, temporary, carry_out)
    while (request := channel.next()) is not None:
        try:
            share = decode(Share, request.get("share"))
        except FileError:
            continue  # nothing to run: a request to end a worker that has ended already
        if not share.forked or why:
            _redirect(share.log)
            carry_out(share)
            return
        if not forks.run(share):
            break
    # The parent has gone: nobody else would clean up.
    restore_and_remove(str(temporary.parent))


class _Forks:
    """Forks a worker for a share, and waits for its end or the parent's."""

    def __init__(self, channel: Channel, temporary: Path, carry_out: Callable[[Share], None]) -> None:
        self._channel, self._temporary, self._carry_out = channel, temporary, carry_out
        self._pid = os.getpid()
        self._own = tuple(children_of_this())
        self._kept = frozenset(self._places())  # what modules made as they were imported

    def _places(self) -> Iterator[str]:
        """What lies in the folders for temporary files."""
        for folder in os.listdir(self._temporary):
            with suppress(OSError):
                yield from (f"{self._temporary}/{folder}/{name}" for name in os.listdir(f"{self._temporary}/{folder}"))

    def run(self, share: Share) -> bool:
        """Returns whether the parent is still there."""
        _flush()
        pid = os.fork()
        if pid == 0:
            self._work(share)
        pidfd = opened_pidfd(pid)
        there = True
        try:
            there = self._watch(pid, pidfd)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        finally:
            os.close(pidfd)
        end_orphans(self._own, grace_s=GRACE_S if there else 0.0)
        for place in set(self._places()) - self._kept:
            remove(place)  # what is left of a worker goes with it
        self._channel.say(**{"is": "ended", "number": share.number, "status": status})
        return there

    def _watch(self, pid: int, pidfd: int) -> bool:
        """Wait until the worker has ended, or end it where the parent says so or has gone."""
        poll = select.poll()
        for descriptor in (pidfd, self._channel.fileno()):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _event in poll.poll(STEP_MS)]
            if pidfd in ready:
                return True
            if not ready:
                reap_strays((*self._own, pid))
                continue
            request = self._channel.next()
            if request is None or request.get("do") == "end":
                if parent_of(pid) == self._pid:
                    send(pid, pidfd, signal.SIGKILL)
                return request is not None

    def _work(self, share: Share) -> NoReturn:
        """The worker: nothing of pytest's own end is run in it."""
        status = 1
        try:
            die_with_parent()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if os.getppid() == self._pid:
                self._channel.close()
                _redirect(share.log)
                self._carry_out(share)
                status = 0
        except BaseException as exc:  # noqa: BLE001 - its last words are in its log
            with suppress(Exception):
                sys.stderr.write(f"{type(exc).__name__}: {exc}\n")
            status = exc.code if isinstance(exc, SystemExit) and isinstance(exc.code, int) else 1
        finally:
            _flush()
            os._exit(status)  # noqa: SLF001 - it is public


def _redirect(log: str) -> None:
    """What is printed past pytest goes into the share's own log, and so does what faulthandler tells of a crash.

    pytest keeps copies of the standard descriptors, and puts them back after each phase of a test.
    """
    _flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    common = os.fstat(2)
    for copy in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):
            if copy in STANDARD or os.path.samestat(os.fstat(copy), common):
                os.dup2(descriptor, copy, inheritable=copy in STANDARD)
    os.close(descriptor)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
