"""Takes the readings of a run and writes them into the ledger and its journal.

The recorder knows boundaries, not pytest. At each boundary every counter is read, and what it rose by since the one
before is credited to whoever was at work in between: the harness, a phase of a test, a fixture. The hot path makes no
object that outlives it: readings go into preallocated arrays.
"""

from __future__ import annotations

import json
import os
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from itertools import islice
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, TypeVar

from leaktrace.ledger.journal import VERSION, Journal
from leaktrace.ledger.model import OUTCOMES, PHASES, FixtureAccount, Ledger
from leaktrace.ledger.things import ThingsKeeper
from leaktrace.probes.memory import PeakProbe, UssProbe
from leaktrace.probes.model import HEAP_BYTES, RSS_BYTES, Probe, Thing, Unread
from leaktrace.probes.settle import collect, trim


if TYPE_CHECKING:
    from leaktrace.ledger.spans import Settlement

T = TypeVar("T")

MAX_IMPORTS = 20
"""Names of imported packages kept for one test."""


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
        keeper: ThingsKeeper | None = None,
        detailed: bool = True,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.limit_bytes, self.detailed = limit_bytes, detailed
        self._probes = tuple(probes)
        self._reads = tuple(enumerate(probe.read for probe in probes))
        self._peak, self._journal, self._complain, self._clock_ns = peak, journal, complain, clock_ns
        self._keeper = keeper
        self._pid, self._getpid = os.getpid(), os.getpid
        self._modules = len(sys.modules)
        n = self._n = len(self._probes)
        zeros = [0] * n
        self.ledger = Ledger(
            counters=tuple(probe.counter for probe in probes),
            worker=worker,
            pid=self._pid,
            harness=array("q", zeros),
            collection=array("q", zeros),
            repeats=array("q", zeros),
        )
        numbers = f"[{','.join(['%d'] * n)}]"
        parts = ",".join(f'"{part}":{numbers}' for part in ("start", *PHASES))
        self._line = f'{{"t":"test","id":%s,"o":"%s","us":%d,"peak":%d,{parts}%s,"next":%s}}'
        self._last, self._start, self._scratch = array("q", zeros), array("q", zeros), array("q", zeros)
        self._phases, self._zeros = array("q", zeros * 3), array("q", zeros * 3)
        self._at = self._first_at = 0 if detailed else n  # where in the phases' numbers growth is credited now
        self._active: list[FixtureAccount] = []
        self._closed: list[FixtureAccount] = []
        self._closing: FixtureAccount | None = None
        self._finalizing = False
        self._in_test = False
        self._paused = False
        self._nodeid = ""
        self._began_ns = 0
        self._outcome = 0
        self._capacity = 0
        self._row = 0
        self._first_reading()

    def _first_reading(self) -> None:
        journal, self._journal = self._journal, None  # its first record is the run's
        self._credit(self._scratch, 0)
        self._journal = journal
        if self._peak is not None:
            value = self._peak.read()
            if isinstance(value, Unread):
                self.ledger.unread[value.counter] = value.why
        for i, probe in enumerate(self._probes):
            name = probe.counter.name
            why = self.ledger.unread.get(name)
            self.ledger.first[name] = self._last[i] if why is None else Unread(counter=name, why=why)
        if self._journal is not None:
            self._journal.record(
                "run",
                v=VERSION,
                worker=self.ledger.worker,
                pid=self._pid,
                started_at=time.time(),
                python=sys.version.split()[0],
                counters=[counter.name for counter in self.ledger.counters],
                first={name: value for name, value in self.ledger.first.items() if isinstance(value, int)},
            )
            for name, why in self.ledger.unread.items():
                self._journal.record("unread", counter=name, why=why)

    # --- readings -----------------------------------------------------------------------------------------------

    def _credit(self, into: array[int], at: int) -> None:
        """Read every counter and add what it rose by since the last boundary to `into[at:]`."""
        last = self._last
        for i, read in self._reads:
            value = read()
            if value != last[i]:
                try:
                    into[at + i] += value - last[i]  # type: ignore[operator]
                except TypeError:
                    self._disable(i, value)
                else:
                    last[i] = value  # type: ignore[assignment]

    def _disable(self, i: int, value: object) -> None:
        """Stop reading a counter for the rest of the run: half a column would be taken for zeros."""
        counter = self._probes[i].counter
        why = value.why if isinstance(value, Unread) else f"the probe returned {type(value).__name__}, not an integer"
        self._reads = tuple((k, read) for k, read in self._reads if k != i)
        self.ledger.unread[counter.name] = why
        self._last[i] = 0
        if self._journal is not None:
            self._journal.record("unread", counter=counter.name, why=why)

    # --- the run ------------------------------------------------------------------------------------------------

    def collected(self, count: int, first: str | None) -> None:
        """Collection is over: credit it, make room for `count` tests, note which comes first."""
        self._credit(self.ledger.collection, 0)
        self._reserve(count)
        if self._journal is not None:
            self._journal.record("collected", tests=count, next=first, at=self._last.tolist())
        if self._keeper is not None:
            self._kept(self._keeper.begin, self.ledger)
        self._credit(self.ledger.harness, 0)

    def _reserve(self, count: int) -> None:
        self._capacity += count
        self.ledger.cells.frombytes(bytes(8 * self.ledger.width * count))

    def start(self, nodeid: str) -> None:
        """A test begins: before its first fixture."""
        if self._paused or self._getpid() != self._pid:
            return  # a repeat in place; or a fork of a test went on running pytest, and its readings are not ours
        if self._moved():
            self._credit(self.ledger.harness, 0)
        self._nodeid = nodeid
        self._modules = len(sys.modules)  # what we ourselves have imported since the last test is not this one's
        self._start[:] = self._last
        self._phases[:] = self._zeros
        self._at, self._outcome = self._first_at, 0
        self._active.clear()
        self._closed.clear()
        self._closing, self._finalizing = None, False
        self._in_test = True
        self._peak.reset()
        self._began_ns = self._clock_ns()

    def phase(self, name: str, *, failed: bool = False) -> None:
        """A phase of the running test ends (`setup`, `call` or `teardown`), perhaps not for the first time."""
        if not self._in_test or name == "teardown":
            return  # the end of the test is read right after the end of its teardown
        if self._active or self._closing is not None or self._moved():
            self._boundary()
        # A rerun's setup goes on where the teardown before it ended; a setup that failed is followed by teardown.
        self._at = self._n if name == "setup" and not failed else 2 * self._n

    def _moved(self) -> bool:
        """Whether resident memory has changed since the last boundary.

        Where it has not, the dearer counters are read at no boundary but a wider fixture's and the end of a test: what
        they rose by is the next one's, and the test's sum is the same.
        """
        return not self._reads or self._reads[0][1]() != self._last[0]

    def outcome(self, name: str, when: str) -> None:
        """What a report of the running test said."""
        code = OUTCOMES.index(name)
        if when == "setup" or code > 1 or self._outcome == 0:
            self._outcome = 0 if when == "setup" and name == "passed" else code

    def _boundary(self) -> None:
        """Credit growth to whoever is at work: an active fixture, one just closed, or the phase."""
        if self._active:
            self._credit_fixture(self._active[-1])
        elif self._closing is not None:
            self._credit_closing(self._closing)
        else:
            self._credit(self._phases, self._at)

    # --- repeats in place ---------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Look away: what follows is a repeat of the test that has just ended."""
        self._credit(self.ledger.harness, 0)
        self._paused = True

    def resume(self) -> None:
        """Look again; what the repeats left behind has an account of its own."""
        self._credit(self.ledger.repeats, 0)
        if self._keeper is not None:
            self._kept(self._keeper.forget_repeats)
            self._credit(self.ledger.harness, 0)
        self._paused = False

    def last_outcome(self) -> str:
        """The outcome of the test that ended last."""
        return OUTCOMES[self._outcome]

    def last_duration_s(self) -> float:
        """How long the test that ended last took."""
        return self.ledger.cells[(self._row - 1) * self.ledger.width + 1] / 1e6 if self._row else 0.0

    def _kept(self, ask: Callable[..., T], *args: object) -> T | None:
        """What the keeper says; whatever fails in it, or in what a test has patched, costs the things alone."""
        try:
            return ask(*args)
        except Exception as exc:  # noqa: BLE001
            self._keeper = None
            self._complain(f"things are counted no further: {type(exc).__name__}: {exc}")
            return None

    # --- fixtures -----------------------------------------------------------------------------------------------

    def account(self, *, name: str, scope: str, where: str) -> FixtureAccount:
        """A new account in the ledger, for a fixture definition seen for the first time."""
        account = FixtureAccount(name=name, scope=scope, where=where, width=self._n, first_user=self._nodeid)
        self.ledger.fixtures.append(account)
        return account

    def fixture_begin(self, account: FixtureAccount) -> None:
        """A fixture's own setup begins; what it asks for by `getfixturevalue` nests."""
        if not self._in_test:
            return
        if account.wide or self._moved():
            self._boundary()
        if account.wide and self._keeper is not None and self._kept(self._keeper.lend_begin):
            self._credit(self.ledger.harness, 0)
        self._active.append(account)

    def fixture_end(self, account: FixtureAccount) -> None:
        """A fixture's own setup is over."""
        if not self._in_test or not self._active:
            return
        if account.wide or self._moved():
            self._credit_fixture(account)
        self._active.pop()
        account.setups += 1
        if account.wide:
            self._journal_fixture(account, "setup", account.open)
            if self._keeper is not None and self._kept(self._keeper.lend_end, account):
                self._credit(self.ledger.harness, 0)

    def _credit_fixture(self, account: FixtureAccount) -> None:
        scratch, phases, at = self._scratch, self._phases, self._at
        for i in range(self._n):
            scratch[i] = 0
        self._credit(scratch, 0)
        for i in range(self._n):
            account.lent[i] += scratch[i]
            if account.wide:
                account.open[i] += scratch[i]
            else:
                phases[at + i] += scratch[i]

    def closing_begin(self, account: FixtureAccount) -> None:
        """A wider fixture's finalizer begins; those that depend on it are closed already."""
        if self._in_test:
            self._boundary()
            if self._keeper is not None:
                self._kept(self._keeper.closing, account)
            self._closing, self._finalizing = account, True

    def closing_end(self, account: FixtureAccount) -> None:
        """A wider fixture's finalizer has run; its value dies only after this, until the next boundary."""
        if self._in_test:
            self._credit_closing(account)
            self._finalizing = False
            account.closings += 1
            for i in range(self._n):
                account.due[i] += account.open[i]
                account.open[i] = 0
            if not any(each is account for each in self._closed):
                self._closed.append(account)
            if self._keeper is not None:
                self._kept(self._keeper.closed, account)

    def _credit_closing(self, account: FixtureAccount) -> None:
        """Take from the loan what was freed, down to zero; all else is the test's.

        What the finalizer itself allocates is the fixture's own; what falls after it is its value's death.
        """
        scratch, phases, at = self._scratch, self._phases, self._at
        for i in range(self._n):
            scratch[i] = 0
        self._credit(scratch, 0)
        loan = account.open if self._finalizing else account.due
        for i in range(self._n):
            change = scratch[i]
            if change < 0:
                change = max(change, -max(loan[i], 0))
            elif not self._finalizing:
                change = 0
            loan[i] += change
            phases[at + i] += scratch[i] - change

    def _repay(self) -> None:
        """Let what the test itself seems to have freed repay loans closed during it, the last closed first.

        A fixture's value may outlive its finalizer in the test's own arguments; it then falls with the test.
        """
        n, phases = self._n, self._phases
        for account in reversed(self._closed):
            for i in range(n):
                freed = -(phases[i] + phases[n + i] + phases[2 * n + i])
                share = min(freed, account.due[i])
                if share > 0:
                    account.due[i] -= share
                    phases[2 * n + i] += share

    # --- the end of a test --------------------------------------------------------------------------------------

    def end(self, next_nodeid: str | None, *, limit_bytes: int | None = None) -> None:
        """The test has ended, its last finalizer included: settle on suspicion, then write its row."""
        if not self._in_test:
            return
        self._in_test = False
        if self._getpid() != self._pid:
            return
        duration_us = (self._clock_ns() - self._began_ns) // 1000
        self._boundary()
        if self._closed:
            self._repay()
        peak = self._peak.read()
        limit = self.limit_bytes if limit_bytes is None else limit_bytes
        imports = self._new_imports() if len(sys.modules) != self._modules else ()
        settlement = self._settle() if self._suspicious(limit) else None
        things = self._kept(self._keeper.end, self._row) if self._keeper is not None else None
        self._write_row(duration_us, peak if isinstance(peak, int) else 0, imports, settlement)
        if things:
            self.ledger.things[self._row] = things
        if self._journal is not None:
            self._journal_test(imports, settlement, next_nodeid, things)
            for account in self._closed:
                self._journal_fixture(account, "closing", account.due)
        for account in self._closed:
            for i in range(self._n):
                account.kept[i] += account.due[i]
                account.due[i] = 0
        self._row += 1

    def grown_bytes(self) -> int:
        """Resident bytes that the running test has gained so far; a reading of its own, for a verbose run."""
        if self._in_test:
            self._boundary()
        return self._phases[0] + self._phases[self._n] + self._phases[2 * self._n]

    def _suspicious(self, limit: int) -> bool:
        n, phases = self._n, self._phases
        if not self._closed and 3 * max(phases) <= limit:
            return False
        for i in range(min(2, n)):  # resident and heap bytes
            if phases[i] + phases[n + i] + phases[2 * n + i] > limit:
                return True
            for account in self._closed:
                if account.due[i] > limit:
                    return True
        return False

    def _settle(self) -> Settlement:
        """Collect, trim, read again; what falls is taken from the closed loans first, then from the test."""
        n, phases, last = self._n, self._phases, self._last
        raw = {c.name: phases[i] + phases[n + i] + phases[2 * n + i] for i, c in enumerate(self.ledger.counters)}
        before = {c.name: last[i] for i, c in enumerate(self.ledger.counters)}
        collect()
        self._credit_settled()
        garbage = [before[name] - last[i] for i, name in enumerate(before) if name in {RSS_BYTES.name, HEAP_BYTES.name}]
        trim()
        self._credit_settled()
        from leaktrace.ledger.spans import Settlement  # noqa: PLC0415 - on suspicion only, and no growth of the test's

        return Settlement(raw=raw, garbage_bytes=max([0, *garbage]), uss_bytes=UssProbe().read())

    def _credit_settled(self) -> None:
        self._at = 2 * self._n
        if self._closed:
            self._credit_closing(self._closed[-1])
            self._repay()
        else:
            self._credit(self._phases, self._at)

    def _new_imports(self) -> tuple[str, ...]:
        """Top-level packages that came into `sys.modules` during this test."""
        count = len(sys.modules) - self._modules
        if count <= 0:
            return ()
        newest = list(islice(reversed(sys.modules), count))
        names = dict.fromkeys(name.partition(".")[0] for name in reversed(newest))
        fresh = [name for name in names if name in newest] or list(names)
        return tuple(fresh[:MAX_IMPORTS])

    def _write_row(self, duration_us: int, peak: int, imports: tuple[str, ...], settlement: Settlement | None) -> None:
        ledger, row = self.ledger, self._row
        if row >= self._capacity:
            self._reserve(256)
        cells, at, n = ledger.cells, row * ledger.width, self._n
        cells[at] = self._outcome
        cells[at + 1] = duration_us
        cells[at + 2] = peak
        cells[at + 3 : at + 3 + n] = self._start
        cells[at + 3 + n : at + 3 + 4 * n] = self._phases
        ledger.nodeids.append(self._nodeid)
        if imports:
            ledger.imports[row] = imports
        if settlement is not None:
            ledger.settlements[row] = settlement

    def _journal_test(
        self,
        imports: tuple[str, ...],
        settlement: Settlement | None,
        next_nodeid: str | None,
        things: tuple[Thing, ...] | None,
    ) -> None:
        ledger, quote = self.ledger, encode_basestring_ascii
        at = self._row * ledger.width
        more = f',"imports":[{",".join(map(quote, imports))}]' if imports else ""
        if settlement is not None:
            raw = ",".join(f'"{name}":{value}' for name, value in settlement.raw.items())
            uss = settlement.uss_bytes if isinstance(settlement.uss_bytes, int) else "null"
            more += f',"settled":{{"raw":{{{raw}}},"garbage_bytes":{settlement.garbage_bytes},"uss_bytes":{uss}}}'
        if things:
            more += f',"things":{json.dumps(_encoded(things))}'
        self._journal.write(  # type: ignore[union-attr]
            self._line
            % (
                quote(self._nodeid),
                OUTCOMES[self._outcome],
                *ledger.cells[at + 1 : at + ledger.width],
                more,
                quote(next_nodeid) if next_nodeid else "null",
            )
        )

    def _journal_fixture(self, account: FixtureAccount, event: str, numbers: array[int]) -> None:
        if self._journal is not None:
            self._journal.record(
                "fixture",
                event=event,
                name=account.name,
                scope=account.scope,
                where=account.where,
                user=account.first_user,
                by=numbers.tolist(),
            )

    def finish(self) -> None:
        """The run is over: the last reading, and the journal's end."""
        if self._getpid() != self._pid:
            return
        self._credit(self.ledger.harness, 0)
        if self._keeper is not None:
            self._kept(self._keeper.finish, self.ledger)
        ledger = self.ledger
        del ledger.cells[self._row * ledger.width :]
        for i, counter in enumerate(ledger.counters):
            why = ledger.unread.get(counter.name)
            ledger.last[counter.name] = self._last[i] if why is None else Unread(counter=counter.name, why=why)
        self._peak.read()
        ledger.peak_rss_bytes = self._peak.highest or Unread(
            counter="peak_rss_bytes", why=ledger.unread.get("peak_rss_bytes", "not read")
        )
        if self._journal is not None:
            gone = [[row, _encoded(things)] for row, things in ledger.gone.items()]
            self._journal.record("end", at=self._last.tolist(), **({"gone": gone} if gone else {}))
            self._journal.close()


def _encoded(things: tuple[Thing, ...]) -> Any:
    from leaktrace.codec import encode  # noqa: PLC0415 - most tests leave nothing

    return encode(things)
