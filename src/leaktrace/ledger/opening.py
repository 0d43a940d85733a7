"""Opens the watch of a process: the one place that chooses what is read at every boundary."""

from __future__ import annotations

from collections.abc import Callable

from leaktrace.ledger.journal import Journal
from leaktrace.ledger.recorder import Recorder
from leaktrace.ledger.things import ThingsKeeper
from leaktrace.options import Options
from leaktrace.probes.memory import DEAR_BLOCKS_NS, BlocksProbe, HeapProbe, PeakProbe, RssProbe
from leaktrace.probes.resources import probes_of_kinds


def open_recorder(options: Options, journal: Journal | None, worker: str, complain: Callable[[str], None]) -> Recorder:
    """The recorder of a process, with the probes that a watch can afford."""
    return Recorder(
        probes=(RssProbe(), HeapProbe(), BlocksProbe(dear_ns=DEAR_BLOCKS_NS)),
        peak=PeakProbe(),
        journal=journal,
        worker=worker,
        limit_bytes=options.limit_bytes,
        complain=complain,
        keeper=ThingsKeeper(probes_of_kinds(options.kinds), kinds=options.kinds),
    )
