"""Where pytest prints: a suite may close its descriptor, and open a file that gets the same number."""

from __future__ import annotations

import sys
from contextlib import suppress
from os import fstat


class Outlet:
    """What pytest's own output has gone to.

    With files captured by descriptor, pytest ends by putting a saved descriptor back. What a suite has opened under
    that number would get all that is printed after pytest's summary: so that goes only where pytest itself has written.
    """

    def __init__(self) -> None:
        self._file = sys.stdout
        self._known: set[tuple[int, int]] = set()
        self.learn()

    def learn(self) -> None:
        """Pytest writes now: this is its output."""
        now = self._identity()
        if now is not None:
            self._known.add(now)

    def is_there(self) -> bool:
        """Whether what is printed now goes where pytest's own output went; where that cannot be told, it is printed."""
        now = self._identity()
        return now is None or not self._known or now in self._known

    def _identity(self) -> tuple[int, int] | None:
        with suppress(Exception):  # whatever a suite has put in its place
            status = fstat(self._file.fileno())
            return status.st_dev, status.st_ino
        return None
