"""The numbers that judging turns on, each with its reason; a caller may replace any of them."""

from __future__ import annotations

from dataclasses import dataclass

from leaktrace.probes.model import Counter


KiB = 1024
MiB = 1024 * KiB

MEMORY_KINDS = frozenset({"memory", "objects"})
"""Kinds judged together: the same leak shows in bytes, blocks, objects and references, whichever could be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long to follow, and what counts as quiet, as fading and as sure.

    “Runs” include the warm-ups unless said otherwise; “batches” are the readings after the warm-ups.

    Attributes:
        quiet_runs: last runs in a row without growth after which a test that never grew in a batch is done. Five runs
            in a row meet every leak of 1 per 4 runs, wherever it starts.
        late_quiet_runs: runs in a row without growth that end the growth of one that did grow in a batch.
        pause_factor: a pause ends the growth only if it is this many times as long as every pause before. A dict that
            doubles pauses twice as long each time, so more than 2.
        trifle_bytes: one-time growth up to this is STEADY, not ONE_TIME.
        trifle_count: the same for blocks, objects and references; a descriptor or a thread is never a trifle.
        min_batches: batches without which nothing that grows is called a LEAK.
        follow_runs: runs over which small growth is followed before it is called a LEAK, if they can be had. Real
            fades (ABC caches, `typing`, servers in flight) end within 100 runs, and the commonest cache size is 128.
        least_runs: runs without which small growth is not called a LEAK, however steady: fewer do not tell it from a
            cache that is still filling.
        large_bytes_per_run: growth a run for which that does not hold.
        steady_runs: runs of steady growth that convict what grew faster before them.
        max_runs: runs after which the judge stops asking, decided or not.
        apart_batches: batches of even growth after which what holds it is asked for.
        sure_bytes_per_run: growth a run that is too expensive to follow; it convicts after `sure_batches`.
        sure_batches: batches that such growth must show.
        sure_spread: how far these batches' rates may lie from their mean, as a share of it.
        resource_batches: batches of one more descriptor, thread or process a run that convict.
        resource_runs: runs which that must have taken: a pool of ten must have had time to fill.
        windows: equal windows each of which must have grown.
        busy_batches: batches that must have grown where not every one did.
        steady_ratio: growth of the last third over that of the first; below this a significant fall is a fade.
        halved_ratio: below this it is a fade, significant or not.
        faded_to: late rate over early rate at which a rate that still falls is called a CACHE.
        level_batches: batches that a counter must have swung before it is called level.
        level_runs: runs that these must have taken.
        alpha: risk at which a trend counts (Mann-Kendall, one-sided).
        hint: risk at which a trend is at least suspected.
        alone_batches: batches that an inexact counter needs to convict alone.
        alone_runs: runs over which it is followed, if they can be had.
        screening: whether the judge only sorts, and somebody else looks longer at what it does not acquit. The process
            is a living one: a fall may be the runner's, and hides growth; and its bytes waver too much to be compared
            with references that a cache may have taken.
    """

    quiet_runs: int = 5
    late_quiet_runs: int = 15
    pause_factor: int = 3
    trifle_bytes: int = KiB
    trifle_count: int = 8
    min_batches: int = 3
    follow_runs: int = 150
    least_runs: int = 60
    large_bytes_per_run: int = 100_000
    steady_runs: int = 120
    max_runs: int = 400
    apart_batches: int = 4
    sure_bytes_per_run: int = MiB
    sure_batches: int = 3
    sure_spread: float = 0.10
    resource_batches: int = 4
    resource_runs: int = 15
    windows: int = 6
    busy_batches: int = 8
    steady_ratio: float = 0.9
    halved_ratio: float = 0.5
    faded_to: float = 0.10
    level_batches: int = 12
    level_runs: int = 36
    screening: bool = False
    alpha: float = 0.01
    hint: float = 0.05
    alone_batches: int = 6
    alone_runs: int = 60

    def trifle(self, counter: Counter) -> int:
        """One-time growth of `counter` that is not worth a word."""
        if counter.unit == "bytes":
            return self.trifle_bytes
        return self.trifle_count if counter.kind in MEMORY_KINDS else 0


SCREENING = Rules(
    follow_runs=36,
    least_runs=36,
    steady_runs=24,
    late_quiet_runs=9,
    max_runs=60,
    alone_runs=30,
    level_batches=6,
    level_runs=18,
    screening=True,
)
"""A screen only sorts: what still grows after some forty runs is heard in a process of its own, to the end.

Malloc's bytes waver by a chunk's rounding or two; a leak of 16 bytes a run has left that behind after 18 runs.
"""
