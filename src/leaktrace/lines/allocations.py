"""Which lines allocate what stays: tracemalloc over some further runs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from leaktrace.heap import safe
from leaktrace.lines.model import Frame, Site
from leaktrace.lines.source import Sources
from leaktrace.pristine import gc, os, sys


Stack: TypeAlias = "tuple[tuple[str, int], ...]"
"""File and line of each frame, the allocating one first."""

Live: TypeAlias = "dict[Stack, tuple[int, int]]"
"""Count and bytes of the living allocations by their stack."""

DEPTH = 25
_MOST_SITES = 5
_LONGEST_STACK = 10
_LEAST_SHARE = 0.02
"""Of the whole growth: a line that allocates less explains nothing."""
_GOOD_SHARE = 0.25


def live_allocations(snapshot: tracemalloc.Snapshot) -> Live:
    """What was allocated since tracemalloc was started and still lived at a snapshot, by stack."""
    # Equal stacks are one object here; to hash each by its 25 frames would cost more than all the rest.
    by_id: dict[int, list[Any]] = {}
    traces = snapshot.traces._traces  # type: ignore[attr-defined]  # noqa: SLF001 - Trace objects cost 10 times as much
    for trace in traces:
        entry = by_id.get(id(trace[2]))
        if entry is None:
            by_id[id(trace[2])] = [trace[2], 1, trace[1]]
        else:
            entry[1] += 1
            entry[2] += trace[1]
    found: dict[Stack, tuple[int, int]] = {}
    for stack, more, size in by_id.values():
        count, total = found.get(stack, (0, 0))
        found[stack] = (count + more, total + size)
    return found


def parts_of(snapshots: Iterable[tracemalloc.Snapshot]) -> set[int]:
    """Identities of all that snapshots consist of, so that it is not taken for the suspect's."""
    parts: set[int] = set()
    for snapshot in snapshots:
        traces = snapshot.traces._traces  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        stacks = {id(trace[2]): trace[2] for trace in traces}
        parts.update(
            (id(snapshot), id(snapshot.traces), id(traces)), map(id, gc.get_referents(snapshot, snapshot.traces))
        )
        parts.update(map(id, traces), stacks)
        parts.update(id(frame) for stack in stacks.values() for frame in stack)
    return parts


def prepare() -> None:
    """Load what `stack_of` needs, before anything is measured: the function's own object would be taken for a leak."""
    if sys.version_info[:2] == (3, 11):
        _asking_on_311()


def stack_of(obj: object) -> Stack | None:
    """Where an object was allocated, or None where that is not known (a recycled list, say)."""
    traceback = tracemalloc.get_object_traceback(obj)
    if traceback:
        return tuple((frame.filename, frame.lineno) for frame in reversed(traceback))
    return _stack_on_311(obj) if sys.version_info[:2] == (3, 11) else None


def _stack_on_311(obj: object) -> Stack | None:
    """CPython 3.11 looks at a wrong address for instances with inline values: ask for the right one."""
    if not safe.has_managed_dict(type(obj)):
        return None
    found = _asking_on_311()(0, id(obj) - 4 * tuple.__itemsize__)  # four pointers
    return found if type(found) is tuple else None


def _asking_on_311() -> Callable[[int, int], object]:
    import ctypes  # noqa: PLC0415 - on one version only

    ask = ctypes.pythonapi._PyTraceMalloc_GetTraceback  # noqa: SLF001 - tracemalloc itself asks this way
    if ask.restype is not ctypes.py_object:
        ask.argtypes, ask.restype = (ctypes.c_uint, ctypes.c_size_t), ctypes.py_object
    return ask


MEASURING = ("explain", "heap", "lines")
"""The packages whose own objects are there only while somebody looks."""


class Places:
    """Tells whose a source file is: ours, the interpreter's, a plugin's of the test runner, or the suspect's.

    Plugins make and drop things around every test. What they make is told only where nothing else is (see `all`).
    """

    __slots__ = ("_known", "_measuring", "_own", "_plugins", "all")

    def __init__(self, own: tuple[str, ...], plugins: tuple[str, ...] = ()) -> None:
        self._own = tuple(path for name in own if (path := _folder_of(name)))
        self._plugins = tuple(path for name in plugins if (path := _folder_of(name)))
        self.all = Places(own) if plugins else self
        """The same, but plugins' files are the suspect's."""
        # pathlib allocates what we would then see
        package = os.path.dirname(os.path.dirname(__file__))
        self._measuring = tuple(f"{package}{os.sep}{room}{os.sep}" for room in MEASURING)
        self._known: dict[str, str] = {}

    def owner_of(self, file: str) -> str:
        """`measuring`, `own`, `plugin`, `library` or `suspect`."""
        try:
            return self._known[file]
        except KeyError:
            if file.startswith(self._measuring):
                place = "measuring"
            elif any(file.startswith(path) for path in self._own):
                place = "own"
            elif any(file.startswith(path) for path in self._plugins):
                place = "plugin"
            else:
                place = "library" if safe.is_stdlib_path(file) else "suspect"
            self._known[file] = place
            return place

    def of_suspect(self, stack: Iterable[tuple[str, int]]) -> Stack:
        """The part of a stack that is the suspect's, from its innermost line out to where we called it."""
        part: list[tuple[str, int]] = []
        for frame in stack:
            place = self.owner_of(frame[0])
            if place == "measuring" or (place in {"own", "plugin"} and part):
                break
            if place == "suspect" or (place == "library" and part):
                part.append(frame)
        while part and self.owner_of(part[-1][0]) == "library":
            part.pop()
        return tuple(part)


