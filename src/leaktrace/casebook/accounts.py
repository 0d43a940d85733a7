"""Where the memory of a run went, from its ledgers; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leaktrace.casebook.model import Fixture, Group, Process
from leaktrace.ledger.model import Growth, Ledger
from leaktrace.ledger.spans import total
from leaktrace.probes.model import RSS_BYTES, Unread
from leaktrace.suspects.groups import Member, sums
from leaktrace.verdict.statistics import theil_sen


SLOPE_POINTS = 120
MIN_SLOPE_TESTS = 20
SPIKE_BYTES = 1_000_000
"""How far the peak of a test stands out from where it began, to be told."""


def process_of(ledger: Ledger) -> Process:
    """One process's accounts: tests, fixtures, imports, harness and collection, which add up to its whole growth.

    A test that imported something is in the account of imports, as a whole: what of it was the import is not known.
    """
    imports = [ledger.span(row).growth for row in ledger.imports]
    tests = _column_sum(ledger, leave_out=set(ledger.imports))
    kept = [ledger.named(column) for each in ledger.fixtures if each.wide for column in (each.kept, each.open)]
    return Process(
        worker=ledger.worker,
        pid=ledger.pid,
        first=ledger.first,
        last=ledger.last,
        peak_rss_bytes=ledger.peak_rss_bytes,
        accounts={
            "tests": tests,
            "fixtures": total([_nothing(ledger), *kept]),
            "imports": total([_nothing(ledger), *imports]),
            "harness": ledger.named(ledger.harness),
            "collection": ledger.named(ledger.collection),
        },
        slope_bytes_per_test=slope(ledger),
        complete=ledger.complete,
        running=ledger.running,
    )


def slope(ledger: Ledger) -> float | None:
    """Resident bytes gained a test over the run (Theil-Sen over evenly spaced starts), or None for a short run."""
    count = len(ledger)
    if count < MIN_SLOPE_TESTS or RSS_BYTES.name in ledger.unread:
        return None
    step = max(1, count // SLOPE_POINTS)
    rows = range(0, count, step)
    starts = [float(ledger.cells[row * ledger.width + 3]) for row in rows]
    return theil_sen([float(row) for row in rows], starts).estimate


def fixtures_of(ledger: Ledger) -> list[Fixture]:
    """Every fixture that was set up."""
    return [
        Fixture(
            name=account.name,
            scope=account.scope,
            where=account.where,
            setups=account.setups,
            loan=ledger.named(account.lent),
            kept=ledger.named(account.kept),
            worker=ledger.worker,
            things=tuple(account.things),
        )
        for account in ledger.fixtures
    ]


def groups_of(ledgers: Sequence[Ledger]) -> list[Group]:
    """Every group of two tests and more, over all processes, largest resident growth first."""
    merged: dict[tuple[str, str], list[Growth]] = {}
    for ledger in ledgers:
        members = [Member(nodeid=nodeid, row=row) for row, nodeid in enumerate(ledger.nodeids)]
        for key, group in sums(members).items():
            merged.setdefault(key, []).extend(ledger.span(member.row).growth for member in group)
    found = []
    for (kind, name), growths in merged.items():
        if len(growths) > 1:
            growth = total(growths)
            per_test = {k: v / len(growths) for k, v in growth.items() if not isinstance(v, Unread)}
            found.append(Group(kind=kind, name=name, tests=len(growths), growth=growth, per_test=per_test))
    return sorted(found, key=lambda group: -group.per_test.get(RSS_BYTES.name, 0) * group.tests)


def _column_sum(ledger: Ledger, *, leave_out: set[int]) -> Growth:
    n, width = len(ledger.counters), ledger.width
    rows = [row for row in range(len(ledger)) if row not in leave_out]
    found = {}
    for i, counter in enumerate(ledger.counters):
        if counter.name in ledger.unread:
            found[counter.name] = Unread(counter=counter.name, why=ledger.unread[counter.name])
        else:
            found[counter.name] = sum(  # type: ignore[assignment]  # a Value is an int, too
                ledger.cells[row * width + 3 + part * n + i] for row in rows for part in (1, 2, 3)
            )
    return found


def _nothing(ledger: Ledger) -> Growth:
    return {counter.name: 0 for counter in ledger.counters}


def merged_peaks(ledgers: Iterable[Ledger], count: int) -> list[tuple[str, int]]:
    """The tests with the highest own peaks of resident memory; not those that only found it as high as it was."""
    peaks = [
        (ledger.cells[at + 2], nodeid)
        for ledger in ledgers
        for at, nodeid in zip(range(0, len(ledger.cells), ledger.width), ledger.nodeids, strict=True)
        if ledger.cells[at + 2] > ledger.cells[at + 3] + SPIKE_BYTES  # column 3 is resident memory before the test
    ]
    return [(nodeid, peak) for peak, nodeid in sorted(peaks, reverse=True)[:count]]
