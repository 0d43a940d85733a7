"""Takes the readings of a run and says whose each growth is.

The recorder knows boundaries, not pytest. At each boundary every counter is read, and what it rose by since the one
before is credited to whoever was at work in between: the harness, a phase of a test, a fixture. The hot path makes no
object that outlives it: readings go into preallocated arrays.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TypeVar

from leaktrace.pristine import os, sys, time
from leaktrace.probes.memory import PeakProbe
from leaktrace.probes.model import Probe, Unread
from leaktrace.recording.counters import Counters, Reads
from leaktrace.recording.fixture_loans import Loans
from leaktrace.recording.imports import newest_imports
from leaktrace.recording.journal import Journal
from leaktrace.recording.model import HEAD, OUTCOMES, FixtureAccount
from leaktrace.recording.resource_tracker import ResourceTracker
from leaktrace.recording.rows import Rows
from leaktrace.recording.sampling import Sampling
from leaktrace.recording.settlement import Settlement
from leaktrace.recording.suspicion import Suspicion


T = TypeVar("T")

COARSE_BYTES = 1 << 18
"""The kernel sums up resident pages by processor: a peak and a reading of the same moment differ by up to this much."""
GAP_NS = 100_000
"""Between two tests, too short for much to be gained: what it brought is the next test's, and one reading is spared."""
_PASSED = OUTCOMES.index("passed")


