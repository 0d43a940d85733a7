"""The probes of everything that is not memory, in the order in which they are read."""

# ruff: noqa: PLC0415 - a watch loads what it reads, and no more

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from leaktrace.probes.model import Probe
from leaktrace.probes.procfs import SHM_FOLDER


if TYPE_CHECKING:
    from leaktrace.probes.origins import Origins


DEAR_KINDS = frozenset({"files", "gpu", "state"})
"""Kinds that are read in a replay only for who is suspected of them: their readings vary with what others do."""


def probes_of_kinds(kinds: Collection[str], *, origins: Origins | None = None, deep: bool = True) -> tuple[Probe, ...]:
    """The probes that see leaks of these kinds; sockets are descriptors.

    `origins` (in a replay child only) adds where things were made; without `deep` the lists cost less and tell less.
    No other is made, nor its module loaded: some look at the whole process when they are made.
    """
    return tuple(_made(frozenset(kinds), origins, deep=deep))


def _made(kinds: frozenset[str], origins: Origins | None, *, deep: bool) -> Iterator[Probe]:
    if kinds & {"fds", "sockets"}:
        from leaktrace.probes.handles import HandlesProbe

        yield HandlesProbe(origins=origins, deep=deep)
    threads = None
    if "threads" in kinds:
        from leaktrace.probes.threads import ThreadsProbe

        threads = ThreadsProbe(origins=origins)
        yield threads
    if "processes" in kinds:
        from leaktrace.probes.processes import ProcessesProbe

        yield ProcessesProbe(origins=origins, threads=threads)
    if "tasks" in kinds:
        from leaktrace.probes.aio import AioProbe

        yield AioProbe(deep=deep)
    if "files" in kinds:
        from leaktrace.probes.files import SharedMemoryProbe, TempFilesProbe

        yield TempFilesProbe(origins=origins)
        if Path(SHM_FOLDER).is_dir():
            yield SharedMemoryProbe(origins=origins)
    if "gpu" in kinds:
        from leaktrace.probes.gpu import GpuAllocatorsProbe, GpuProcessProbe

        yield from (GpuAllocatorsProbe(), GpuProcessProbe())
    if "state" in kinds:
        from leaktrace.probes.state.probe import StateProbe

        yield StateProbe()
