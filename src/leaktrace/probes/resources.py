"""The probes of everything that is not memory, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from leaktrace.probes.aio import AioProbe
from leaktrace.probes.files import SHM_FOLDER, SharedMemoryProbe, TempFilesProbe
from leaktrace.probes.gpu import GpuAllocatorsProbe, GpuProcessProbe
from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.model import Probe
from leaktrace.probes.processes import ProcessesProbe
from leaktrace.probes.state import StateProbe
from leaktrace.probes.threads import ThreadsProbe


if TYPE_CHECKING:
    from leaktrace.probes.origins import Origins


DEAR_KINDS = frozenset({"files", "gpu", "state"})
"""Kinds that are read in a replay only for who is suspected of them: their readings vary with what others do."""


def probes_of_kinds(kinds: Collection[str], *, origins: Origins | None = None, deep: bool = True) -> tuple[Probe, ...]:
    """Those of the default probes that see leaks of these kinds; sockets are descriptors."""
    wanted = {"fds" if kind == "sockets" else kind for kind in kinds}
    return tuple(probe for probe in default_probes(origins=origins, deep=deep) if probe.counter.kind in wanted)


def default_probes(*, origins: Origins | None = None, deep: bool = True) -> tuple[Probe, ...]:
    """All probes that this platform has a use for.

    `origins` (in a replay child only) adds where things were made; without `deep` the lists cost less and tell less.
    """
    probes: list[Probe] = [
        HandlesProbe(origins=origins, deep=deep),
        ThreadsProbe(origins=origins),
        ProcessesProbe(origins=origins),
        AioProbe(deep=deep),
        TempFilesProbe(origins=origins),
    ]
    if Path(SHM_FOLDER).is_dir():
        probes.append(SharedMemoryProbe(origins=origins))
    probes.extend((GpuAllocatorsProbe(), GpuProcessProbe(), StateProbe()))
    return tuple(probes)
