"""Which lines allocate what stays: tracemalloc over some further runs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Mapping
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
    merged: dict[tuple[str, int], tuple[int, int, int, Stack]] = {}
    for stack, (count, size) in after.items():
        old_count, old_size = before.get(stack, (0, 0))
        more_count, more_size = count - old_count, size - old_size
        if more_size <= 0:
            continue
        part = places.of_suspect(stack)
        if not part:
            continue
        rank, total_count, total_size, best = merged.get(part[0], (0, 0, 0, part))
        rank = max(rank, preferred.get(stack, 0))
        merged[part[0]] = (rank, total_count + more_count, total_size + more_size, best)
    least = (growth_bytes_per_run or 0) * runs * _LEAST_SHARE
    rising = [(frame, facts) for frame, facts in merged.items() if facts[0] or facts[2] >= least]
    # One a run, or one object that grows in place. One per two runs may be no more than an object made anew each time,
    # from a free list, unless it is a good part of the growth.
    every_run = [entry for entry in rising if entry[1][0] or entry[1][1] >= runs or entry[1][1] <= 0]
    telling = (growth_bytes_per_run or 0) * runs * _GOOD_SHARE
    rising = every_run or [entry for entry in rising if entry[1][1] * 2 >= runs and entry[1][2] >= telling > 0]
    rising.sort(key=lambda entry: (-entry[1][0], -entry[1][2], entry[0]))
    return tuple(
        Site(
            file=file,
            line=line,
            function=sources.function(file, line),
            bytes_per_run=size / runs,
            count_per_run=count / runs,
            code=sources.code(file, line),
            stack=frames(stack, sources),
        )
        for (file, line), (_rank, count, size, stack) in rising[:_MOST_SITES]
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
