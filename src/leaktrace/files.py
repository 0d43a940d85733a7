"""Files and folders of our own: private, refused where somebody else made them, read within bounds.

What is needed of `os` is bound here, before the first test, so that no patch that a suite leaves behind reaches it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from os import close, fstat, lstat, mkdir, read, urandom, write
from os import open as open_fd
from os.path import dirname, isdir
from pathlib import Path


PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
BINARY: int = getattr(os, "O_BINARY", 0)
_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
_CHUNK = 1 << 20
_owner: Callable[[], int] | None = getattr(os, "geteuid", None)
_change_mode: Callable[[int, int], None] | None = getattr(os, "fchmod", None)


def is_ours(status: os.stat_result) -> bool:
    """Whether the user of this process owns what has this status; where a platform has no owners, all is."""
    return _owner is None or bool(status.st_uid == _owner())


def folders(name: str) -> None:
    """Make a folder, and those above it, where they are not there.

    Raises:
        OSError: one cannot be made.
    """
    if not name or isdir(name):
        return
    folders(dirname(name))
    with suppress(FileExistsError):
        mkdir(name)


def private_folder(path: Path | str) -> Path:
    """Make a folder that nobody else can look into or has prepared, or take the one that is there if it is such.

    Folders above it are made as any program would. A folder of ours that others may enter is closed to them.

    Raises:
        OSError: it cannot be made, is no folder but a link, or belongs to somebody else.
    """
    name = str(path)
    folders(dirname(name))
    try:
        mkdir(name, PRIVATE_FOLDER)
    except FileExistsError:
        if not stat.S_ISDIR(lstat(name).st_mode):
            raise NotADirectoryError(f"{name} is a link or no folder") from None
        fd = open_fd(name, os.O_RDONLY | _DIRECTORY | CLOEXEC | NOFOLLOW) if _DIRECTORY else -1
        try:
            status = fstat(fd) if fd >= 0 else lstat(name)
            _check_ours(status, name)
            if fd >= 0 and status.st_mode & 0o077:
                set_mode(fd, PRIVATE_FOLDER)
        finally:
            if fd >= 0:
                close(fd)
    return Path(name)


def temporary_folder(prefix: str = "leaktrace-") -> Path:
    """A new private folder among the system's temporary ones, with a name that nobody could foresee."""
    import tempfile  # noqa: PLC0415 - most runs have a folder of their own

    return Path(tempfile.mkdtemp(prefix=prefix))


def temporary_name(prefix: str) -> Path:
    """The path of a folder that another process is to make among the system's temporary ones."""
    import tempfile  # noqa: PLC0415 - as above

    return Path(tempfile.gettempdir(), f"{prefix}{urandom(6).hex()}")


def set_mode(fd: int, mode: int) -> None:
    """Give an open file a mode, where the platform can."""
    if _change_mode is not None:
        _change_mode(fd, mode)


def open_private(path: Path | str, flags: int = os.O_WRONLY | os.O_TRUNC) -> int:
    """Open a file of ours, made with mode 0600 where it is not there, and return the descriptor.

    Raises:
        OSError: it cannot be opened, is a link or no regular file, or belongs to somebody else.
    """
    fd = open_fd(str(path), flags & ~os.O_TRUNC | os.O_CREAT | CLOEXEC | NOFOLLOW | NONBLOCK | BINARY, PRIVATE_FILE)
    try:
        status = _regular(fd, path)
        _check_ours(status, path)
        if status.st_mode & 0o077:
            set_mode(fd, PRIVATE_FILE)
        if flags & os.O_TRUNC:
            os.ftruncate(fd, 0)
    except BaseException:
        close(fd)
        raise
    return fd


def write_private(path: Path | str, data: bytes, *, append: bool = False) -> None:
    """Put bytes into a file of ours, in place of what was there or behind it.

    Raises:
        OSError: it cannot be written, or not to its end.
    """
    fd = open_private(path, os.O_WRONLY | (os.O_APPEND if append else os.O_TRUNC))
    try:
        write_all(fd, data)
    finally:
        close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write until all is written: a single call may take only a part.

    Raises:
        OSError: the rest cannot be written.
    """
    view = memoryview(data)
    while view:
        view = view[write(fd, view) :]


def read_bounded(path: Path | str, most: int) -> bytes:
    """All bytes of a regular file that holds no more than `most`.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger.
    """
    fd = _opened(path, most)
    try:
        parts, size = [], 0
        while size <= most and (part := read(fd, _CHUNK)):
            parts.append(part)
            size += len(part)
    finally:
        close(fd)
    _check_size(size, most)  # it may have grown while it was read
    return b"".join(parts)


def lines_of(path: Path | str, most: int, longest: int) -> Iterator[bytes | None]:
    """The lines of a regular file without their ends; None for a line that is longer than `longest`.

    What follows the last newline comes last, and is empty where the last line is whole.

    Raises:
        OSError: as for `read_bounded`, when the first line is asked for.
    """
    fd = _opened(path, most)
    try:
        rest, cut = b"", False
        while part := read(fd, _CHUNK):
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                yield None if cut or len(line) > longest else line
                cut = False
            if len(rest) > longest:
                rest, cut = b"", True
        yield None if cut else rest
    finally:
        close(fd)


def _regular(fd: int, path: Path | str) -> os.stat_result:
    status = fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is no regular file")
    return status


def _check_ours(status: os.stat_result, path: Path | str) -> None:
    if not is_ours(status):
        raise PermissionError(f"{path} belongs to another user")


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise OSError(f"it is over {most >> 20} MiB; a file of that size is not read")


def _opened(path: Path | str, most: int) -> int:
    """A regular file for reading; one that would make us wait (a pipe) is refused without waiting."""
    if "\0" in str(path):
        raise OSError("a name cannot hold a NUL character")
    fd = open_fd(str(path), os.O_RDONLY | CLOEXEC | NONBLOCK | BINARY)
    try:
        _check_size(_regular(fd, path).st_size, most)
    except BaseException:
        close(fd)
        raise
    return fd


def remove_tree(path: Path | str) -> None:
    """Remove a folder of ours with all that is in it, as far as it can be removed; a link is not followed."""
    import shutil  # noqa: PLC0415 - for who has something to remove

    with suppress(OSError):
        status = lstat(path)
        if stat.S_ISDIR(status.st_mode) and is_ours(status):
            shutil.rmtree(path, ignore_errors=True)
