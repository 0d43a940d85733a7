"""Where the resident memory of a run went, as sections: processes, loans of wider fixtures, the highest peaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaktrace.casebook.model import Casebook, Process
from leaktrace.probes.model import RSS_BYTES
from leaktrace.report.model import Amounts, Row, Section, Text
from leaktrace.words import megabytes, size


ACCOUNTS = ("tests", "fixtures", "imports", "harness", "collection")
LEAST_SLOPE_BYTES = 1_000
"""A page in four tests: less is no growth of the whole run."""
LEAST_LOAN_BYTES = 1_000_000
SHOWN_LOANS = 5


def account_sections(book: Casebook, peaks: Sequence[tuple[str, int]]) -> Iterator[Section]:
    """Each process, then the loans, then the peaks; nothing of what was not measured."""
    for process in book.processes:
        yield from _process(process)
    yield from _loans(book)
    if peaks:
        rows = tuple(Row("", (Amounts((megabytes(peak),), nodeid),)) for nodeid, peak in peaks)
        yield Section(kind="peaks", headline=Text("highest peaks of resident memory", whole=True), rows=rows)


def _process(process: Process) -> Iterator[Section]:
    """From where to where it grew, and by which account."""
    parts = []
    for account in ACCOUNTS:
        value = process.accounts.get(account, {}).get(RSS_BYTES.name)
        if isinstance(value, int):
            parts.append(f"{account} {value / 1e6:+.1f}")
    first, last = process.first.get(RSS_BYTES.name), process.last.get(RSS_BYTES.name)
    if not parts or not isinstance(first, int):
        return
    grown = f", {megabytes(first)} to {megabytes(last)}" if isinstance(last, int) else ""
    text = f"{process.worker}{grown} resident, MB by account: {', '.join(parts)}"
    slope = process.slope_bytes_per_test
    rows = []
    if slope and slope > LEAST_SLOPE_BYTES:
        rows.append(Row("", (Text(f"the whole run grew by {size(slope)} a test", whole=True),), depth=2))
    yield Section(kind="process", headline=Text(text), rows=tuple(rows))


def _loans(book: Casebook) -> Iterator[Section]:
    """What wider fixtures lent, and what of it they kept."""
    wide = [each for each in book.fixtures if each.scope != "function" and _rss(each.loan) > LEAST_LOAN_BYTES]
    rows = []
    for each in sorted(wide, key=lambda each: -_rss(each.loan))[:SHOWN_LOANS]:
        amounts = (megabytes(_rss(each.loan)), megabytes(_rss(each.kept)))
        rows.append(Row("", (Amounts(amounts, f"{each.name} ({each.scope}, {each.where})"),)))
    if rows:
        headline = Text("loans of wider fixtures (lent, kept after their finalizers)", whole=True)
        yield Section(kind="loans", headline=headline, rows=tuple(rows))


def _rss(growth: object) -> int:
    value = growth.get(RSS_BYTES.name, 0) if hasattr(growth, "get") else 0
    return value if isinstance(value, int) else 0
