"""Temporary files and shared memory: what has appeared in the folders that processes leave things in."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from leaktrace.pristine import gc, os, stat, sys, tempfile, time
from leaktrace.probes.callables import callable_name, is_kind_of
from leaktrace.probes.model import Counter, Thing, Unread, Value
from leaktrace.probes.procfs import ON_LINUX, SHM_FOLDER, HeldDir, names_in, shared_noun, text


if TYPE_CHECKING:
    from leaktrace.probes.origins import Origins

TEMP_FILES = Counter(name="temp_files", unit="count", kind="files", exact=False)
SHARED_MEMORY = Counter(name="shared_memory", unit="count", kind="files", exact=False)

TICK_NS = 20_000_000
NEVER = (-1, -1, -1)
_PYTESTS_OWN = "pytest-of-"
_SYSV_CREATOR = 4  # column of /proc/sysvipc/shm: key shmid perms size cpid …


class FolderWatch:
    """Counts our user's entries of a folder; lists it anew only when its time stamp has changed.

    Only a name that was not there before is looked at, so that a large folder costs its size once.
    """

    def __init__(self, folder: str, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.folder = folder
        self._held = HeldDir(folder) if ON_LINUX else None
        self._now_ns = now_ns
        self._stamp = NEVER
        self._known: dict[str, bool] = {}
        self._count = 0

    def count(self) -> int:
        """The number of our user's entries.

        Raises:
            OSError: the folder cannot be read.
        """
        now = self._held.stat() if self._held else os.stat(self.folder)
        stamp = (now.st_mtime_ns, now.st_nlink, now.st_ino)
        if stamp != self._stamp:
            # The stamp is from before the listing: what comes in between is seen again the next time.
            self._known = {name: self._known.get(name) or self._is_ours(name) for name in names_in(self.folder)}
            self._count = sum(self._known.values())
            # The kernel's clock ticks every few milliseconds: what comes within the same tick changes no stamp.
            self._stamp = stamp if self._now_ns() - now.st_mtime_ns > TICK_NS else NEVER
        return self._count

    def paths(self) -> list[str]:
        """Our user's entries now."""
        self.count()
        return [f"{self.folder}/{name}" for name, ours in self._known.items() if ours]

    def close(self) -> None:
        """Give back the descriptor that is held."""
        if self._held:
            self._held.close()

    def _is_ours(self, name: str) -> bool:
        if name.startswith(_PYTESTS_OWN):
            return False
        try:
            return not hasattr(os, "getuid") or os.lstat(f"{self.folder}/{name}").st_uid == os.getuid()
        except OSError:
            return False


class TempFilesProbe:
    """Counts the entries of the temporary folder that belong to our user, pytest's own left out.

    Another process of the same user writes there, too: `inexact` until a replay shows the same growth every run.
    """

    counter: Counter = TEMP_FILES

    def __init__(self, *, folder: str | None = None, origins: Origins | None = None) -> None:
        self._watch = FolderWatch(folder or tempfile.gettempdir())
        self._origins = origins

    def read(self) -> Value:
        """The number of entries now."""
        try:
            return self._watch.count()
        except OSError as exc:
            return Unread(counter=TEMP_FILES.name, why=f"{self._watch.folder} cannot be listed: {exc}")

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All entries by path and inode; besides, the open sqlite connections, which keep their files."""
        try:
            things = _entries(self._watch, _temp_noun, self._origins)
        except OSError as exc:
            return Unread(counter=TEMP_FILES.name, why=f"{self._watch.folder} cannot be listed: {exc}")
        return {**things, **_sqlite_connections()}

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Return at once: nobody else takes away what a test has left behind."""

    def close(self) -> None:
        """Give back the descriptor that the probe holds."""
        self._watch.close()


class SharedMemoryProbe:
    """Counts POSIX shared memory and semaphores (`/dev/shm`), and SysV segments where `sysv_ipc` is loaded."""

    counter: Counter = SHARED_MEMORY

    def __init__(self, *, folder: str = SHM_FOLDER, origins: Origins | None = None) -> None:
        self._watch = FolderWatch(folder)
        self._origins = origins

    def read(self) -> Value:
        """The number of segments and semaphores now."""
        try:
            posix = self._watch.count()
        except OSError as exc:
            return Unread(counter=SHARED_MEMORY.name, why=f"{self._watch.folder} cannot be listed: {exc}")
        return posix + len(_sysv_segments()) if "sysv_ipc" in sys.modules else posix

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All segments and semaphores by path and inode, or by SysV id and key."""
        try:
            things = _entries(self._watch, lambda path, _status: shared_noun(path), self._origins)
        except OSError as exc:
            return Unread(counter=SHARED_MEMORY.name, why=f"{self._watch.folder} cannot be listed: {exc}")
        return {**things, **_sysv_segments()}

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Return at once: nobody else takes away what a test has left behind."""

    def close(self) -> None:
        """Give back the descriptor that the probe holds."""
        self._watch.close()


def _entries(
    watch: FolderWatch, noun_of: Callable[[str, os.stat_result], str], origins: Origins | None
) -> dict[Hashable, Thing]:
    things: dict[Hashable, Thing] = {}
    for path in watch.paths():
        try:
            status = os.lstat(path)
        except OSError:
            continue  # taken away between the listing and now
        things[path, status.st_ino] = Thing(
            kind=TEMP_FILES.kind,
            noun=noun_of(path, status),
            name=path,
            detail="" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes",
            where=origins.of_path(path) if origins else None,
        )
    return things


def _temp_noun(_path: str, status: os.stat_result) -> str:
    return "temporary directory" if stat.S_ISDIR(status.st_mode) else "temporary file"


def _sysv_segments() -> dict[Hashable, Thing]:
    """The SysV segments that this process has created, as the kernel lists them."""
    things: dict[Hashable, Thing] = {}
    for line in text("/proc/sysvipc/shm").splitlines()[1:]:
        columns = line.split()
        if columns[_SYSV_CREATOR] == str(os.getpid()):
            key, number, _perms, size = columns[:_SYSV_CREATOR]
            things["sysv", number, key] = Thing(
                kind=SHARED_MEMORY.kind,
                noun="SysV shared memory",
                name=f"id {number}, key {key}",
                detail=f"{size} bytes",
            )
    return things


def _sqlite_connections() -> dict[Hashable, Thing]:
    """The open sqlite connections; they allow no weak reference, so that an address must identify them."""
    module: Any = sys.modules.get("sqlite3")
    if module is None:
        return {}
    return {
        ("sqlite", id(found)): Thing(
            kind=TEMP_FILES.kind, noun="sqlite connection", name=callable_name(type(found)), detail="not closed"
        )
        for found in gc.get_objects()
        if is_kind_of(found, module.Connection) and _is_open(found, module)
    }


def _is_open(connection: Any, module: Any) -> bool:
    try:
        # Sends nothing to the database, and unlike most calls is allowed to other threads than the connection's.
        module.Connection.total_changes.__get__(connection)
    except module.ProgrammingError:
        return False
    return True