@dataclass(slots=True)
class _Rise:
    """What the living allocations of one line rose by, in all runs together.

    Attributes:
        part: the suspect's part of a stack, from that line on outwards.
        rank: above 0 where the leaked objects themselves were made there.
    """

    part: Stack
    rank: int = 0
    count: int = 0
    size_bytes: int = 0


def sites_between(
    before: Live,
    after: Live,
    *,
    runs: int,
    places: Places,
    preferred: Mapping[Stack, int],
    sources: Sources,
    growth_bytes_per_run: float | None = None,
) -> tuple[Site, ...]:
    """The lines whose living allocations rose from one reading to the next.

    Args:
        before: what lived before the runs.
        after: what lived after them.
        runs: how many runs lie between.
        places: tells the suspect's files.
        preferred: stacks of the leaked objects themselves, which come first.
        sources: gives code and function names.
        growth_bytes_per_run: what the suspect was seen to grow by, where that is known.
    """
    growth_bytes = (growth_bytes_per_run or 0) * runs
    telling = _telling(_rises(before, after, places, preferred), runs, growth_bytes)
    telling.sort(key=lambda rise: (-rise.rank, -rise.size_bytes, rise.part[0]))
    return tuple(
        site_of(rise.part, sources, bytes_per_run=rise.size_bytes / runs, count_per_run=rise.count / runs)
        for rise in telling[:_MOST_SITES]
    )


def _rises(before: Live, after: Live, places: Places, preferred: Mapping[Stack, int]) -> Iterable[_Rise]:
    """By how much each line of the suspect's rose, over all stacks that end there."""
    by_line: dict[tuple[str, int], _Rise] = {}
    for stack, (count, size) in after.items():
        old_count, old_size = before.get(stack, (0, 0))
        if size <= old_size:
            continue
        part = places.of_suspect(stack)
        if not part:
            continue
        rise = by_line.setdefault(part[0], _Rise(part))
        rise.rank = max(rise.rank, preferred.get(stack, 0))
        rise.count += count - old_count
        rise.size_bytes += size - old_size
    return by_line.values()


def _telling(rises: Iterable[_Rise], runs: int, growth_bytes: float) -> list[_Rise]:
    """Those that explain the growth: lines of the leaked objects themselves, and those that rise with the runs."""
    large = [rise for rise in rises if rise.rank or rise.size_bytes >= _LEAST_SHARE * growth_bytes]
    # One a run, or one object that grows in place. One per two runs may be no more than an object made anew each time,
    # from a free list, unless it is a good part of the growth.
    every_run = [rise for rise in large if rise.rank or rise.count >= runs or rise.count <= 0]
    good = _GOOD_SHARE * growth_bytes
    return every_run or [rise for rise in large if rise.count * 2 >= runs and rise.size_bytes >= good > 0]


def site_of(stack: Stack, sources: Sources, *, bytes_per_run: float, count_per_run: float, adds: bool = False) -> Site:
    """The site at the innermost line of a stack."""
    file, line = stack[0]
    return Site(
        file=file,
        line=line,
        function=sources.function(file, line),
        bytes_per_run=bytes_per_run,
        count_per_run=count_per_run,
        code=sources.code(file, line),
        stack=frames(stack, sources),
        adds=adds,
    )


def bytes_between(before: Live, after: Live, *, runs: int, places: Places) -> float:
    """How many bytes a run Python's allocators kept for the suspect."""
    grown = 0
    for stack, (_count, size) in after.items():
        if stack and places.owner_of(stack[0][0]) != "measuring":
            grown += size - before.get(stack, (0, 0))[1]
    grown -= sum(size for stack, (_count, size) in before.items() if stack not in after)
    return max(0, grown) / max(1, runs)


def frames(stack: Stack, sources: Sources) -> tuple[Frame, ...]:
    """A stack with function names, innermost first."""
    kept = stack if len(stack) <= _LONGEST_STACK else (*stack[: _LONGEST_STACK - 1], stack[-1])
    return tuple(Frame(file=file, line=line, function=sources.function(file, line)) for file, line in kept)


def _folder_of(name: str) -> str:
    file = getattr(sys.modules.get(name), "__file__", None)
    if not isinstance(file, str):
        return ""
    # As above, no pathlib.
    return os.path.dirname(file) + os.sep if os.path.basename(file).startswith("__init__.") else file
