"""The line at which each descriptor came to be, by counting descriptors from line to line; for a throw-away child only.

Audit hooks do not tell of pipes, duplicates, epolls or what a C library opens. A trace function sees every line of the
user's and the libraries' code: what is open after a line and was not before it, that line has opened.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from leaktrace.probes.callables import calls, is_users, outward, telling_place
from leaktrace.probes.procfs import ON_LINUX, HeldDir, names_in


MOST_STEPS = 300_000
"""Lines looked at, about a second's worth."""
_PROC_FD = "/proc/self/fd"

_Identity = tuple[int, int]


class _Here(threading.local):
    """Where a thread is: the line that runs in it now."""

    place: tuple[str, int] | None = None


class Steps:
    """Watches lines between `start` and `stop`, and remembers which opened each descriptor. Linux only.

    What one thread opens just before another begins a line is taken for the other's: nothing tells them apart.
    """

    def __init__(self) -> None:
        self._is_users = functools.lru_cache(maxsize=4096)(is_users)  # asked at each call and line
        self._here = _Here()
        self._open: dict[int, _Identity] = {}
        self._count = -1
        self._steps = 0
        self._places: dict[int, tuple[_Identity, str | None]] = {}
        self._dir: HeldDir | None = None

    def start(self) -> None:
        """Watch from now on, unless somebody else traces already: a debugger's or coverage's lines are its own."""
        if not ON_LINUX or sys.gettrace() is not None or threading.gettrace() is not None:
            return
        self._dir = HeldDir(_PROC_FD)
        self._look()
        self._places.clear()
        threading.settrace(self._called)
        sys.settrace(self._called)

    def stop(self) -> None:
        """Watch no more; what was seen is remembered."""
        if self._dir is None:
            return
        self._look()
        if sys.gettrace() == self._called:
            sys.settrace(None)
        if threading.gettrace() == self._called:
            threading.settrace(None)
        self._dir.close()
        self._dir = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Watch nothing in this thread meanwhile: what looks at descriptors runs thousands of lines of its own."""
        watching = self._dir is not None and sys.gettrace() == self._called
        if watching:
            sys.settrace(None)
        try:
            yield
        finally:
            if watching:
                sys.settrace(self._called)

    def of_fd(self, fd: int) -> str | None:
        """`file:line` that ran when this descriptor appeared; None where it is not the one that was seen to appear."""
        identity, place = self._places.get(fd, (None, None))
        return place if identity is not None and identity == _identity(fd) else None

    def _called(self, frame: FrameType, _event: str, _arg: object) -> Any:
        """A function begins; only the user's and the libraries' own lines are of interest."""
        if self._dir is None or self._steps > MOST_STEPS or not self._is_users(frame.f_code.co_filename):
            return None
        self._look(frame)
        self._here.place = self._place((frame,))
        return self._stepped

    def _stepped(self, frame: FrameType, event: str, _arg: object) -> Any:
        """A line is about to run, or the function to return to its caller's."""
        if self._dir is None or self._steps > MOST_STEPS:
            return None
        self._look(frame)
        self._here.place = self._place(outward(frame.f_back) if event == "return" else (frame,))
        return self._stepped

    def _place(self, frames: Iterable[FrameType]) -> tuple[str, int] | None:
        for frame in frames:
            if self._is_users(frame.f_code.co_filename):
                return frame.f_code.co_filename, frame.f_lineno
        return None

    def _look(self, frame: FrameType | None = None) -> None:
        """Whatever has appeared since the last look, the line that ran until now has opened."""
        self._steps += 1
        with suppress(OSError):  # what a trace function raises would break the user's own line
            count = self._dir.stat().st_size if self._dir is not None else 0
            if count and count == self._count:  # 0 before Linux 6.2, where only a listing tells
                return
            found = {fd: _identity(fd) for fd in map(int, names_in(_PROC_FD))}
            # A listing shows the descriptor that it was made with, too, which is closed by now.
            now = {fd: identity for fd, identity in found.items() if identity is not None}
            new = {fd: identity for fd, identity in now.items() if self._open.get(fd) != identity}
            if new:
                ran, callers = self._here.place, frame.f_back if frame is not None else None
                where = telling_place((ran, *calls(callers))) if ran is not None else None
                self._places.update({fd: (identity, where) for fd, identity in new.items()})
            self._open, self._count = now, count


def _identity(fd: int) -> _Identity | None:
    """What tells a descriptor from a later one of the same number; None where it is not open."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino
