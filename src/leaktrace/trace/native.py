"""Memory that native code took and Python's objects do not explain."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

from leaktrace.trace.adders import LineWatch
from leaktrace.trace.model import Frame, Site
from leaktrace.trace.sites import Places, frames
from leaktrace.trace.source import Sources


HOW_TO_INSTALL = 'pip install "pytest-leaktrace[native]" shows the native frames'
_MOST_SITES = 5


def lines_by_elimination(
    run: Callable[[], None],
    *,
    heap_bytes: Callable[[], int | None],
    growth_bytes: float,
    places: Places,
    budget_s: float,
) -> tuple[Site, ...]:
    """The suspect's lines that were running when native memory was taken and not given back.

    What Python's own allocators hold is subtracted at each line, so that only native memory is left; needs an
    allocator whose every byte the C heap counts (`PYTHONMALLOC=malloc`).

    Args:
        run: executes the suspect once.
        heap_bytes: living bytes of the C heap now.
        growth_bytes: how much a run is known to leave behind.
        places: tells the suspect's files.
        budget_s: seconds that this may take.
    """

    def native_bytes() -> int:
        return (heap_bytes() or 0) - tracemalloc.get_traced_memory()[0] - tracemalloc.get_tracemalloc_memory()

    sources = Sources()
    tracemalloc.start(1)
    try:
        watch = LineWatch([native_bytes], places, budget_s=budget_s, signed=True)
        watch(run)
    finally:
        tracemalloc.stop()
    by_line: dict[tuple[str, int], tuple[int, Any]] = {}
    for stack, net in watch.found[0].items():
        part = places.of_suspect(stack)
        if part:
            total, _ = by_line.get(part[0], (0, part))
            by_line[part[0]] = (total + net, part)
    kept = [(frame, net, stack) for frame, (net, stack) in by_line.items() if net >= growth_bytes / 4]
    kept.sort(key=lambda entry: (-entry[1], entry[0]))
    return tuple(
        Site(
            file=file,
            line=line,
            function=sources.function(file, line),
            bytes_per_run=float(net),
            count_per_run=1.0,
            code=sources.code(file, line),
            stack=frames(stack, sources),
        )
        for (file, line), net, stack in kept[:_MOST_SITES]
    )


def has_memray() -> bool:
    """Whether the extra `native` is installed."""
    return importlib.util.find_spec("memray") is not None


def memray_sites(run: Callable[[], None], *, runs: int = 3) -> tuple[Site, ...]:
    """Where native memory was taken and never given back, C frames included; in a child of its own.

    Memray hooks the allocator of the whole process for good, so nothing else may be measured where this has run.

    Args:
        run: executes the suspect once.
        runs: how often it is run under memray.

    Raises:
        ImportError: without the extra `native`.
    """
    import memray  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - an extra, and heavy

    with tempfile.TemporaryDirectory() as folder:
        record = os.path.join(folder, "native.bin")  # noqa: PTH118 - memray takes a text
        with memray.Tracker(record, native_traces=True, trace_python_allocators=False):
            for _ in range(runs):
                run()
        with contextlib.closing(memray.FileReader(record)) as reader:
            return _sites(reader.get_leaked_allocation_records(merge_threads=True), runs)


def _sites(records: Iterable[Any], runs: int) -> tuple[Site, ...]:
    found: list[Site] = []
    for record in records:
        stack = tuple(Frame(file=file, line=line, function=name) for name, file, line in _hybrid(record))
        if record.n_allocations < runs or not stack:
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


def _hybrid(record: Any) -> list[tuple[str, str, int]]:
    """The stack of an allocation with C and Python frames mixed; the Python ones alone where C is not known."""
    try:
        return list(record.hybrid_stack_trace(max_stacks=20))
    except (NotImplementedError, RuntimeError):
        return list(record.stack_trace(max_stacks=20))
