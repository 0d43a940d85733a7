"""Writes what a recorder has found out, test by test, into the recording's columns and the journal's lines."""

from __future__ import annotations

from array import array
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

from leaktrace.pristine import dumps, os, sys, time
from leaktrace.probes.model import Counter, Thing
from leaktrace.recording.journal import VERSION, Journal
from leaktrace.recording.model import HEAD, OUTCOMES, PHASES, FixtureAccount, Recording
from leaktrace.recording.settlement import Settlement


class Rows:
    """The rows of one process: each goes into the `recording`, which it makes, and into its journal, if any."""

    def __init__(self, counters: tuple[Counter, ...], worker: str, journal: Journal | None) -> None:
        zeros = [0] * len(counters)
        self.recording = Recording(
            counters=counters,
            worker=worker,
            pid=os.getpid(),
            harness=array("q", zeros),
            collection=array("q", zeros),
        )
        self.count = 0
        self._journal = journal
        self._width = self.recording.width
        self.row = array("q", [0] * self._width)
        """The running test's row, filled in place: outcome, microseconds, peak, start, phases."""
        self._capacity = 0
        self._next: str | None = None
        self._next_quoted = "null"
        numbers = f"[{','.join(['%d'] * len(counters))}]"
        self._start = f',"start":{numbers}'
        self._phases = "".join(f',"{phase}":{numbers}' for phase in PHASES)

    def reserve(self, count: int) -> None:
        """Make room for so many more."""
        self._capacity += count
        self.recording.cells.frombytes(bytes(8 * self._width * count))

    def opened(self) -> None:
        """The first readings are in the recording."""
        recording = self.recording
        if self._journal is not None:
            self._journal.record(
                "run",
                v=VERSION,
                worker=recording.worker,
                pid=recording.pid,
                started_at=time.time(),
                python=sys.version.split()[0],
                counters=[counter.name for counter in recording.counters],
                first={name: value for name, value in recording.first.items() if isinstance(value, int)},
            )
            for name, why in recording.unread.items():
                self._journal.record("unread", counter=name, why=why)

    def unread(self, name: str, why: str) -> None:
        """A counter is given up."""
        self.recording.unread[name] = why
        if self._journal is not None:
            self._journal.record("unread", counter=name, why=why)

    def stopped(self, why: str) -> None:
        """The watch stops: of what comes after, nothing is known."""
        if self._journal is not None:
            self._journal.record("stopped", why=why)

    def collected(self, count: int, first: str | None, at: array[int]) -> None:
        """So many tests will come, this one first."""
        self.reserve(count)
        if self._journal is not None:
            self._journal.record("collected", tests=count, next=first, at=at.tolist())

    # Long: every test of a watch comes by here, and would pay for each further call.
    def test(
        self,
        nodeid: str,
        following: str | None,
        *,
        moved: bool,
        still: bool,
        imports: tuple[str, ...],
        settlement: Settlement | None,
        things: tuple[Thing, ...] | None,
    ) -> None:
        """One test, whose numbers are in `row`.

        The journal's line leaves out what has not changed: the start, unless something has `moved` since the test
        before, and the phases of a test during which every counter stood `still`. `following` is the test that comes
        next.
        """
        recording, number, row = self.recording, self.count, self.row
        if number >= self._capacity:
            self.reserve(256)
        at = number * self._width
        recording.cells[at : at + self._width] = row
        recording.nodeids.append(nodeid)
        self.count = number + 1
        more = ""
        if imports or settlement is not None or things:
            more = self._rare(number, imports, settlement, things)
        if self._journal is None:
            return
        if not still:
            more = self._phases % tuple(row[HEAD + len(recording.counters) :]) + more
        if self._journal.behind:  # the reader has missed what was there before
            moved, more = True, f',"row":{number}{more}'
        if moved:
            more = self._start % tuple(row[HEAD : HEAD + len(recording.counters)]) + more
        quoted = self._next_quoted if nodeid == self._next else _quoted(nodeid)
        self._next, self._next_quoted = following, "null" if following is None else _quoted(following)
        outcome, us, peak = OUTCOMES[row[0]], row[1], row[2]
        self._journal.write(
            f'{{"t":"test","id":{quoted},"o":"{outcome}","us":{us},"peak":{peak}{more},"next":{self._next_quoted}}}'
        )

    def _rare(
        self, row: int, imports: tuple[str, ...], settlement: Settlement | None, things: tuple[Thing, ...] | None
    ) -> str:
        """What few tests have: its place in the recording, and its text for the journal."""
        more = ""
        if imports:
            self.recording.imports[row] = imports
            more += f',"imports":[{",".join(map(_quoted, imports))}]'
        if settlement is not None:
            self.recording.settlements[row] = settlement
            raw = ",".join(f'"{name}":{value}' for name, value in settlement.raw.items())
            uss = settlement.uss_bytes if isinstance(settlement.uss_bytes, int) else "null"
            more += f',"settled":{{"raw":{{{raw}}},"garbage_bytes":{settlement.garbage_bytes},"uss_bytes":{uss}}}'
        if things:
            self.recording.things[row] = things
            more += f',"things":{dumps(_encoded(things))}'
        return more

    def fixture(self, account: FixtureAccount, event: str, numbers: array[int]) -> None:
        """A wider fixture's setup or closing."""
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

    def closed(self, at: array[int]) -> None:
        """The run is over: no room is left over, and the journal has its end."""
        del self.recording.cells[self.count * self._width :]
        if self._journal is not None:
            gone = [[row, _encoded(things)] for row, things in self.recording.gone.items()]
            self._journal.record("end", at=at.tolist(), **({"gone": gone} if gone else {}))
            self._journal.close()


def _encoded(things: tuple[Thing, ...]) -> Any:
    """Things as `codec.encode` has them, which is not loaded in a watch; all their values are plain."""
    return [{name: getattr(thing, name) for name in Thing.__slots__} for thing in things]
