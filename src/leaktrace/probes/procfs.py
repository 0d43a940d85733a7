"""Folders and Linux's `/proc/self`, asked as cheaply and safely as a probe in somebody else's process must."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaktrace.probes.descriptor import keep_high


ON_LINUX = sys.platform.startswith("linux")
SHM_FOLDER = "/dev/shm"  # noqa: S108 - where POSIX shared memory lives, not a place that we write to

_Stat = Callable[[int], os.stat_result]
# Bound here: a test may replace the names in `os`.
_open, _close, _fstat, _getpid, _listdir, _readlink = (
    os.open,
    os.close,
    os.fstat,
    os.getpid,
    os.listdir,
    getattr(os, "readlink", None),
)
_pread: Any = getattr(os, "pread", None)


class Held:
    """A file or directory, held open; a descriptor that is not ours any more is never closed. Linux only."""

    __slots__ = ("_dev", "_fd", "_ino", "_path", "_pid")

    FLAGS = 0

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._dev = self._ino = self._pid = 0
        with contextlib.suppress(OSError, AttributeError):  # `stat` will tell; Windows opens no directories
            self._reopen()  # now, not at the first reading: that one would count what we have opened ourselves

    def _reopen(self) -> os.stat_result:
        self.close()
        self._fd = keep_high(_open(self._path, os.O_RDONLY | self.FLAGS | os.O_CLOEXEC))
        self._pid = _getpid()
        found = _fstat(self._fd)
        self._dev, self._ino = found.st_dev, found.st_ino
        return found

    def close(self) -> None:
        """Give the descriptor back, if it is still ours."""
        if self._fd < 0 or self._pid != _getpid():
            return
        try:
            found = _fstat(self._fd)
            if found.st_ino == self._ino and found.st_dev == self._dev:
                _close(self._fd)
        except OSError:
            pass
        self._fd = -1


class HeldDir(Held):
    """A directory, held open: asking for its status costs half of asking by path.

    A test may close our descriptor, put its own file under the number, remove the directory, or fork; each is noticed
    by the inode, the links or the process id, and the path is opened anew.
    """

    __slots__ = ()

    FLAGS = getattr(os, "O_DIRECTORY", 0)

    def stat(self, *, fstat: _Stat = _fstat, getpid: Callable[[], int] = _getpid) -> os.stat_result:
        """The directory's status now.

        Raises:
            OSError: there is no such directory, or no descriptor is left to open it.
        """
        if self._pid == getpid():
            try:
                found = fstat(self._fd)
            except OSError:
                self._fd = -1
            else:
                if found.st_ino == self._ino and found.st_dev == self._dev and found.st_nlink:
                    return found
        return self._reopen()


class HeldFile(Held):
    """A short file of `/proc`, held open to be read again and again."""

    __slots__ = ()

    def read(self) -> bytes:
        """Its first 80 bytes now.

        Raises:
            OSError: there is no such file, or no descriptor is left to open it.
        """
        if self._pid == _getpid():
            try:
                found: bytes = _pread(self._fd, 80, 0)
            except OSError:
                self._fd = -1
            else:
                return found
        self._reopen()
        return bytes(_pread(self._fd, 80, 0))


def text(path: str, *, limit_bytes: int = 65_536) -> str:
    """The content of a small file of `/proc`, or "" where it is gone or forbidden."""
    try:
        with Path(path).open("rb", buffering=0) as file:
            return (file.read(limit_bytes) or b"").decode(errors="replace")
    except OSError:
        return ""


def names_in(directory: str) -> list[str]:
    """What a directory lists now.

    Raises:
        OSError: it is gone or forbidden.
    """
    return _listdir(directory)  # three times cheaper than path objects


def link_of(path: str) -> str | None:
    """Where a link of `/proc` leads, or None where it is gone."""
    try:
        return str(_readlink(path)) if _readlink is not None else None
    except OSError:
        return None


def stat_fields(path: str) -> list[str]:
    """The fields of a `/proc/…/stat` file after the command's name, the state first; [] where it is gone."""
    return text(path).rpartition(")")[2].split()


START_TIME = 19
"""Index in `stat_fields` of the start time in clock ticks since boot, which tells a reused id from the first one."""
