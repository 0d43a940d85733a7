"""Ctrl-C and SIGTERM while our part of a run is at work."""

from __future__ import annotations

import atexit
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Self


LATE_S = 2.0
LAST = 2
"""Interruptions that do not end the report."""


class Interruptions:
    """Ctrl-C and SIGTERM while our part runs: the first ends the replays, a second one also what they are closing.

    Neither costs the report; a third one does.

    Args:
        signals: which of them are taken over.
    """

    def __init__(
        self, signals: Sequence[int] = (signal.SIGINT, signal.SIGTERM), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._signals = signals
        self._before: dict[int, Any] = {}
        self._clock, self._over = clock, 0.0
        self.by = ""
        """The first signal that came, or ""."""
        self.replaying = False
        self._count = 0

    def __enter__(self) -> Self:
        """Take over the signals, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                before = signal.getsignal(number)
                if before is not None:  # one that Python did not install could not be put back
                    self._before[number] = before
                    signal.signal(number, self._come)
        return self

    def __exit__(self, *_exc: object) -> None:
        """Give them back; after an interruption only once nobody can still be hitting the same key."""
        self._over = self._clock()
        for number, handler in self._before.items():
            signal.signal(number, self._come_late if self.by else handler)
        if self.by:
            atexit.register(self._end)

    def _come_late(self, number: int, _frame: FrameType | None) -> None:
        """All is said, and the process is about to end with pytest's own status: a program that goes on is not."""
        if self._clock() - self._over > LATE_S:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)

    def _end(self) -> None:
        """The interpreter's own end sets a handler back to the system's, which kills; one that ignores it leaves."""
        for number in self._before:
            if self._clock() - self._over <= LATE_S and signal.getsignal(number) == self._come_late:
                signal.signal(number, signal.SIG_IGN)

    def _come(self, number: int, _frame: FrameType | None) -> None:
        self.by = self.by or signal.Signals(number).name
        self._count += 1
        if self._count > LAST or (self._count > 1 and self.replaying):
            self.replaying = False  # what comes next is the report
            raise KeyboardInterrupt

    def stopped(self) -> bool:
        """Whether somebody wants an end."""
        return bool(self.by)
