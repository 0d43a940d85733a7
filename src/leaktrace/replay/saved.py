"""How what was at a place is written down before a child changes it, and read again.

A record is a file: a line of words, then a link's target or a file's content. Its own path tells the place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from os import O_RDONLY, close, link, lstat, read, readlink, scandir, write
from os import open as os_open
from stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISREG
from typing import NamedTuple


O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
UNDO = "undo"
"""The folder of the records, in that of the child."""
LOCK, UNSAVED, NEW = ".lock", ".unsaved", ".new"
"""Names at the top of the records that are none: those begin with `d` or `f`."""
MOST_BYTES = 256 << 20
"""Size of a file beyond which it is not saved, only told when it has changed."""
CHUNK = 64 << 10
"""Below the size from which malloc maps memory of its own, which would shift its threshold."""
HEADER_BYTES = 200
BROKEN = "broken"
FACTS = {"absent": 0, **dict.fromkeys(("file", "link", "folder", "large", "other"), 6)}
"""How many numbers the first line of a record has, by its kind."""
TWIN = "h"
"""Begins the name of a further link to a file that has several: its other names follow what is put back into it."""


class Record(NamedTuple):
    """What was at a place before a child changed it: `absent`, `file`, `link`, `folder`, or what cannot be saved.

    A record of the kind `broken` could not be read.
    """

    place: str
    source: str
    kind: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    begins: int = 0
    """Where the content begins in the record's file."""


def record_of(root: str, place: str) -> str:
    """Where the record of an absolute path lies: a tree like that of the paths, in which `d` marks folders."""
    *folders, name = place.strip("/").split("/")
    return "/".join((root, *(f"d{each}" for each in folders), f"f{name}"))


def twin_of(record: str) -> str:
    """Where the further link to a file lies, where it is on the same file system."""
    folder, _, name = record.rpartition("/")
    return f"{folder}/{TWIN}{name[1:]}"


def describe(place: str, out: int, record: str) -> None:
    """Write what is at a place now: a line of words, then a link's target or a file's content."""
    try:
        status = lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        write(out, b"absent\n")
        return
    facts = f"{S_IMODE(status.st_mode)} {status.st_uid} {status.st_gid}"
    facts += f" {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\n"
    if S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES:
        write(out, f"file {facts}".encode())
        if status.st_nlink > 1:
            with suppress(OSError):
                link(place, twin_of(record))
        content = os_open(place, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        try:
            while chunk := read(content, CHUNK):
                write_all(out, chunk)
        finally:
            close(content)
    elif S_ISLNK(status.st_mode):
        write(out, f"link {facts}".encode() + readlink(place).encode("utf-8", "surrogateescape"))
    elif S_ISDIR(status.st_mode):
        write(out, f"folder {facts}".encode())
    else:
        write(out, f"{'large' if S_ISREG(status.st_mode) else 'other'} {facts}".encode())


def write_all(out: int, content: bytes) -> None:
    """Write the whole of it: the system may take a part at a time."""
    view = memoryview(content)
    while view:
        view = view[write(out, view) :]


def records(root: str) -> Iterator[Record]:
    """All records below a folder; what cannot be read is one that is broken."""
    pending = [(root, "")]
    while pending:
        folder, place = pending.pop()
        try:
            with scandir(folder) as entries:
                found = list(entries)
        except OSError:
            yield Record(place=place, source=folder, kind=BROKEN)
            continue
        for entry in found:
            if entry.name.startswith("d"):
                pending.append((entry.path, f"{place}/{entry.name[1:]}"))
            elif entry.name.startswith("f"):
                yield _record(entry.path, f"{place}/{entry.name[1:]}")


def _record(source: str, place: str) -> Record:
    broken = Record(place=place, source=source, kind=BROKEN)
    try:
        fd = os_open(source, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        try:
            line, newline, _rest = read(fd, HEADER_BYTES).partition(b"\n")
        finally:
            close(fd)
        kind, *facts = line.decode("ascii").split()
        numbers = [int(fact) for fact in facts]
    except (OSError, ValueError):
        return broken
    if not newline or FACTS.get(kind) != len(numbers):
        return broken
    return Record(place, source, kind, *numbers)._replace(begins=len(line) + 1)


def content_of(record: Record) -> Iterator[bytes]:
    """What a file held, in pieces, or where a link led."""
    fd = os_open(record.source, O_RDONLY | O_CLOEXEC)
    try:
        read(fd, record.begins)
        while chunk := read(fd, CHUNK):
            yield chunk
    finally:
        close(fd)
