"""What children have changed is put back from the records that they made before: see `leaktrace.replay.undo`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from os import (
    O_CREAT,
    O_EXCL,
    O_RDONLY,
    O_TRUNC,
    O_WRONLY,
    chmod,
    close,
    lstat,
    mkdir,
    read,
    readlink,
    rename,
    rmdir,
    scandir,
    stat_result,
    symlink,
    unlink,
    utime,
)
from os import open as os_open
from os.path import dirname, realpath
from stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISREG

from leaktrace.replay.saved import (
    BROKEN,
    LOCK,
    NEW,
    O_CLOEXEC,
    O_NOFOLLOW,
    UNDO,
    UNSAVED,
    Record,
    content_of,
    records,
    twin_of,
    write_all,
)


chown: Callable[[str, int, int], None] = getattr(os, "chown", lambda *_: None)
lchown: Callable[[str, int, int], None] = getattr(os, "lchown", lambda *_: None)
UNDOING = "undoing"
"""The records while they are put back: one who still writes finds no place for new ones."""
PASSES = 3


class NotPutBack(Exception):  # noqa: N818 - it is a fact that is told, not an error
    """Why a place is not as it was."""


def restore(folder: str, *, ended_ns: int | None = None) -> list[str]:
    """Put back all that the processes which shared this folder have changed; safe to call again after a part was done.

    Args:
        folder: the one that `undo.install` was given.
        ended_ns: when the last of them had ended; a file changed later is another's, and is left as it is.

    Returns:
        What could not be put back, each with the reason.
    """
    untold: list[str] = []
    for name in (UNDOING, UNDO):
        with suppress(OSError):
            if name == UNDO:
                rename(f"{folder}/{UNDO}", f"{folder}/{UNDOING}")
            lstat(f"{folder}/{UNDOING}")
            untold += _put_back_all(f"{folder}/{UNDOING}", ended_ns)
            _remove_records(f"{folder}/{UNDOING}")
    return untold


def restore_and_remove(folder: str) -> None:
    """Put back what can be, and remove the folder: the parent has gone, and nobody is left to be told."""
    restore(folder)
    remove(folder)


def remove(place: str) -> None:
    """Remove a file, a link, or a folder with all that is in it, as far as that can be.

    By functions of our own: `shutil` looks its own up when it is called, and a suite may have patched them.
    """
    with suppress(OSError):
        if not S_ISDIR(lstat(place).st_mode):
            unlink(place)
            return
    _clear(place)


def _clear(root: str, begins: str = "") -> None:
    """Remove the files below a folder whose names begin so, then every folder that is empty by that, and itself."""
    found, pending = [root], [root]
    while pending:
        with suppress(OSError), scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found.append(entry.path)
                    pending.append(entry.path)
                elif entry.name.startswith(begins):
                    with suppress(OSError):
                        unlink(entry.path)
    for folder in reversed(found):
        with suppress(OSError):
            rmdir(folder)


def _put_back_all(root: str, ended_ns: int | None) -> list[str]:
    untold = _unsaved(root)
    pending = sorted(records(root), key=_turn)
    excuses: dict[str, str] = {}
    for _ in range(PASSES):
        if not pending:
            break
        left = []
        for record in pending:
            try:
                _put_back(record, ended_ns)
            except (OSError, NotPutBack, ValueError, OverflowError) as exc:
                excuses[record.place] = str(getattr(exc, "strerror", None) or exc)
                left.append(record)
                continue
            for source in (record.source, twin_of(record.source)):
                with suppress(OSError):
                    unlink(source)
        pending = left
    return [*untold, *(f"{each.place}: {excuses[each.place]}" for each in pending)]


def _turn(record: Record) -> tuple[int, int, str]:
    """What was not there goes first, the innermost first; folders come back, the outermost first; then the rest."""
    depth = record.place.count("/")
    stage = {"absent": 0, "folder": 1}.get(record.kind, 2)
    return (stage, -depth if stage == 0 else depth, record.place)


def _put_back(record: Record, ended_ns: int | None) -> None:
    if record.kind == BROKEN:
        raise NotPutBack("the record of what was there cannot be read")
    parent = dirname(record.place)
    if realpath(parent) != parent:
        raise NotPutBack("a link stands where a folder was")  # another pass may find the folder again
    now = _status(record.place)
    if record.kind == "absent":
        if now is not None:
            _remove(record.place, now)
        return
    if now is not None and (now.st_ino, now.st_ctime_ns) == (record.inode, record.ctime_ns):
        return  # it was opened, never changed
    if record.kind == "folder":
        _folder(record, now)
    elif record.kind == "link":
        _link(record, now)
    elif record.kind == "file":
        _file(record, now, ended_ns)
    elif now is None or record.kind == "large":
        raise NotPutBack("it is too large to be saved" if record.kind == "large" else "it is no file, folder or link")


def _folder(record: Record, now: stat_result | None) -> None:
    if now is not None and not S_ISDIR(now.st_mode):
        _remove(record.place, now)
        now = None
    if now is None:
        mkdir(record.place, 0o700)
        now = lstat(record.place)
    if S_IMODE(now.st_mode) != record.mode:
        chmod(record.place, record.mode)
    if (now.st_uid, now.st_gid) != (record.uid, record.gid):
        chown(record.place, record.uid, record.gid)


def _link(record: Record, now: stat_result | None) -> None:
    target = b"".join(content_of(record)).decode("utf-8", "surrogateescape")
    if now is not None and S_ISLNK(now.st_mode) and readlink(record.place) == target:
        return
    if now is not None:
        _remove(record.place, now)
    symlink(target, record.place)
    with suppress(OSError):
        lchown(record.place, record.uid, record.gid)
        utime(record.place, ns=(record.mtime_ns, record.mtime_ns), follow_symlinks=False)


def _file(record: Record, now: stat_result | None, ended_ns: int | None) -> None:
    if now is not None and ended_ns is not None and now.st_ctime_ns > ended_ns:
        raise NotPutBack("another process has changed it since")
    if now is not None and not S_ISREG(now.st_mode):
        _remove(record.place, now)
        now = None
    if now is not None and now.st_ino == record.inode:
        if not _same(record):
            # Written in place, it stays the same file to those who have it open, or by another name.
            if not now.st_mode & 0o200:
                chmod(record.place, record.mode | 0o200)
            _fill(record, record.place, O_TRUNC)
        _dress(record, record.place)
        return
    beside = twin_of(record.source)
    if _status(beside) is not None:
        _fill(record, beside, O_TRUNC)
    else:
        beside = f"{dirname(record.place)}/.leaktrace-{record.inode}"
        _fill(record, beside, O_CREAT | O_EXCL)
    _dress(record, beside)
    rename(beside, record.place)


def _fill(record: Record, path: str, flags: int) -> None:
    out = os_open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | flags, 0o600)
    try:
        for chunk in content_of(record):
            write_all(out, chunk)
    finally:
        close(out)


def _dress(record: Record, path: str) -> None:
    now = lstat(path)
    if (now.st_uid, now.st_gid) != (record.uid, record.gid):
        chown(path, record.uid, record.gid)
    if S_IMODE(now.st_mode) != record.mode:
        chmod(path, record.mode)
    utime(path, ns=(now.st_atime_ns, record.mtime_ns))


def _same(record: Record) -> bool:
    """Whether a file has the saved content."""
    fd = os_open(record.place, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    try:
        return all(read(fd, len(chunk)) == chunk for chunk in content_of(record)) and not read(fd, 1)
    finally:
        close(fd)


def _remove(place: str, now: stat_result) -> None:
    """Take away what a child made; a folder only when nothing is left in it, for the rest is not the child's."""
    if S_ISDIR(now.st_mode):
        rmdir(place)
    else:
        unlink(place)


def _status(place: str) -> stat_result | None:
    try:
        return lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _unsaved(root: str) -> list[str]:
    """What could not be saved: told as it is."""
    try:
        with open(f"{root}/{UNSAVED}", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    return list(dict.fromkeys(line.replace("\0", ": ") for line in lines))


def _remove_records(root: str) -> None:
    """Remove what is left of the records: empty folders, the lock. Records not put back stay where they are."""
    for name in (LOCK, UNSAVED):
        with suppress(OSError):
            unlink(f"{root}/{name}")
    _clear(root, NEW)
