"""Folders and Linux's `/proc/self`, asked as cheaply and safely as a probe in somebody else's process must."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from leaktrace.pristine import os, sys
from leaktrace.probes.descriptor import are_few, keep_high


ON_LINUX = sys.platform.startswith("linux")
SHM_FOLDER = "/dev/shm"  # noqa: S108 - where POSIX shared memory lives, not a place that we write to

_Stat = Callable[[int], os.stat_result]
_CHUNK_BYTES = 65_536


class Held:
    """A file or directory, held open; a number under which there is something else by now is never used. Linux only."""

    __slots__ = ("_dev", "_ino", "_path", "_pid", "fd", "times")

    FLAGS = 0

    def __init__(self, path: str) -> None:
        self._path = path
        self.fd = -1
        self.times = 0
        """How often it has been opened."""
        self._dev = self._ino = self._pid = 0
        with suppress(OSError, AttributeError):  # `stat` will tell; Windows opens no directories
            if not are_few():
                self.reopen()  # now, not at the first reading: that one would count what we have opened ourselves

    def reopen(self) -> os.stat_result:
        """Open it anew.

        Raises:
            OSError: there is no such file, or no descriptor is left to open it.
        """
        self.close()
        self.times += 1
        self.fd = keep_high(os.open(self._path, os.O_RDONLY | self.FLAGS | os.O_CLOEXEC))
        self._pid = os.getpid()
        found = os.fstat(self.fd)
        self._dev, self._ino = found.st_dev, found.st_ino
        return found

    def is_ours(self, *, fstat: _Stat = os.fstat, getpid: Callable[[], int] = os.getpid) -> bool:
        """Whether the number still leads to what we have opened, in this very process."""
        if self._pid != getpid():
            return False
        try:
            found = fstat(self.fd)
        except OSError:
            return False
        return found.st_ino == self._ino and found.st_dev == self._dev

    def close(self) -> None:
        """Give the descriptor back, if it is still ours."""
        if self.fd >= 0 and self.is_ours():
            with suppress(OSError):
                os.close(self.fd)
        self.fd = -1


class HeldDir(Held):
    """A directory, held open: asking for its status costs half of asking by path.

    A test may close our descriptor, put its own file under the number, remove the directory, or fork; each is noticed
    by the inode, the links or the process id, and the path is opened anew.
    """

    __slots__ = ()

    FLAGS = getattr(os, "O_DIRECTORY", 0)

    def stat(self, *, fstat: _Stat = os.fstat, getpid: Callable[[], int] = os.getpid) -> os.stat_result:
        """The directory's status now.

        Raises:
            OSError: there is no such directory, or no descriptor is left to open it.
        """
        if self._pid == getpid():
            try:
                found = fstat(self.fd)
            except OSError:
                self.fd = -1
            else:
                if found.st_ino == self._ino and found.st_dev == self._dev and found.st_nlink:
                    return found
        return os.stat(self._path) if are_few() else self.reopen()


class HeldFile(Held):
    """A short file of `/proc`, held open to be read again and again."""

    __slots__ = ()

    def read(self) -> bytes:
        """Its first 80 bytes now; whether the number is still ours, the caller has to ask where that is in doubt.

        Raises:
            OSError: there is no such file, or no descriptor is left to open it.
        """
        if self._pid == os.getpid():
            try:
                return os.pread(self.fd, 80, 0)
            except OSError:
                self.fd = -1
        if are_few():
            return first_bytes_of(self._path, 80)
        self.reopen()
        return os.pread(self.fd, 80, 0)


class HeldForWriting(Held):
    """A file of `/proc` that takes orders; one of the user's that got its number must not."""

    __slots__ = ()

    FLAGS = getattr(os, "O_WRONLY", 0)

    def write(self, order: bytes) -> None:
        """Give an order.

        Raises:
            OSError: it is not taken, or no descriptor is left to open the file.
        """
        if not self.is_ours():
            self.reopen()
        os.pwrite(self.fd, order, 0)
        if are_few():
            self.close()


def text(path: str, *, limit_bytes: int = _CHUNK_BYTES) -> str:
    """The content of a small file of `/proc`, or "" where it is gone or forbidden."""
    try:
        return first_bytes_of(path, limit_bytes).decode(errors="replace")
    except OSError:
        return ""


def first_bytes_of(path: str, count: int) -> bytes:
    """What one reading of a file gives.

    Raises:
        OSError: it is gone or forbidden, or no descriptor is left.
    """
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        return os.read(fd, count)
    finally:
        os.close(fd)


def lines_of(path: str) -> list[str]:
    """The lines of a table of `/proc`, which the kernel gives piece by piece; [] where it is gone or forbidden."""
    pieces: list[bytes] = []
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            while piece := os.read(fd, _CHUNK_BYTES):
                pieces.append(piece)
        finally:
            os.close(fd)
    return b"".join(pieces).decode(errors="replace").splitlines()


def is_there(path: str) -> bool:
    """Whether there is a file of this name; ten times cheaper than a path object, and nothing that a test patches."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def names_in(directory: str) -> list[str]:
    """What a directory lists now.

    Raises:
        OSError: it is gone or forbidden.
    """
    return os.listdir(directory)  # three times cheaper than path objects


def link_of(path: str) -> str | None:
    """Where a link of `/proc` leads, or None where it is gone."""
    try:
        return os.readlink(path)
    except (OSError, AttributeError):
        return None


def stat_fields(path: str) -> list[str]:
    """The fields of a `/proc/…/stat` file after the command's name, the state first; [] where it is gone."""
    return text(path).rpartition(")")[2].split()


START_TIME = 19
"""Index in `stat_fields` of the start time in clock ticks since boot, which tells a reused id from the first one."""


def shared_noun(path: str) -> str:
    """What a file in the folder of POSIX shared memory is."""
    return "semaphore" if path.rpartition("/")[2].startswith("sem.") else "shared memory"
