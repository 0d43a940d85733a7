"""The nouns of a run: what each test, fixture and process grew by, between two readings."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leaktrace.probes.model import Counter, Thing, Unread, Value


if TYPE_CHECKING:
    from leaktrace.recording.spans import Settlement, TestSpan

PHASES = ("setup", "call", "teardown")
OUTCOMES = ("unknown", "passed", "failed", "error", "skipped", "xfailed", "xpassed", "rerun")
HEAD = 3
"""Numbers of a row before its counters: outcome, duration in microseconds, peak."""
Growth = Mapping[str, Value]
"""By counter name, by how much it rose (or fell) over a span."""


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class FixtureAccount:
    """What one fixture definition lent, and what it kept after its finalizer.

    The arrays hold one number for each counter of the recording: all that was `lent`, all that was `kept`, what is
    `open` while the fixture lives, and what is still `due` between its finalizer and the end of that test. A
    function-scoped fixture's growth stays with its test; its account only tells which fixture of the test it was.
    `things` are those that it had lent and that are there at the end of the run, `held` those that went only with a
    session's fixture.
    """

    name: str
    scope: str
    where: str
    width: int
    setups: int = 0
    closings: int = 0
    lent: array[int] = field(init=False)
    kept: array[int] = field(init=False)
    open: array[int] = field(init=False)
    due: array[int] = field(init=False)
    first_user: str = ""
    things: list[Thing] = field(default_factory=list)
    held: list[Thing] = field(default_factory=list)

    def __post_init__(self) -> None:
        zeros = [0] * self.width
        self.lent, self.kept = array("q", zeros), array("q", zeros)
        self.open, self.due = array("q", zeros), array("q", zeros)

    @property
    def wide(self) -> bool:
        """Whether it outlives a test, so that its growth is a loan and not the test's."""
        return self.scope != "function"


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Recording:
    """The spans of one process, append-only, in preallocated columns: about 150 bytes a test.

    A row holds outcome, duration (µs), peak, then start, setup, call and teardown with one number a counter. By row,
    and only for the few rows that have any: `things` that a test left and that are there at the end of the run, and
    those that it left and that have `gone` since; of these, those that were `held` until the session's fixtures ended.
    `warned` are ResourceWarnings, each with the test during which it
    came up, which need not be the one that made the resource. Of a recording that was read from a journal, `torn`
    counts the records that were broken, `lost` those that could not be written, and `stopped` says why the watch had
    stopped.
    """

    counters: tuple[Counter, ...]
    worker: str
    nodeids: list[str] = field(default_factory=list)
    cells: array[int] = field(default_factory=lambda: array("q"))
    imports: dict[int, tuple[str, ...]] = field(default_factory=dict)
    settlements: dict[int, Settlement] = field(default_factory=dict)
    things: dict[int, tuple[Thing, ...]] = field(default_factory=dict)
    gone: dict[int, tuple[Thing, ...]] = field(default_factory=dict)
    held: dict[int, tuple[Thing, ...]] = field(default_factory=dict)
    warned: list[tuple[str, str]] = field(default_factory=list)
    fixtures: list[FixtureAccount] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    harness: array[int] = field(default_factory=lambda: array("q"))
    collection: array[int] = field(default_factory=lambda: array("q"))
    first: dict[str, Value] = field(default_factory=dict)
    last: dict[str, Value] = field(default_factory=dict)
    peak_rss_bytes: Value = 0
    pid: int = 0
    running: str | None = None
    complete: bool = True
    torn: int = 0
    lost: int = 0
    stopped: str | None = None

    @property
    def width(self) -> int:
        """Numbers in one row."""
        return HEAD + 4 * len(self.counters)

    def __len__(self) -> int:
        return len(self.nodeids)

    def values(self, row: int, column: int) -> Growth:
        """The counters' numbers of one part of a row: column 0 is the start, 1 to 3 the phases."""
        n = len(self.counters)
        at = row * self.width + HEAD + column * n
        return {
            counter.name: (
                Unread(counter=counter.name, why=self.unread[counter.name])
                if counter.name in self.unread
                else self.cells[at + i]
            )
            for i, counter in enumerate(self.counters)
        }

    def span(self, row: int) -> TestSpan:
        """One test's span as a noun."""
        from leaktrace.recording.spans import TestSpan, total  # noqa: PLC0415 - only to judge or report

        phases = {phase: self.values(row, 1 + i) for i, phase in enumerate(PHASES)}
        at = row * self.width
        peak: Value = self.cells[at + 2]
        if peak == 0:
            peak = Unread(counter="peak_rss_bytes", why=self.unread.get("peak_rss_bytes", "not read in this run"))
        return TestSpan(
            nodeid=self.nodeids[row],
            worker=self.worker,
            outcome=OUTCOMES[self.cells[at]],
            duration_s=self.cells[at + 1] / 1e6,
            start=self.values(row, 0),
            phases=phases,
            growth=total(phases.values()),
            peak_rss_bytes=peak,
            imports=self.imports.get(row, ()),
            settlement=self.settlements.get(row),
            things=self.things.get(row, ()),
        )

    def spans(self) -> Iterator[TestSpan]:
        """Every test's span, in the order in which they ran."""
        return (self.span(row) for row in range(len(self)))

    def named(self, numbers: array[int]) -> dict[str, Value]:
        """An account's numbers by counter name."""
        return {
            counter.name: (
                Unread(counter=counter.name, why=self.unread[counter.name])
                if counter.name in self.unread
                else (numbers[i] if i < len(numbers) else 0)
            )
            for i, counter in enumerate(self.counters)
        }


def is_uneventful(recording: Recording, limit_bytes: int) -> bool:
    """Whether nobody in a recording can be a suspect, told from sums alone: then no judge has to be loaded.

    No test passed the limit at first sight, all that any test gained is together below it, every loan was repaid, and
    nothing was left open.
    """
    if recording.settlements or recording.things or recording.gone or not recording.complete:
        return False
    if any(
        account.things or account.held or max(account.kept, default=0) > limit_bytes for account in recording.fixtures
    ):
        return False
    n, width, cells = len(recording.counters), recording.width, recording.cells
    for i in range(min(2, n)):  # resident and heap bytes
        if recording.counters[i].name in recording.unread:
            continue
        phases = zip(*(cells[HEAD + part * n + i :: width] for part in (1, 2, 3)), strict=True)
        if sum(grown for phase in phases if (grown := sum(phase)) > 0) > limit_bytes:
            return False
    return True
