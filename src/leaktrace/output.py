"""Files that the user names to be written: exchanged whole where they are files, written through where they are not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from os import access, close, ftruncate, getpid, readlink, replace, unlink
from os import open as open_fd
from os import stat as stat_of
from os.path import abspath, basename, dirname, islink, join, realpath
from pathlib import Path

from leaktrace.files import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK, PRIVATE_FILE, folders, is_ours, set_mode, write_all


_MOST_LINKS = 40
_KERNELS = ("/proc/", "/sys/")
"""Nobody makes a file there, though root is told that it may."""
_EFFECTIVE = access in os.supports_effective_ids
_set_blocking: Callable[[int, bool], None] | None = getattr(os, "set_blocking", None)
_give: Callable[[int, int, int], None] | None = getattr(os, "fchown", None)


def write_out(path: Path | str, data: bytes) -> None:
    """Put bytes where the user wants them.

    A regular file is exchanged whole, and keeps its mode; a new one is private. A link stays a link, and what it leads
    to is written. A device, a pipe, and a name of what is open already (`/dev/stdout`, `/proc/self/fd/3`) get the bytes
    as they are. A file that must keep its identity (it has a second name, or is mounted) is written in place.

    Raises:
        OSError: it cannot be written; a regular file that was there is as it was, unless it had to be written in place.
    """
    status = _status(path)
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{path} is a folder")
    if _is_open_already(path) or (status is not None and not stat.S_ISREG(status.st_mode)):
        _through(str(path), data)
    elif status is not None and status.st_nlink > 1:
        _in_place(str(path), data)
    else:
        _exchanged(realpath(path), data, status)


def check_output(path: Path | str) -> None:
    """Whether `write_out` could write there, as far as that can be told without making or changing anything.

    Raises:
        OSError: it could not; the text says why.
    """
    status = _status(path)
    if status is None:
        _check_place(dirname(realpath(path)))
    elif stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError("it is a folder")
    elif stat.S_ISREG(status.st_mode):
        close(open_fd(str(path), os.O_WRONLY | CLOEXEC | NONBLOCK))
    elif not _may(str(path), os.W_OK):
        raise PermissionError("it may not be written")


def check_folder(path: Path | str) -> None:
    """Whether files could be made in this folder, or the folder itself where it is not there yet.

    Raises:
        OSError: they could not; the text says why.
    """
    _status(path)
    _check_place(realpath(path))


def _status(path: Path | str) -> os.stat_result | None:
    """What is there in the end; None where nothing is.

    Raises:
        OSError: links go in a circle, or this cannot be a name.
    """
    try:
        return stat_of(path)
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise OSError(str(exc)) from exc


def _is_open_already(path: Path | str) -> bool:
    """Whether a link on the way is one of the kernel's, to a file that some process has open."""
    name = abspath(path)
    for _ in range(_MOST_LINKS):
        folder = realpath(dirname(name))
        if f"{folder}/".startswith("/proc/"):
            return True
        name = join(folder, basename(name))
        if not islink(name):
            break
        name = join(folder, readlink(name))
    return False


def _check_place(folder: str) -> None:
    """Whether a file could be made in a folder, or in the nearest one above it that is there.

    Raises:
        OSError: it could not.
    """
    status = _status(folder)
    while status is None:
        folder = dirname(folder)
        status = _status(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{folder} is no folder")
    if f"{folder}/".startswith(_KERNELS):
        raise PermissionError(f"{folder} is the kernel's: no file can be made there")
    if not _may(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} may not be written")


def _may(name: str, mode: int) -> bool:
    return access(name, mode, effective_ids=_EFFECTIVE)


def _through(name: str, data: bytes) -> None:
    """To a device, a pipe or an open file; a pipe that nobody reads is an error and no wait."""
    fd = open_fd(name, os.O_WRONLY | os.O_APPEND | CLOEXEC | NONBLOCK)
    try:
        if _set_blocking is not None:
            _set_blocking(fd, True)  # noqa: FBT003 - positional only
        write_all(fd, data)
    finally:
        close(fd)


def _in_place(name: str, data: bytes) -> None:
    fd = open_fd(name, os.O_WRONLY | CLOEXEC | BINARY)
    try:
        ftruncate(fd, 0)
        write_all(fd, data)
    finally:
        close(fd)


def _exchanged(name: str, data: bytes, status: os.stat_result | None) -> None:
    """Write a new file beside it, then rename: a kill leaves the old one or the new one."""
    folders(dirname(name))
    partial = join(dirname(name), f".leaktrace-{getpid()}.partial")
    with suppress(OSError):
        unlink(partial)  # of a process that was killed and had the same number
    try:
        fd = open_fd(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CLOEXEC | NOFOLLOW | BINARY, PRIVATE_FILE)
    except OSError:
        if status is None:
            raise
        _in_place(name, data)  # the file may be written, the folder not
        return
    try:
        try:
            write_all(fd, data)
            if status is not None:
                _as_before(fd, status)
        finally:
            close(fd)
        try:
            replace(partial, name)
        except OSError:
            if status is None:
                raise
            _in_place(name, data)  # a file that is mounted cannot be exchanged
    finally:
        with suppress(OSError):  # after the exchange it is not there any more
            unlink(partial)


def _as_before(fd: int, status: os.stat_result) -> None:
    """The new file has the old one's owner and mode, as far as we may give them."""
    if _give is not None and not is_ours(status):
        with suppress(OSError):
            _give(fd, status.st_uid, status.st_gid)
    set_mode(fd, stat.S_IMODE(status.st_mode))
