"""Memory that native code took and Python's objects do not explain."""

from __future__ import annotations

import importlib.util
import itertools
import re
import tempfile
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from leaktrace.lines.allocations import Places, Stack, site_of
from leaktrace.lines.line_watch import LineWatch
from leaktrace.lines.model import Frame, Site
from leaktrace.lines.source import Sources
from leaktrace.pristine import os, time


HOW_TO_INSTALL = 'pip install "pytest-leaktrace[native]" shows the native frames'
_MOST_SITES = 5
_MOST_IN_C = 4
_MOST_LINES = 3
_DEEPEST = 60
_INTERPRETERS_FILE = re.compile(r"(?:^|/)(?:Modules|Objects|Python|Parser|Programs|Include)/")
_INTERPRETERS_NAME = re.compile(r"_?Py[A-Z_]|_py|<unknown>|ffi_|_ctypes")
_OPENING = re.compile(r"\s*(?:@|(?:async )?def .*[:(,]\s*$)", re.MULTILINE)
"""The head of a function, at which the interpreter and our watch set up its frame."""
_RUNS = 4
"""Enough to meet what is taken once in four runs."""


def lines_by_elimination(
    run: Callable[[], object],
    *,
    heap_bytes: Callable[[], int | None],
    growth_bytes: float,
    places: Places,
    budget_s: float,
) -> tuple[Site, ...]:
    """The suspect's lines that were running when native memory was taken and not given back, over some runs.

    What Python's own allocators hold is subtracted at each line, so that only native memory is left; needs an
    allocator whose every byte the C heap counts (`PYTHONMALLOC=malloc`).

    Args:
        run: executes the suspect once.
        heap_bytes: living bytes of the C heap now.
        growth_bytes: how much a run is known to leave behind.
        places: tells the suspect's files.
        budget_s: seconds that this may take.
    """
    sources = Sources()
    by_line: dict[tuple[str, int], tuple[float, Stack]] = {}
    for stack, taken_bytes in _taken_by_stack(run, heap_bytes, places, budget_s).items():
        part = places.of_suspect(stack)
        if part and not _OPENING.match(sources.code(*part[0])):
            by_line[part[0]] = (by_line.get(part[0], (0.0, part))[0] + taken_bytes, part)
    kept = [(taken_bytes, part) for taken_bytes, part in by_line.values() if taken_bytes >= growth_bytes / 4]
    kept.sort(key=lambda entry: (-entry[0], entry[1][0]))
    return tuple(
        site_of(part, sources, bytes_per_run=taken_bytes, count_per_run=1.0) for taken_bytes, part in kept[:_MOST_SITES]
    )


def _taken_by_stack(
    run: Callable[[], object], heap_bytes: Callable[[], int | None], places: Places, budget_s: float
) -> dict[Stack, float]:
    """How many native bytes a run took and did not give back, by where the suspect was."""

    def native_bytes() -> int:
        return (heap_bytes() or 0) - tracemalloc.get_traced_memory()[0] - tracemalloc.get_tracemalloc_memory()

    until = time.perf_counter() + budget_s
    tracemalloc.start(1)
    try:
        watch = LineWatch([native_bytes], places, budget_s=budget_s, signed=True)
        watch(run)  # fills the watch's own tables, which are native memory as well
        before, runs = dict(watch.found[0]), 0
        while runs < _RUNS and time.perf_counter() < until:
            watch(run)
            runs += 1
    finally:
        tracemalloc.stop()
    return {stack: (total - before.get(stack, 0)) / runs if runs else total for stack, total in watch.found[0].items()}


def has_memray() -> bool:
    """Whether the extra `native` is installed."""
    return importlib.util.find_spec("memray") is not None


def memray_sites(
    run: Callable[[], object], *, settle: Callable[[], object], places: Places, runs: int = 6
) -> tuple[Site, ...]:
    """Where native memory was taken and never given back, C frames included; in a child of its own.

    Memray hooks the allocator of the whole process for good, so nothing else may be measured where this has run. It
    does not see a `malloc` that is looked up at run time, by ctypes for instance.

    Args:
        run: executes the suspect once.
        settle: quietens the process, so that garbage gives back what it holds.
        places: tells the suspect's files.
        runs: how often it is run under memray.

    Raises:
        ImportError: without the extra `native`.
    """
    import memray  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - an extra, and heavy

    with tempfile.TemporaryDirectory() as folder:
        record = os.path.join(folder, "native.bin")  # memray takes a text
        with memray.Tracker(record, native_traces=True, trace_python_allocators=False):
            for _ in range(runs):
                run()
            settle()
        with closing(memray.FileReader(record)) as reader:
            return _sites(reader.get_leaked_allocation_records(merge_threads=True), places, runs)


def _sites(records: Iterable[Any], places: Places, runs: int) -> tuple[Site, ...]:
    """The stacks that took memory again and again, largest first; what came once is no leak."""
    found: list[Site] = []
    for record in records:
        stack = telling(_mixed(record), places)
        if record.n_allocations * 4 < runs or not stack:
            continue
        top = stack[0]
        found.append(
            Site(
                file=top.file,
                line=top.line,
                function=top.function,
                bytes_per_run=record.size / runs,
                count_per_run=record.n_allocations / runs,
                stack=stack,
            )
        )
    found.sort(key=lambda site: (-site.bytes_per_run, site.file, site.line))
    return tuple(found[:_MOST_SITES])


def telling(stack: tuple[Frame, ...], places: Places) -> tuple[Frame, ...]:
    """Of a mixed stack, innermost first, the C frames that are not the interpreter's, and the suspect's own lines.

    Empty where no line of the suspect led there: that memory is somebody else's.
    """
    in_c = tuple(itertools.takewhile(lambda frame: not _is_python(frame), stack))
    of_suspect = [frame for frame in stack if _is_python(frame) and places.owner_of(frame.file) == "suspect"]
    if not of_suspect:
        return ()
    return (*[frame for frame in in_c if not _is_interpreters(frame)][:_MOST_IN_C], *of_suspect[:_MOST_LINES])


def _is_python(frame: Frame) -> bool:
    return frame.file.endswith(".py")


def _is_interpreters(frame: Frame) -> bool:
    return bool(_INTERPRETERS_FILE.search(frame.file) or _INTERPRETERS_NAME.match(frame.function))


def _mixed(record: Any) -> tuple[Frame, ...]:
    """The stack of an allocation with C and Python frames mixed; the Python ones alone where C is not known.

    Where an interpreter without symbols (as Debian's) runs, memray cannot tell where its Python frames belong among the
    others, and leaves those out: what was called last is before the interpreter's own.
    """
    python = [_frame(each) for each in record.stack_trace(max_stacks=_DEEPEST)]
    try:
        mixed = [_frame(each) for each in record.hybrid_stack_trace(max_stacks=_DEEPEST)]
        if mixed != python:
            return tuple(mixed)
        in_c = [_frame(each) for each in record.native_stack_trace(max_stacks=_DEEPEST)]
    except (NotImplementedError, RuntimeError):
        return tuple(python)
    return (*itertools.takewhile(lambda frame: not _is_interpreters(frame), in_c), *python)


def _frame(told: tuple[str, str, int]) -> Frame:
    function, file, line = told
    return Frame(file=file, line=line, function=function)
