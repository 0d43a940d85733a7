"""Where the memory of a run went, from its recordings; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leaktrace.casebook.model import Fixture, Group, Process
from leaktrace.probes.model import RSS_BYTES, Unread
from leaktrace.recording.model import Growth, Recording
from leaktrace.recording.spans import total
from leaktrace.suspects.groups import Member, sums
from leaktrace.verdict.statistics import theil_sen


SLOPE_POINTS = 120
MIN_SLOPE_TESTS = 20
SPIKE_BYTES = 1_000_000
"""How far the peak of a test stands out from where it began, to be told."""


def process_of(recording: Recording) -> Process:
    """One process's accounts: tests, fixtures, imports, harness and collection, which add up to its whole growth.

    A test that imported something is in the account of imports, as a whole: what of it was the import is not known.
    """
    imports = [recording.span(row).growth for row in recording.imports]
    tests = _column_sum(recording, leave_out=set(recording.imports))
    kept = [recording.named(column) for each in recording.fixtures if each.wide for column in (each.kept, each.open)]
    return Process(
        worker=recording.worker,
        pid=recording.pid,
        first=recording.first,
        last=recording.last,
        peak_rss_bytes=recording.peak_rss_bytes,
        accounts={
            "tests": tests,
            "fixtures": total([_nothing(recording), *kept]),
            "imports": total([_nothing(recording), *imports]),
            "harness": recording.named(recording.harness),
            "collection": recording.named(recording.collection),
        },
        slope_bytes_per_test=slope(recording),
        complete=recording.complete,
        running=recording.running,
    )


def slope(recording: Recording) -> float | None:
    """Resident bytes gained a test over the run (Theil-Sen over evenly spaced starts), or None for a short run."""
    count = len(recording)
    if count < MIN_SLOPE_TESTS or RSS_BYTES.name in recording.unread:
        return None
    step = max(1, count // SLOPE_POINTS)
    rows = range(0, count, step)
    starts = [float(recording.cells[row * recording.width + 3]) for row in rows]
    return theil_sen([float(row) for row in rows], starts).estimate


def fixtures_of(recording: Recording) -> list[Fixture]:
    """Every fixture that was set up."""
    return [
        Fixture(
            name=account.name,
            scope=account.scope,
            where=account.where,
            setups=account.setups,
            loan=recording.named(account.lent),
            kept=recording.named(account.kept),
            worker=recording.worker,
            things=tuple(account.things),
        )
        for account in recording.fixtures
    ]


def groups_of(recordings: Sequence[Recording]) -> list[Group]:
    """Every group of two tests and more, over all processes, largest resident growth first."""
    merged: dict[tuple[str, str], list[Growth]] = {}
    for recording in recordings:
        members = [Member(nodeid=nodeid, row=row) for row, nodeid in enumerate(recording.nodeids)]
        for key, group in sums(members).items():
            merged.setdefault(key, []).extend(recording.span(member.row).growth for member in group)
    found = []
    for (kind, name), growths in merged.items():
        if len(growths) > 1:
            growth = total(growths)
            per_test = {k: v / len(growths) for k, v in growth.items() if not isinstance(v, Unread)}
            found.append(Group(kind=kind, name=name, tests=len(growths), growth=growth, per_test=per_test))
    return sorted(found, key=lambda group: -group.per_test.get(RSS_BYTES.name, 0) * group.tests)


def _column_sum(recording: Recording, *, leave_out: set[int]) -> Growth:
    n, width = len(recording.counters), recording.width
    rows = [row for row in range(len(recording)) if row not in leave_out]
    found = {}
    for i, counter in enumerate(recording.counters):
        if counter.name in recording.unread:
            found[counter.name] = Unread(counter=counter.name, why=recording.unread[counter.name])
        else:
            found[counter.name] = sum(  # type: ignore[assignment]  # a Value is an int, too
                recording.cells[row * width + 3 + part * n + i] for row in rows for part in (1, 2, 3)
            )
    return found


def _nothing(recording: Recording) -> Growth:
    return {counter.name: 0 for counter in recording.counters}


def merged_peaks(recordings: Iterable[Recording], count: int) -> list[tuple[str, int]]:
    """The tests with the highest own peaks of resident memory; not those that only found it as high as it was."""
    peaks = [
        (recording.cells[at + 2], nodeid)
        for recording in recordings
        for at, nodeid in zip(range(0, len(recording.cells), recording.width), recording.nodeids, strict=True)
        if recording.cells[at + 2]
        > recording.cells[at + 3] + SPIKE_BYTES  # column 3 is resident memory before the test
    ]
    return [(nodeid, peak) for peak, nodeid in sorted(peaks, reverse=True)[:count]]
