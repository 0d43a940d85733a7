"""What a child's Python code is about to change outside its own folder is saved first, so that it can be put back.

An audit hook sees each such call before it is carried out: by Python itself, `pathlib`, `shutil`, `tempfile`,
`sqlite3`. What C libraries and other programs change, it does not see. Each path has one record, the first, for all
processes that share the folder; nothing is remembered in memory, where it would be counted as a test's growth.
POSIX only. All of it is bound before the first test, and works on descriptors and plain paths.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from collections.abc import Callable, Iterator, Sequence
from fcntl import LOCK_EX, LOCK_UN, fcntl, flock
from os import (
    O_APPEND,
    O_CREAT,
    O_RDWR,
    O_TRUNC,
    O_WRONLY,
    close,
    fsdecode,
    fspath,
    getpid,
    lstat,
    mkdir,
    readlink,
    rename,
    scandir,
    write,
)
from os import open as os_open
from os.path import realpath
from stat import S_ISLNK
from typing import Any

from leaktrace.replay.saved import LOCK, NEW, O_CLOEXEC, UNDO, UNSAVED, describe, record_of


O_PATH: int = getattr(os, "O_PATH", 0)
"""Linux: opens a folder by name, and with that tells its true path, however deep it lies."""
F_GETPATH = 50
"""The same on macOS, for what is open."""
MOST_ENTRIES = 10_000
WRITING = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND
UNSEEN = ("/proc/", "/sys/", "/dev/")
SHARED_MEMORY = "/dev/shm/"  # noqa: S108 - where POSIX shared memory lies
SIDES = ("", "-journal", "-wal", "-shm")
"""SQLite's files beside a database."""

Taker = Callable[[Sequence[Any]], None]


def install(folder: str, keep: Sequence[str] = ()) -> None:
    """From now on, save into `folder` what is changed outside of it, in this process and in those forked from it.

    Args:
        folder: one of ours, the same for all children that run side by side: whoever saves first has what was there
            before all of them. What is in it goes with it.
        keep: further files and folders that are ours, and are not put back: a child's temporary folder, its answers.
    """
    sys.dont_write_bytecode = True  # a plain run has written it, or must not find it
    saver = Saver(realpath(folder), [realpath(each) for each in keep])
    takers = saver.takers()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        taker = takers.get(event)
        if taker is not None:
            saver.hear(taker, arguments)

    sys.addaudithook(hook)
    _follow_shared_memory(saver)


