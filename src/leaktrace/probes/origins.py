"""Where each resource was made: `file:line` by audit hooks and by its steps, for a throw-away child only.

An audit hook can never be taken out again, so `install` belongs into a replay child. The table grows with what is
opened (bounded, but not nothing): name in runs of their own, not in those whose memory is measured.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import fsdecode
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from leaktrace.probes.callables import calls, outward, telling_place
from leaktrace.probes.stepping import Steps


LIMIT = 4096
"""Paths remembered; the oldest is forgotten first."""

_DEEP_ENOUGH = 12
_THREADS_AUDITED_SINCE = (3, 12)


class Origins:
    """Remembers which line opened each path, socket, thread, child process and coroutine."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._sockets: WeakKeyDictionary[Any, str | None] = WeakKeyDictionary()
        self._threads: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
        self._children: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._listening = False
        self._steps = Steps()
        self._handlers: dict[str, Callable[[tuple[Any, ...], FrameType], None]] = {
            "open": self._opened,
            "sqlite3.connect": self._opened,
            "tempfile.mkstemp": self._opened,
            "tempfile.mkdtemp": self._opened,
            "socket.__new__": self._socket_made,
            "_thread.start_new_thread": self._thread_started,
            "_thread.start_joinable_thread": self._thread_started,
            "subprocess.Popen": self._child_started,
            "os.fork": self._child_started,
        }

    def install(self, *, stepping: bool = True) -> None:
        """Listen from now on, for as long as this process lives; coroutines remember their makers, too.

        With `stepping`, every line is watched, which descriptors need and nothing else does.
        """
        sys.set_coroutine_origin_tracking_depth(_DEEP_ENOUGH)
        self._listening = True
        sys.addaudithook(self._hear)
        if sys.version_info < _THREADS_AUDITED_SINCE:
            start: Any = threading._start_new_thread  # type: ignore[attr-defined]  # noqa: SLF001

            def heard_start(*args: Any) -> Any:
                self._hear("_thread.start_new_thread", args)
                return start(*args)

            threading._start_new_thread = heard_start  # type: ignore[attr-defined]  # noqa: SLF001

        if stepping:
            self._steps.start()

    def stop(self) -> None:
        """Remember nothing more."""
        self._steps.stop()
        self._listening = False
        sys.set_coroutine_origin_tracking_depth(0)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hear and watch nothing meanwhile: what a probe opens to look around is nobody's."""
        listening, self._listening = self._listening, False
        try:
            with self._steps.paused():
                yield
        finally:
            self._listening = listening

    def of_fd(self, fd: int, link: str) -> str | None:
        """Where a descriptor was opened: by its socket object, by the line that ran, by the path that it leads to."""
        for made in list(self._sockets):
            if made.fileno() == fd:
                return self._sockets[made]
        return self._steps.of_fd(fd) or self._paths.get(link.removesuffix(" (deleted)"))

    def of_path(self, path: str) -> str | None:
        """Where a path was last opened or made."""
        return self._paths.get(path)

    def of_thread(self, thread: threading.Thread) -> str | None:
        """Where a thread was started."""
        return self._threads.get(thread)

    def of_process(self, pid: int) -> str | None:
        """Where a child process was started."""
        return next((where for child, where in list(self._children.items()) if _pid_of(child) == pid), None)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        handler = self._handlers.get(event)
        if handler is None or not self._listening:
            return
        with suppress(Exception):  # what a hook raises would make the user's own call fail
            handler(args, sys._getframe(1))  # noqa: SLF001 - there is no public way to one's caller

    def _opened(self, args: tuple[Any, ...], frame: FrameType) -> None:
        where = telling_place(calls(frame))
        if where is None or not isinstance(args[0], (str, bytes)):
            return
        path = fsdecode(args[0])
        self._paths.pop(path, None)
        self._paths[path] = where
        if len(self._paths) > LIMIT:
            del self._paths[next(iter(self._paths))]

    def _socket_made(self, args: tuple[Any, ...], frame: FrameType) -> None:
        # One that a server's thread accepts has no line of the user's: it is not the line's that runs elsewhere.
        self._sockets[args[0]] = telling_place(calls(frame))

    def _thread_started(self, args: tuple[Any, ...], frame: FrameType) -> None:
        thread = getattr(args[0], "__self__", None)
        where = telling_place(calls(frame))
        if isinstance(thread, threading.Thread) and where is not None:
            self._threads[thread] = where

    def _child_started(self, _args: tuple[Any, ...], frame: FrameType) -> None:
        """`subprocess` and `multiprocessing` raise the event in a method of the object that will know the pid."""
        where = telling_place(calls(frame))
        for caller in outward(frame):
            if caller.f_code.co_name in ("_execute_child", "_launch") and where is not None:
                self._children[caller.f_locals["self"]] = where
                return


def _pid_of(child: Any) -> Any:
    return getattr(child, "pid", None)