class Recorder:
    """Reads at boundaries and keeps the accounts of one process.

    Args:
        probes: what to read at every boundary; RSS first, then heap.
        peak: the process's high-water mark.
        journal: where each record goes, or None.
        limit_bytes: growth that raises suspicion, upon which the process is settled and read again.
        complain: told once of each probe that failed.
        keeper: counts what is not memory, at fewer boundaries.
        detailed: whether it is told of phases and function-scoped fixtures, as a casebook has them; if not, a test's
            growth is in its call.
    """

    def __init__(
        self,
        *,
        probes: Sequence[Probe],
        peak: PeakProbe,
        journal: Journal | None,
        worker: str,
        limit_bytes: int,
        complain: Callable[[str], None],
        keeper: ResourceTracker | None = None,
        detailed: bool = True,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.limit_bytes, self.detailed = limit_bytes, detailed
        self._peak, self._complain, self._clock_ns, self._keeper = peak, complain, clock_ns, keeper
        self._pid, self._getpid = os.getpid(), os.getpid
        self._modules = len(sys.modules)
        self._rows = Rows(tuple(probe.counter for probe in probes), worker, journal)
        self.recording = self._rows.recording
        self._row = self._rows.row
        n = self._n = len(probes)
        self._setup, self._call, self._teardown = HEAD + n, HEAD + 2 * n, HEAD + 3 * n  # places of the phases in a row
        self._zeros = array("q", [0] * 3 * n)
        counters = self._counters = Counters(probes, self._rows.unread)
        loans = self._loans = Loans(n, self._row, self._setup, counters.credit)
        self._suspicion = Suspicion(counters, loans, self._row, self._setup)
        # Where in the row growth is credited now.
        self._credit_at = self._first_credit_at = self._setup if detailed else self._call
        self._in_test = False
        self._counters_moved = True  # whether the counters have moved since the last row by what is no test's
        self._moved_before = True
        self._nodeid = ""
        self._began_ns = self._ended_ns = 0
        self.outcome_index = 0
        """What the reports of the running test have said so far: an index of `OUTCOMES`."""
        self._sampling = Sampling()
        self._peak_bytes = sys.maxsize  # the mark stands as high as this, or higher than is known
        self._first_reading()

    def _first_reading(self) -> None:
        self._counters.begin(self.recording)
        peak = self._peak.read()
        if isinstance(peak, Unread):
            self.recording.unread[peak.counter] = peak.why
        self._rows.opened()

    def _harness(self, reads: Reads | None = None) -> None:
        """What has grown since the last boundary, in all counters or those given, is pytest's, its plugins' or ours."""
        self._counters.credit(self.recording.harness, 0, reads)
        self._counters_moved = True

    # --- the run ------------------------------------------------------------------------------------------------

    def collected(self, count: int, first: str | None) -> None:
        """Collection is over: credit it, make room for `count` tests, note which comes first."""
        self._counters.credit(self.recording.collection, 0)
        self._rows.collected(count, first, self._counters.last)
        if self._keeper is not None:
            self._guarded(self._keeper.begin, self.recording)
        self._harness()

    def start(self, nodeid: str) -> None:
        """A test begins: before its first fixture."""
        began_ns = self._clock_ns()
        if self.detailed or began_ns - self._ended_ns > GAP_NS:
            self._between(began_ns)
            began_ns = self._clock_ns()
        if not self._counters.row_unchanged:
            self._begin_row()
        self._moved_before, self._counters_moved = self._counters_moved, False
        self._nodeid = nodeid
        self._modules = len(sys.modules)  # what we ourselves have imported since the last test is not this one's
        self._credit_at, self.outcome_index = self._first_credit_at, 0
        self._in_test = True
        self._began_ns = began_ns

    def _between(self, now_ns: int) -> None:
        """What has grown since the last test is no test's."""
        if self._counters.moved():
            self._harness(None if self.detailed or self._sampling.affordable(now_ns) else self._counters.first)
            self._peak_bytes = sys.maxsize

    def _begin_row(self) -> None:
        """No growth so far, from where the counters stand now."""
        last, row = self._counters.last, self._row
        if self._peak_bytes > last[0] + COARSE_BYTES:
            self._peak.reset()
            self._peak_bytes = last[0]
        row[HEAD : self._setup] = last
        row[self._setup :] = self._zeros
        self._loans.clear()
        self._counters.row_unchanged = True

    def phase(self, name: str, *, failed: bool = False) -> None:
        """A phase of the running test ends (`setup`, `call` or `teardown`), perhaps not for the first time."""
        if not self._in_test or name == "teardown":
            return  # the end of the test is read right after the end of its teardown
        if self._loans.busy or self._counters.moved():
            self._loans.boundary(self._credit_at)
        # A rerun's setup goes on where the teardown before it ended; a setup that failed is followed by teardown.
        self._credit_at = self._call if name == "setup" and not failed else self._teardown

    def outcome(self, name: str, when: str) -> None:
        """What a report of the running test said."""
        code = OUTCOMES.index(name)
        if when == "setup":
            self.outcome_index = 0 if code == _PASSED else code  # a rerun's setup begins anew
        elif code > _PASSED or not self.outcome_index:
            self.outcome_index = code

    def _guarded(self, ask: Callable[..., T], *args: object) -> T | None:
        """What the keeper says; whatever fails in it, or in what a test has patched, costs the things alone."""
        try:
            return ask(*args)
        except Exception as exc:  # noqa: BLE001
            self._keeper = None
            self._complain(f"things are counted no further: {type(exc).__name__}: {exc}")
            return None

    # --- fixtures -----------------------------------------------------------------------------------------------

    def account(self, *, name: str, scope: str, where: str) -> FixtureAccount:
        """A new account in the recording, for a fixture definition seen for the first time."""
        account = FixtureAccount(name=name, scope=scope, where=where, width=self._n, first_user=self._nodeid)
        self.recording.fixtures.append(account)
        return account

    def fixture_begin(self, account: FixtureAccount) -> None:
        """A fixture's own setup begins; what it asks for by `getfixturevalue` nests."""
        if not self._in_test:
            return
        self._counters.row_unchanged = False
        if account.wide or self._counters.moved():
            self._loans.boundary(self._credit_at)
        if account.wide and self._keeper is not None and self._guarded(self._keeper.lend_begin):
            self._harness()
        self._loans.begin(account)

    def fixture_end(self, account: FixtureAccount) -> None:
        """A fixture's own setup is over."""
        look = self._in_test and (account.wide or self._counters.moved())
        if not self._in_test or not self._loans.end(account, self._credit_at, look=look):
            return
        if account.wide:
            self._rows.fixture(account, "setup", account.open)
            if self._keeper is not None and self._guarded(self._keeper.lend_end, account):
                self._harness()

    def closing_begin(self, account: FixtureAccount) -> None:
        """A wider fixture's finalizer begins; those that depend on it are closed already."""
        if self._in_test:
            self._counters.row_unchanged = False
            self._loans.boundary(self._credit_at)
            if self._keeper is not None:
                self._guarded(self._keeper.closing, account)
            self._loans.closing_begin(account)

    def closing_end(self, account: FixtureAccount) -> None:
        """A wider fixture's finalizer has run; its value dies only after this, until the next boundary."""
        if self._in_test:
            self._loans.closing_end(account, self._credit_at)
            if self._keeper is not None:
                self._guarded(self._keeper.closed, account)

    # --- the end of a test --------------------------------------------------------------------------------------

    def end(self, next_nodeid: str | None, *, limit_bytes: int | None = None) -> None:
        """The test has ended, its last finalizer included: settle on suspicion, then write its row."""
        if not self._in_test:
            return
        self._in_test = False
        if self._getpid() != self._pid:
            return  # a fork of the test went on running pytest, and its readings are not ours
        now_ns, row = self._clock_ns(), self._row
        duration_us = (now_ns - self._began_ns) // 1000
        limit = self.limit_bytes if limit_bytes is None else limit_bytes
        imports = newest_imports(len(sys.modules) - self._modules) if len(sys.modules) != self._modules else ()
        settlement: Settlement | None = None
        short = not (self.detailed or self._loans.busy) and self._sampling.spares(duration_us, limit, now_ns)
        if short:
            self._counters.credit(row, self._credit_at, self._counters.first)
        if not short or row[self._credit_at] > limit:
            settlement = self._grown(limit)
            row[2] = self._peak_bytes
        else:
            row[2] = self._counters.last[0]
        row[0], row[1] = self.outcome_index, duration_us
        things = self._guarded(self._keeper.end, self._rows.count) if self._keeper is not None else None
        self._rows.test(
            self._nodeid,
            next_nodeid,
            moved=self._moved_before,
            still=self._counters.row_unchanged,
            imports=imports,
            settlement=settlement,
            things=things,
        )
        loans = self._loans
        if loans.busy:
            for account in loans.closed:
                self._rows.fixture(account, "closing", account.due)
            loans.settled()
        self._ended_ns = self._clock_ns()

    def _grown(self, limit: int) -> Settlement | None:
        """Read every counter; what suspicion brought to light."""
        counters, loans, row, began_ns = self._counters, self._loans, self._row, self._clock_ns()
        if loans.busy:
            loans.boundary(self._credit_at)
            loans.repay()
        else:
            counters.credit(row, self._credit_at)
        self._sampling.read(began_ns, self._clock_ns())
        peak = self._peak.read()
        self._peak_bytes = peak if isinstance(peak, int) else 0
        if self._peak_bytes > counters.last[0] + COARSE_BYTES:
            counters.row_unchanged = False  # the next test's peak is another
        if (loans.busy or 3 * max(row[self._setup :]) > limit) and self._suspicion.is_raised(limit):
            return self._suspicion.settle(limit)
        return None

    def grown_bytes(self) -> int:
        """Resident bytes that the running test has gained so far; a reading of its own, for a verbose run."""
        if self._in_test:
            self._loans.boundary(self._credit_at)
        return self._suspicion.grew(0)

    def tests_over(self) -> None:
        """No test comes any more; the run itself goes on, with what plugins and pytest do at its end."""
        if self._keeper is not None and self._getpid() == self._pid:
            self._guarded(self._keeper.tests_over)

    def stopped(self, why: str) -> None:
        """The watch stops here, for a fault of ours: the journal says so, lest the test that runs be blamed."""
        self._rows.stopped(why)

    def finish(self) -> None:
        """The run is over: the last reading, and the journal's end."""
        if self._getpid() != self._pid:
            return
        self._harness()
        if self._keeper is not None:
            self._guarded(self._keeper.finish, self.recording)
        recording, counters = self.recording, self._counters
        counters.finish(recording)
        self._peak.read()
        recording.peak_rss_bytes = self._peak.highest or Unread(
            counter="peak_rss_bytes", why=recording.unread.get("peak_rss_bytes", "not read")
        )
        self._rows.closed(counters.last)