def _follow_shared_memory(saver: Saver) -> None:
    """Opening POSIX shared memory raises no audit event: the one function that does it tells us itself."""
    try:
        import _posixshmem  # type: ignore[import-not-found]  # noqa: PLC0415 - not on all platforms
    except ImportError:
        return
    shm_open = _posixshmem.shm_open

    def told(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & WRITING:
            saver.hear(saver.entry, (f"{SHARED_MEMORY}{path.lstrip('/')}",))
        opened: int = shm_open(path, flags, mode)
        return opened

    _posixshmem.shm_open = told


class Saver:
    """Writes the records of one folder."""

    def __init__(self, folder: str, keep: Sequence[str]) -> None:
        self._root = f"{folder}/{UNDO}"
        self._ours = tuple(f"{each}/" for each in (folder, *keep))
        self._busy: set[int] = set()
        _make(self._root)

    def takers(self) -> dict[str, Taker]:
        """What is done at each audit event that announces a change."""
        return {
            "open": self._opened,
            "os.chmod": self._changed,
            "os.chown": self._changed,
            "os.link": self._linked,
            "os.mkdir": self.entry,
            "os.remove": self.entry,
            "os.rename": self._renamed,
            "os.rmdir": self.entry,
            "os.symlink": lambda told: self._save(told[1], told[2]),
            "os.truncate": self._changed,
            "os.utime": self._changed,
            "socket.bind": self._bound,
            "sqlite3.connect": self._connected,
        }

    def hear(self, taker: Taker, told: Sequence[Any]) -> None:
        """Carry it out, unless it is this hook's own doing; a fault of ours is never the test's."""
        thread = get_ident()
        if thread in self._busy:
            return
        self._busy.add(thread)
        try:
            taker(told)
        except (RecursionError, MemoryError):
            raise  # the test is at its limit, and would meet it in its very next call
        except Exception:  # noqa: BLE001, S110 - what could not be saved has been noted where there was a path
            pass
        finally:
            self._busy.discard(thread)

    def entry(self, told: Sequence[Any]) -> None:
        """A name that appears or goes: mkdir, remove and rmdir, whose last argument may be a folder's descriptor."""
        self._save(told[0], told[-1] if len(told) > 1 else -1)

    def _opened(self, told: Sequence[Any]) -> None:
        path, _mode, flags = told
        if flags & WRITING and not isinstance(path, int):
            self._save(path, follow=True)

    def _changed(self, told: Sequence[Any]) -> None:
        path = told[0]
        if isinstance(path, int):
            path = _path_of(path)
            if not path.startswith("/"):
                return
        self._save(path, told[-1] if len(told) > 2 else -1, follow=True)  # noqa: PLR2004 - truncate has but two

    def _linked(self, told: Sequence[Any]) -> None:
        self._save(told[1], told[3])

    def _renamed(self, told: Sequence[Any]) -> None:
        source, target, source_fd, target_fd = told
        old, new = self._place(source, source_fd), self._place(target, target_fd)
        for inner in ("", *_tree(old)):
            self._keep(old + inner)
            self._keep(new + inner)

    def _bound(self, told: Sequence[Any]) -> None:
        address = told[1]
        if isinstance(address, (str, bytes)) and address and fsdecode(address)[0] != "\0":
            self._save(address)

    def _connected(self, told: Sequence[Any]) -> None:
        path = fsdecode(fspath(told[0]))
        if path.startswith("file:"):
            from urllib.parse import unquote  # noqa: PLC0415 - rare

            path, _, query = path.removeprefix("file:").partition("?")
            path = unquote(f"/{path.lstrip('/')}" if path.startswith("//") else path)
            if "mode=memory" in query or "mode=ro" in query:
                return
        if path and path != ":memory:":
            for side in SIDES:
                self._save(path + side, follow=True)

    def _save(self, path: Any, folder_fd: Any = -1, *, follow: bool = False) -> None:
        place = self._place(path, folder_fd)
        self._keep(realpath(place) if follow and _is_link(place) else place)

    @staticmethod
    def _place(path: Any, folder_fd: Any = -1) -> str:
        """The absolute path, no component of which but the last is a link; what is there no more comes out as it is."""
        name = fsdecode(fspath(path))
        if isinstance(folder_fd, int) and folder_fd >= 0 and not name.startswith("/"):
            name = f"{_path_of(folder_fd)}/{name}"
        head, slash, tail = name.rstrip("/").rpartition("/")
        if tail in ("", ".", ".."):
            return realpath(name)
        if not O_PATH:
            return f"{realpath(head or slash or '.').rstrip('/')}/{tail}"
        fd = os_open(head or slash or ".", O_PATH | O_CLOEXEC)
        try:
            return f"{_path_of(fd).rstrip('/')}/{tail}"
        finally:
            close(fd)

    def _keep(self, place: str) -> None:
        """Write the record of a place unless there is one, or it is ours, or a window into the kernel."""
        if place.startswith(UNSEEN) and not place.startswith(SHARED_MEMORY):
            return
        if f"{place}/".startswith(self._ours):
            return
        record = record_of(self._root, place)
        if _exists(record):
            return
        lock = os_open(f"{self._root}/{LOCK}", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try:
            flock(lock, LOCK_EX)
            if not _exists(record):
                self._write(place, record)
        except OSError as exc:
            self._excuse(place, exc)
        finally:
            # A process forked meanwhile has this descriptor, too: closing alone would not let go.
            flock(lock, LOCK_UN)
            close(lock)

    def _write(self, place: str, record: str) -> None:
        new = f"{self._root}/{NEW}-{getpid()}-{get_ident()}"
        for end in _folders(self._root, record):
            _make(end)
        out = os_open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try:
            describe(place, out, record)
        finally:
            close(out)
        rename(new, record)

    def _excuse(self, place: str, exc: OSError) -> None:
        out = os_open(f"{self._root}/{UNSAVED}", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        try:
            write(out, f"{place}\0{exc.strerror}\n".encode("utf-8", "surrogateescape"))
        finally:
            close(out)


def _path_of(fd: int) -> str:
    """What a descriptor leads to, as the kernel has it."""
    try:
        return readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return fsdecode(fcntl(fd, F_GETPATH, bytes(1024)).rstrip(b"\0"))


def _tree(folder: str) -> Iterator[str]:
    """All below a folder that is moved, from there, so far as there are not too many; nothing of what is no folder."""
    pending, count = [""], 0
    while pending:
        inner = pending.pop()
        if _is_link(folder + inner):
            continue
        try:
            with scandir(folder + inner) as entries:
                names = [each.name for each in entries]
        except OSError:
            continue
        for name in names:
            count += 1
            if count > MOST_ENTRIES:
                return
            yield f"{inner}/{name}"
            pending.append(f"{inner}/{name}")


def _folders(root: str, record: str) -> Iterator[str]:
    """The folders from the root to a record, the outermost first."""
    at = len(root)
    while (at := record.find("/", at + 1)) > 0:
        yield record[:at]


def _make(folder: str) -> None:
    try:
        mkdir(folder, 0o700)
    except FileExistsError:
        return


def _exists(path: str) -> bool:
    try:
        lstat(path)
    except OSError:
        return False
    return True


def _is_link(path: str) -> bool:
    try:
        return S_ISLNK(lstat(path).st_mode)
    except OSError:
        return False
