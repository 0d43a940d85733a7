"""The recording's crash-proof file: one JSON line a record, one `write(2)` a line; a kill loses one test at most.

Records, by `t`: `run` (version, counters, who), `collected`, `test`, `fixture` (a wider fixture's setup or closing),
`unread` (a counter given up, and why), `lost` (how many records could not be written just before), `stopped` (why the
watch goes no further), `end`. A journal without `end` belongs to a process that died; its last line may be torn.

What is needed of `os` and `json` is bound here, before the first test.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from leaktrace.files import open_private, private_folder, write_all
from leaktrace.pristine import dumps, os
from leaktrace.probes.descriptor import keep_high


if TYPE_CHECKING:
    from leaktrace.recording.model import Recording

close, fstat, getpid, stat_of = os.close, os.fstat, os.getpid, os.stat
VERSION = 2
MAX_BYTES = 1 << 30
WHOLE = '{"whole": true , '
"""How the first record begins. A record that cannot be written makes the word `false`, in place: that takes no room on
a full disk, and a reader knows then that it must not blame the test that the last record names."""
_FLAG_AT = WHOLE.index("true")
_pread: Callable[[int, int, int], bytes] | None = getattr(os, "pread", None)
_pwrite: Callable[[int, bytes, int], int] | None = getattr(os, "pwrite", None)


class Journal:
    """An append-only file of records.

    A record that cannot be written is lost alone: it is told once through `complain`, the next one is tried, and says
    how many are missing before it. Before each write the descriptor is known to be that of our file, else the file is
    opened anew; where it was removed, it is made again with all that it held. Only the process that opened it writes.

    Attributes:
        behind: whether the last record was lost, so that the next must not leave out what has not changed since.
    """

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self.path = path
        self.behind = False
        self._complain = complain
        self._write = os.write
        self._pid = getpid()
        self._fd = -1
        self._file = (-1, -1)
        self._size = self._lost = self._count = 0
        self._first = b""
        self._whole = True
        try:
            self._open(b"")
        except OSError as exc:
            complain(f"no journal is kept: {path} cannot be written ({exc})")

    def write(self, line: str) -> None:
        """Append one record, given as a line of JSON without its newline."""
        if self._fd < 0 or getpid() != self._pid:
            return
        data = line.encode("utf-8", "replace") + b"\n"
        try:
            if not self._is_ours():
                self._reopen()
            if self.behind:
                # Whatever is left of the record before must not be glued to this one.
                data = b'\n{"t": "lost", "records": %d}\n%b' % (self._lost, data)
            self._put(data)
        except OSError as exc:
            self._lost += 1
            self.behind = True
            self._mark(whole=False)
            self._complain(f"the journal {self.path} could not be written ({exc}): it has a gap")
            return
        self._count += 1
        if self.behind:
            self.behind, self._lost = False, 0
            self._mark(whole=True)

    def record(self, t: str, **fields: object) -> None:
        """Append one record of a rare kind; tests' own records are written as text, which is cheaper."""
        line = dumps({"t": t, **fields})
        if not self._first:
            line = f"{WHOLE}{line[1:]}"
            self._first = line.encode() + b"\n"
        self.write(line)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            with suppress(OSError):
                if self._is_ours(removed=True):
                    close(self._fd)
            self._fd = -1

    def _is_ours(self, *, removed: bool = False) -> bool:
        """Whether the descriptor is still that of our file, and the file, unless it may be `removed`, in a folder."""
        try:
            status = fstat(self._fd)
        except OSError:
            return False
        # The size, too: the number of an inode that was removed is soon given to another file.
        same = (status.st_dev, status.st_ino) == self._file and status.st_size == self._size
        return same and (removed or status.st_nlink > 0)

    def _put(self, data: bytes) -> None:
        while data:
            written = self._write(self._fd, data)
            self._size += written
            data = data[written:]

    def _reopen(self) -> None:
        """Open the file anew, since tests have closed it, removed it or put another file under its number."""
        kept, ours = b"", False
        with suppress(OSError):
            status = fstat(self._fd)
            if (status.st_dev, status.st_ino) == self._file:
                ours = status.st_size == self._size or self._is_at_its_place()
                if ours and status.st_nlink == 0 and _pread is not None:
                    kept = _pread(self._fd, status.st_size, 0)
        before = self._fd
        self._open(kept)
        if ours:  # never close what may be somebody else's
            with suppress(OSError):
                close(before)

    def _is_at_its_place(self) -> bool:
        status = stat_of(self.path)
        return (status.st_dev, status.st_ino) == self._file

    def _open(self, kept: bytes) -> None:
        """Open the file; a new one gets what was `kept` of the old, or at least its first record.

        Raises:
            OSError: it cannot be opened, or another file is in its place.
        """
        private_folder(self.path.parent)
        fd = open_private(self.path, os.O_RDWR | os.O_APPEND)
        try:
            status = fstat(fd)
            if (status.st_dev, status.st_ino) != self._file or status.st_size < self._size:
                if status.st_size:
                    raise FileExistsError("another file is in its place")  # noqa: TRY301 - closed below
                if self._first:
                    write_all(fd, kept or self._first)
                if self._count and not kept:
                    self._lost += self._count - 1
                    self.behind = True
            elif status.st_size != self._size:
                self.behind = True  # the last record is torn
            fd = keep_high(fd)
            status = fstat(fd)
        except BaseException:
            close(fd)
            raise
        self._fd, self._file, self._size = fd, (status.st_dev, status.st_ino), status.st_size

    def _mark(self, *, whole: bool) -> None:
        """Say in the first record whether the last one is what happened last."""
        if whole is self._whole or _pwrite is None:
            return
        with suppress(OSError, ImportError):
            status = fstat(self._fd)
            if (status.st_dev, status.st_ino) != self._file:
                return  # a test has put another file under its number
            import fcntl  # noqa: PLC0415 - not on Windows, and only after a fault

            flags = fcntl.fcntl(self._fd, fcntl.F_GETFL)
            fcntl.fcntl(self._fd, fcntl.F_SETFL, flags & ~os.O_APPEND)
            try:
                if self._is_at_its_place():
                    _pwrite(self._fd, b"true " if whole else b"false", _FLAG_AT)
                    self._whole = whole
            finally:
                fcntl.fcntl(self._fd, fcntl.F_SETFL, flags)


def read_journal(path: Path) -> Recording:
    """The recording that a journal tells, as far as it goes; see `leaktrace.recording.reader`.

    Raises:
        FileError: it is no journal, is too large or of a newer version.
    """
    from leaktrace.recording.reader import read  # noqa: PLC0415 - a journal is written in every run, and read in few

    return read(path)
