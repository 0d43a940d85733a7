"""The only way in which we start and end processes: a child of our own, held by a pidfd, never by a mere number.

A suite may leave `subprocess`, `os` or `signal` patched, so a number that they return is not trusted: it has to be an
`int` of a living child of this very process. A group is signalled only while its leader, which is our child and made
the group, is a zombie that we have not reaped: until then its number can be nobody else's.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from leaktrace.errors import ReplayError


LEAST_PID = 2
"""Signals to 0, 1 and negative numbers reach whole groups, or every process of the user."""
STEP_S = 0.01


class OwnProcess:
    """A process that this one has started, with a session and a group of its own.

    Args:
        argv: the program and its arguments.
        cwd: where it starts.
        environ: its whole environment.
        log: file that takes its standard output and error.
        inherited: descriptors that it gets beside the three standard ones.

    Raises:
        OSError: it cannot be started.
        ReplayError: what was started is no child of this process.
    """

    def __init__(
        self, argv: Sequence[str], *, cwd: str, environ: Mapping[str, str], log: int, inherited: Sequence[int] = ()
    ) -> None:
        self._popen = subprocess.Popen(  # noqa: S603 - our own launcher, by the parent's own interpreter
            list(argv),
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(inherited),
        )
        self._parent = os.getpid()
        self.pid = checked_pid(self._popen.pid)
        self._pidfd = opened_pidfd(self.pid)
        self.status: int | None = None
        """How it ended, as `subprocess` tells it; None while it runs."""

    def fileno(self) -> int:
        """A descriptor that becomes readable when the process has ended, or -1 where the platform has none."""
        return self._pidfd

    def has_ended(self) -> bool:
        """Whether it has ended; it is not reaped by this question."""
        if self.status is not None:
            return True
        if os.getpid() != self._parent:
            return True  # a fork of ours has no children here
        if not hasattr(os, "waitid"):
            return self._popen.poll() is not None
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, so long at most; returns whether it has."""
        until = time.monotonic() + seconds
        while not self.has_ended():
            left = until - time.monotonic()
            if left <= 0:
                return False
            wait_for([self._pidfd], left)
        return True

    def end(self) -> int:
        """End it with all of its group, reap it, and return how it ended."""
        if self.status is not None or os.getpid() != self._parent:
            return self.status or 0
        if not self.has_ended():
            send(self.pid, self._pidfd, signal.SIGKILL)
            self.wait(60.0)
        self._end_group()
        self.status = self._popen.wait()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        return self.status

    def _end_group(self) -> None:
        """What it left running in its own group; its leader is a zombie of ours, so the number is still its own."""
        with suppress(OSError, AttributeError):
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return
            if os.getpgid(self.pid) == checked_pid(self.pid) != os.getpgrp():
                os.killpg(self.pid, signal.SIGKILL)


def wait_for(descriptors: Sequence[int], seconds: float) -> None:
    """Wait until one of these can be read, so long at most; a moment only where the platform cannot tell."""
    known = [descriptor for descriptor in descriptors if descriptor >= 0]
    if not known or not hasattr(select, "poll"):  # select(2) itself knows no descriptor beyond 1,023
        time.sleep(min(STEP_S, seconds))
        return
    poll = select.poll()
    for descriptor in known:
        poll.register(descriptor, select.POLLIN)
    poll.poll(max(1, round(seconds * 1000)))


def checked_pid(pid: object) -> int:
    """The number of a child of this process.

    Raises:
        ReplayError: it is no number, one that stands for many processes, or that of somebody else's process.
    """
    if type(pid) is not int or pid < LEAST_PID:
        raise ReplayError(f"no process of ours was started: its number would be {pid!r}")
    parent = parent_of(pid)
    if parent is not None and parent != os.getpid():
        raise ReplayError(f"process {pid} is a child of {parent}, not of this process ({os.getpid()})")
    return pid


def parent_of(pid: int) -> int | None:
    """The parent of a process; None where the platform does not tell or it has gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def opened_pidfd(pid: int) -> int:
    """A descriptor of a child process (pidfd_open(2)), or -1 where the platform has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def send(pid: int, pidfd: int, number: signal.Signals) -> None:
    """Signal a child of ours that is not reaped yet: through its descriptor where there is one."""
    with suppress(ProcessLookupError):
        if pidfd >= 0:
            signal.pidfd_send_signal(pidfd, number)
        else:
            os.kill(checked_pid(pid), number)


def children_of_this() -> list[int]:
    """The numbers of this process's children, those that the kernel has given to it as their reaper included."""
    found = []
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 - a path object for each would cost more
            with suppress(OSError):
                found += Path(f"/proc/self/task/{thread}/children").read_bytes().split()
    return [int(pid) for pid in found]


def end_orphans(spared: Sequence[int], *, grace_s: float, clock_step_s: float = STEP_S) -> None:
    """End what a child of ours has left behind, once it has had a moment to end by itself; zombies are reaped.

    A resource tracker, which unlinks shared memory when its last user has gone, gets the same moment.
    """
    until = time.monotonic() + grace_s
    while True:
        left = [pid for pid in children_of_this() if pid not in spared]
        for pid in left:
            _reap(pid)
        left = [pid for pid in left if parent_of(pid) == os.getpid()]
        if not left:
            return
        if time.monotonic() >= until:
            break
        time.sleep(clock_step_s)
    for pid in left:
        pidfd = opened_pidfd(pid)
        if parent_of(pid) == os.getpid():  # asked again once the descriptor pins the process
            send(pid, pidfd, signal.SIGKILL)
            with suppress(OSError):
                os.waitpid(pid, 0)
        if pidfd >= 0:
            os.close(pidfd)
    if left:
        end_orphans(spared, grace_s=0.0)  # what those had started is ours now


def reap_strays(spared: Sequence[int]) -> None:
    """Reap what has ended among the processes that the kernel gave to this one: a test may wait for them to be gone."""
    for pid in children_of_this():
        if pid not in spared:
            _reap(pid)


def _reap(pid: int) -> None:
    with suppress(OSError):
        os.waitpid(pid, os.WNOHANG)
