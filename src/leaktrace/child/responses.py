"""The file that a worker responds with: one `write(2)` a record, through a descriptor that is known to be ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

from leaktrace.child.measure import Tell
from leaktrace.pristine import os
from leaktrace.probes.descriptor import keep_high
from leaktrace.replay.protocol import Task


class ResponseFile:
    """Appends records; a test may close every descriptor, and open files of its own under their numbers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd, self._file = -1, (0, 0)
        # Bound here: a test may patch them, for good.
        self._write, self._fstat, self._open_file, self._dumps = os.write, os.fstat, os.open, json.dumps
        self._open()

    def _open(self) -> None:
        self._fd = keep_high(self._open_file(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
        self._file = self._identity()

    def _identity(self) -> tuple[int, int]:
        found = self._fstat(self._fd)
        return found.st_dev, found.st_ino

    def to(self, task: Task) -> Tell:
        """A function that puts events on this task into the file."""

        def tell(event: str, fields: Mapping[str, object]) -> None:
            line = self._dumps({"event": event, "task": task.ident, **fields}).encode() + b"\n"
            with suppress(OSError):
                if self._identity() == self._file:
                    self._write(self._fd, line)
                    return
            self._open()
            self._write(self._fd, b"\n" + line)

        return tell
