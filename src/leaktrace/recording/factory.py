"""Opens the watch of a process: the one place that chooses what is read at every boundary."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from leaktrace.options import KINDS, Options
from leaktrace.probes.memory import HeapProbe, PeakProbe, RssProbe
from leaktrace.probes.model import Probe
from leaktrace.probes.resources import probes_of_kinds
from leaktrace.probes.third_party import third_party
from leaktrace.recording.journal import Journal
from leaktrace.recording.recorder import Recorder
from leaktrace.recording.resource_tracker import ResourceTracker


DEFAULT_KINDS = frozenset(KINDS) - {"files", "state"}
"""Kinds that every watch can afford. Files and state take longer to read than the rest together, and what others write
into the same folders shows among them; a replay reads them, and a watch does when they are asked for by name."""


def watched_kinds(options: Options) -> frozenset[str]:
    """The kinds that this watch reads: what was asked for, or all that it can afford."""
    asked = frozenset({"state"}) & options.fail_on
    return (options.kinds if options.origin.get("kinds") else options.kinds & DEFAULT_KINDS) | asked


def open_recorder(
    options: Options,
    journal: Journal | None,
    worker: str,
    complain: Callable[[str], None],
    *,
    given: Iterable[Iterable[Probe]] = (),
) -> Recorder:
    """The recorder of a process, with the probes that a watch can afford, and those that others have `given`."""
    own = probes_of_kinds(watched_kinds(options), deep=False)
    return Recorder(
        # Blocks are for hunt and replay: a watch judges bytes, and to count blocks walks every arena of a large heap.
        probes=(RssProbe(), HeapProbe()),
        peak=PeakProbe(),
        journal=journal,
        worker=worker,
        limit_bytes=options.limit_bytes,
        detailed=options.json_path is not None,
        complain=complain,
        keeper=ResourceTracker(
            own,
            third_party=third_party(given, [probe.counter.name for probe in own], complain),
            unwanted=frozenset(KINDS) - options.kinds,
            frugal=not options.origin.get("kinds"),
            complain=complain,
        ),
    )
