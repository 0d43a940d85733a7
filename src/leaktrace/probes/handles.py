"""Descriptors: how many are open, and of each what it leads to, in the words of whoever opened it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

from leaktrace.pristine import fcntl, os, psutil, stat, tempfile
from leaktrace.probes.aio import loops_by_fd
from leaktrace.probes.descriptor import floor
from leaktrace.probes.model import FDS, Counter, Thing, Unread, Value
from leaktrace.probes.processes import helpers_by_design
from leaktrace.probes.procfs import ON_LINUX, SHM_FOLDER, HeldDir, lines_of, link_of, names_in, shared_noun, text
from leaktrace.probes.sockets import SOCKETS, socket_names
from leaktrace.probes.waiting import wait_for_fall


if TYPE_CHECKING:
    from leaktrace.probes.origins import Origins

_PROC_FD = "/proc/self/fd"
_STDERR = 2
JOURNAL_SUFFIX = ".jsonl"
_DELETED = " (deleted)"
_ACCESS = {os.O_RDONLY: "reading", os.O_WRONLY: "writing", os.O_RDWR: "reading and writing"}


class HandlesProbe:
    """Counts open descriptors: files, sockets, pipes and all the others (handles on Windows).

    With `deep` the list tells event loops' own descriptors, for which all living objects are looked through.
    Since Linux 6.2 the size of `/proc/self/fd` is the count; an older kernel's directory is listed.
    """

    counter: Counter = FDS

    def __init__(self, *, origins: Origins | None = None, deep: bool = True) -> None:
        self._origins = origins
        self.deep = deep
        self._dir = HeldDir(_PROC_FD)
        self._ours = frozenset({tempfile.gettempdir(), SHM_FOLDER})
        self._size_is_count = ON_LINUX and _size_is_count(self._dir)

    def read(self) -> Value:
        """The number of open descriptors now, our own included."""
        try:
            if self._size_is_count:
                return self._dir.stat().st_size
            if ON_LINUX:
                return len(names_in(_PROC_FD)) - 1  # one of them is the listing's own
            process = psutil.Process()
            return process.num_fds() if hasattr(process, "num_fds") else process.num_handles()  # type: ignore[attr-defined]
        except (OSError, psutil.Error) as exc:
            return Unread(counter=FDS.name, why=f"descriptors cannot be counted: {exc}")

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All descriptors by number, device, inode and access, so that a number used again is a new thing."""
        try:
            if not ON_LINUX:
                return _elsewhere()
            links = _links(self._ours)
        except (OSError, psutil.Error) as exc:
            return Unread(counter=FDS.name, why=f"descriptors cannot be listed: {exc}")
        names = socket_names() if any(link.startswith("socket:") for link in links.values()) else {}
        loops = loops_by_fd() if self.deep and any(link.endswith("[eventpoll]") for link in links.values()) else {}
        things: dict[Hashable, Thing] = {}
        helpers = helpers_by_design()[1]
        for fd, link in links.items():
            if fd in helpers or _is_loaded(link):
                continue
            try:
                status, access = os.fstat(fd), _access(fd)
            except OSError:
                continue  # closed between the listing and now
            if link.startswith("socket:"):
                kind, noun, name, detail = (
                    SOCKETS,
                    "socket",
                    names.get(status.st_ino, "neither bound nor connected"),
                    "",
                )
            else:
                kind, (noun, name, detail) = FDS.kind, _named(fd, link, status, links)
            if noun == "file" and access:
                detail = f"open for {access}"
            # Where the standard streams lead is pytest's business: its capture turns them to and fro.
            what = () if fd <= _STDERR else (status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode), access, link)
            things[fd, what] = Thing(
                kind=kind,
                noun=f"event loop's {noun}" if fd in loops else noun,
                name=name,
                detail=", ".join(fact for fact in (f"fd {fd}", detail, loops.get(fd)) if fact),
                where=self._origins.of_fd(fd, link) if self._origins else None,
            )
        return things

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Wait at most `grace_s` until at most `at_most` are open; without a mark there is nothing to wait for."""
        if at_most is not None:
            wait_for_fall(self.read, at_most, grace_s)

    def close(self) -> None:
        """Give back the descriptor that the probe holds."""
        self._dir.close()


def _size_is_count(directory: HeldDir) -> bool:
    try:
        return directory.stat().st_size == len(names_in(_PROC_FD)) - 1
    except OSError:
        return False


def _links(folders: frozenset[str]) -> dict[int, str]:
    """Where each descriptor leads, our own left out: a test that closes all of them makes us open them anew.

    Args:
        folders: what we hold open and others may, too.
    """
    own = f"/proc/{os.getpid()}/"
    windows = {own + name for name in ("fd", "task", "statm", "clear_refs")}
    high = floor()
    links = {int(name): link_of(f"{_PROC_FD}/{name}") for name in names_in(_PROC_FD)}
    return {
        fd: link
        for fd, link in links.items()
        if link is not None
        and link not in windows
        and not (fd >= high and (link in folders or link.endswith(JOURNAL_SUFFIX) or _lists_children(link, own)))
    }


def _is_loaded(link: str) -> bool:
    """Whether it is a library in use: libffi keeps itself open from the first import of ctypes on, for its closures."""
    return ".so" in link.rpartition("/")[2] and any(line.endswith(f" {link}") for line in lines_of("/proc/self/maps"))


def _lists_children(link: str, own: str) -> bool:
    """Whether it is the list of the children of one of our threads."""
    return link.startswith(f"{own}task/") and link.endswith("/children")


def _access(fd: int) -> str:
    return _ACCESS.get(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE, "")


_Named = tuple[str, str, str]  # noun, name, further detail


def _named(fd: int, link: str, status: os.stat_result, links: Mapping[int, str]) -> _Named:
    """What a descriptor is that is no socket."""
    if link.startswith("pipe:"):
        return "pipe", link.removeprefix("pipe:").strip("[]"), _other_end(fd, link, links)
    if link.startswith("anon_inode:"):
        return _anonymous(fd, link)
    if link.startswith("/memfd:"):
        return "memfd", link.removeprefix("/memfd:").removesuffix(_DELETED), f"{status.st_size} bytes"
    if link.startswith(f"{SHM_FOLDER}/"):
        path = link.removesuffix(_DELETED)
        unlinked = ", unlinked but still open" if path != link and status.st_nlink == 0 else ""
        return shared_noun(path), path, f"{status.st_size} bytes{unlinked}"
    if link.endswith(_DELETED) and status.st_nlink == 0:
        return "deleted file", link.removesuffix(_DELETED), f"{status.st_size} bytes still held on disk"
    return _noun_of_path(link, status.st_mode), link, ""


def _noun_of_path(path: str, mode: int) -> str:
    if path.startswith(("/dev/pts/", "/dev/ptmx", "/dev/pty")):
        return "pty"
    if stat.S_ISDIR(mode):
        return "directory"
    return "named pipe" if stat.S_ISFIFO(mode) else "file"


def _anonymous(fd: int, link: str) -> _Named:
    kind = link.partition(":")[2].strip("[]")
    if kind != "eventpoll":
        return kind, "", ""
    lines = text(f"/proc/self/fdinfo/{fd}").splitlines()
    watched = ", ".join(line.split()[1] for line in lines if line.startswith("tfd:"))
    return "epoll", f"watching fd {watched}" if watched else "watching nothing", ""


def _other_end(fd: int, link: str, links: Mapping[int, str]) -> str:
    others = [other for other, target in links.items() if target == link and other != fd]
    if not others:
        return f"{_access(fd)} end, the other end is closed or in another process"
    owned = ", ".join(f"fd {other} ({_access(other)})" for other in sorted(others))
    return f"{_access(fd)} end, also open here: {owned}"


def _elsewhere() -> dict[Hashable, Thing]:
    """What psutil can name where there is no `/proc`: files and sockets."""
    process = psutil.Process()
    things: dict[Hashable, Thing] = {}
    for file in process.open_files():
        things[file.fd, file.path] = Thing(kind=FDS.kind, noun="file", name=file.path, detail=f"fd {file.fd}")
    for inode, name in socket_names().items():
        things[inode, name] = Thing(kind=SOCKETS, noun="socket", name=name)
    return things
