"""Child processes: how many, which, whether they still run, and the memory of each one's whole tree."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from leaktrace.masking import masked, masked_command
from leaktrace.pristine import os, psutil, sys
from leaktrace.probes.model import Counter, Thing, Unread, Value
from leaktrace.probes.procfs import ON_LINUX, START_TIME, HeldFile, is_there, names_in, stat_fields, text
from leaktrace.probes.waiting import wait_for_fall


if TYPE_CHECKING:
    from leaktrace.probes.origins import Origins
    from leaktrace.probes.threads import ThreadsProbe

PROCESSES = Counter(name="processes", unit="count", kind="processes")
CHILDREN_RSS_BYTES = Counter(name="children_rss_bytes", unit="bytes", kind="processes", exact=False, noise=1024 * 1024)

_CHILDREN = "/proc/thread-self/children"
_LONGEST_COMMAND = 120


class ProcessesProbe:
    """Counts the children of this process, running or zombie; asking reaps none of them.

    Args:
        threads: counted right before, tells whether there is a thread but the main one whose children it might be.
    """

    counter: Counter = PROCESSES

    def __init__(self, *, origins: Origins | None = None, threads: ThreadsProbe | None = None) -> None:
        self._origins, self._threads = origins, threads
        self._childless: Callable[[], bool] = _childless if hasattr(os, "waitid") else lambda: False
        self._started: HeldFile | None = None
        self._times = threads.tasks.times if threads is not None else 0
        if threads is not None and is_there(_CHILDREN):
            self._started = HeldFile(_CHILDREN)

    def read(self) -> Value:
        """The number of children now."""
        try:
            # This thread has no child, and there is no other: told without an exception, at half the cost.
            threads, started = self._threads, self._started
            if threads is not None and threads.alone and started is not None:
                if threads.tasks.times != self._times:
                    # It has just lost its own descriptor: then ours may be somebody else's by now, too.
                    self._times = threads.tasks.times
                    if not started.is_ours():
                        started.reopen()
                if not started.read():
                    return 0
            if self._childless():
                return 0
            return sum(1 for _ in children_of(os.getpid()))
        except (OSError, psutil.Error) as exc:
            return Unread(counter=PROCESSES.name, why=f"children cannot be counted: {exc}")

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All children by process id and start time, multiprocessing's own helpers left out."""
        try:
            if self._childless():
                return {}
            pids = list(children_of(os.getpid()))
        except (OSError, psutil.Error) as exc:
            return Unread(counter=PROCESSES.name, why=f"children cannot be listed: {exc}")
        names, helpers = _multiprocessing_names(), helpers_by_design()[0]
        things: dict[Hashable, Thing] = {}
        for pid in pids:
            if pid in helpers:
                continue
            try:
                found = _found(pid)
            except psutil.Error:
                found = None
            if found is not None:  # else reaped between the listing and now
                things[pid, found.started] = self._thing(pid, found, names.get(pid, ""))
        return things

    def close(self) -> None:
        """Give back the descriptor that the probe holds."""
        if self._started is not None:
            self._started.close()

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Wait at most `grace_s` until no more than `at_most` (by default no) children are left; reaps none."""
        wait_for_fall(self.read, at_most or 0, grace_s)

    def _thing(self, pid: int, found: _Found, alias: str) -> Thing:
        zombie, command = found.zombie, found.command
        if len(command) > _LONGEST_COMMAND:
            command = command[: _LONGEST_COMMAND - 1] + "…"
        state = "ended, but nobody has waited for it" if zombie else f"running, {tree_rss_bytes(pid)} bytes in its tree"
        return Thing(
            kind=PROCESSES.kind,
            noun="zombie process" if zombie else "child process",
            name=f"{masked(alias)}: {command}" if alias else command,
            detail=f"pid {pid}, {state}",
            where=self._origins.of_process(pid) if self._origins else None,
        )


class _Found(NamedTuple):
    """What is known of a process: when it started, its command line or name, and whether it has ended."""

    started: object
    command: str
    zombie: bool


def _found(pid: int) -> _Found | None:
    """A process, or None where there is none by now."""
    if not ON_LINUX:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        words = [] if zombie else process.cmdline()
        return _Found(process.create_time(), " ".join(words) or process.name(), zombie)
    fields = stat_fields(f"/proc/{pid}/stat")
    if len(fields) <= START_TIME:
        return None
    words = text(f"/proc/{pid}/cmdline").rstrip("\0").split("\0")
    command = masked_command([word for word in words if word]) or masked(text(f"/proc/{pid}/comm").strip())
    return _Found(fields[START_TIME], command, fields[0] == "Z")


class ChildrenMemoryProbe:
    """Reads the resident bytes of all descendants, so that the memory of a test's own server counts."""

    counter: Counter = CHILDREN_RSS_BYTES

    def __init__(self) -> None:
        self._childless: Callable[[], bool] = _childless if hasattr(os, "waitid") else lambda: False

    def read(self) -> Value:
        """Bytes resident in all descendants now; pages that they share are counted in each."""
        try:
            if self._childless():
                return 0
            return sum(tree_rss_bytes(pid) for pid in children_of(os.getpid()))
        except (OSError, psutil.Error) as exc:
            return Unread(counter=CHILDREN_RSS_BYTES.name, why=f"children cannot be listed: {exc}")


def children_of(pid: int) -> Iterator[int]:
    """The process ids of a process's children, whichever of its threads started them."""
    listing = f"/proc/{pid}/task"
    if not ON_LINUX or not is_there(f"{listing}/{pid}/children"):
        yield from (child.pid for child in psutil.Process(pid).children())
        return
    for tid in names_in(listing):
        yield from map(int, text(f"{listing}/{tid}/children").split())


def tree_rss_bytes(pid: int) -> int:
    """Resident bytes of a process and its descendants; a process that has gone counts 0, as it holds nothing."""
    try:
        total = _rss_bytes(pid)
        return total + sum(tree_rss_bytes(child) for child in children_of(pid))
    except (OSError, psutil.Error):
        return 0


def _rss_bytes(pid: int) -> int:
    if not ON_LINUX:
        return int(psutil.Process(pid).memory_info().rss)
    pages = text(f"/proc/{pid}/statm").split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else 0


def _childless() -> bool:
    """Whether no thread of this process has a child; a zombie is left where it is (`WNOWAIT`)."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def _multiprocessing_names() -> dict[int, str]:
    """`Process.name` by process id; `active_children()` would reap, so its set is read as it is."""
    module: Any = sys.modules.get("multiprocessing.process")
    names = {}
    for process in list(getattr(module, "_children", ())):
        popen = getattr(process, "_popen", None)
        if popen is not None:
            names[popen.pid] = str(process.name)
    return names


def helpers_by_design() -> tuple[set[int], set[int]]:
    """Process ids and descriptors of multiprocessing's resource tracker and fork server: one a process, for good."""
    pids: set[int] = set()
    fds: set[int] = set()
    for module, name, pid, fd in (
        ("multiprocessing.resource_tracker", "_resource_tracker", "_pid", "_fd"),
        ("multiprocessing.forkserver", "_forkserver", "_forkserver_pid", "_forkserver_alive_fd"),
    ):
        helper = getattr(sys.modules.get(module), name, None)
        for found, number in ((pids, getattr(helper, pid, None)), (fds, getattr(helper, fd, None))):
            if isinstance(number, int):
                found.add(number)
    return pids, fds
