"""Which things (descriptors, threads, processes, tasks, …) each test and each wider fixture left behind.

The counts are read once a test, at its end; all else happens only when a count has moved. Then the things themselves
are listed and compared with the list from before: the very ones that are new are the test's, or a fixture's loan where
they came to be during its setup. What has gone by the end of the run is taken off again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from leaktrace.pristine import sys, time
from leaktrace.probes.model import Probe, Thing, Value
from leaktrace.recording.left_things import LeftThings, Things, TrackedReads
from leaktrace.recording.model import FixtureAccount, Recording
from leaktrace.recording.tracked_probe import GRACE_S, LookingTime, TrackedProbe, stand_in


YOUNG_S = 0.3
"""Time in which a new thing may yet go, and by going hide the next one."""
DEAR_S = 250e-6
"""A count that always takes longer than this is not taken in a watch, unless it was asked for by name."""
TRIES = 20
"""Counts that may be interrupted, or slowed down by a neighbour, before one is called dear."""
LARGE_BYTES = 1 << 20
"""Growth of a counter of bytes that is worth a look."""


class ResourceTracker:
    """Keeps count of things for one process; tells a recorder, never raises for a probe that cannot be read.

    Args:
        probes: what is counted; those that can also name their things do so when a count has risen.
        third_party: probes of others, which may cost what they cost.
        unwanted: kinds of things that nobody asked for; a socket is counted by the probe of descriptors, too.
        frugal: whether to leave out what takes long to count.
        complain: told of each that is left out.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        *,
        third_party: Sequence[Probe] = (),
        unwanted: frozenset[str] = frozenset(),
        frugal: bool = True,
        complain: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.perf_counter,
        cpu_s: Callable[[], float] = time.process_time,
    ) -> None:
        self._probes, self._third_party, self._unwanted = probes, third_party, unwanted
        self._clock, self._cpu_s = clock, cpu_s
        self._frugal, self._complain = frugal, complain
        self._tracked: list[TrackedProbe] = []
        self._reads: TrackedReads = ()
        self._always_there: TrackedReads = ()
        self._modules = 0
        self._test: Things = {}
        self._setups: list[Things] = []
        self._loans: dict[int, Things] = {}
        self._closed: list[tuple[FixtureAccount, Things]] = []
        self._before: list[Value] = []
        self._serial = 0
        self._looking = LookingTime(third_party, clock, cpu_s)
        self._left = LeftThings(self._looking, clock)

    def begin(self, recording: Recording) -> None:
        """The run begins: count and list what is there before the first test."""
        for probe in (*self._probes, *self._third_party):
            first = probe.read()
            if self._frugal and probe not in self._third_party and self._is_dear(probe):
                kind, why = probe.counter.kind, "a count takes too long here for a watch; a replay counts it"
                recording.unread[probe.counter.name] = why
                self._complain(f"{kind} not watched: {why}, and --leaktrace-kinds={kind} whatever it takes")
                continue
            floor = 0 if probe.counter.unit == "count" else max(probe.counter.noise, LARGE_BYTES)
            tracked = TrackedProbe(probe, first, floor, first)
            tracked.known = self._looking.listed(tracked) or {}
            self._tracked.append(tracked)
        self._reads = tuple((tracked, tracked.probe.read) for tracked in self._tracked)
        self._left.reads = self._reads
        self._modules = len(sys.modules)
        self._wake()
        self._looking.reset()

    def _wake(self) -> None:
        """Leave out what cannot be read (no GPU framework is loaded) until a new module may have changed that."""
        self._always_there = tuple(
            (tracked, read)
            for tracked, read in self._reads
            if tracked.probe in self._third_party or isinstance(read(), int)
        )

    def _is_dear(self, probe: Probe) -> bool:
        for _ in range(TRIES):
            since = self._cpu_s()
            probe.read()
            if self._cpu_s() - since <= DEAR_S:
                return False
        return True

    # --- what happens while a test runs --------------------------------------------------------------------------

    def lend_begin(self) -> bool:
        """A wider fixture's setup begins; what is new so far is not its own.

        Returns whether anything had to be listed.
        """
        looked = self._take(self._setups[-1] if self._setups else self._test)
        self._setups.append({})
        return looked

    def lend_end(self, account: FixtureAccount) -> bool:
        """A wider fixture's setup is over: what is new since its beginning is its loan."""
        born = self._setups.pop() if self._setups else {}
        looked = self._take(born)
        # What could not be named cannot be recognised when the fixture closes.
        born = {key: thing for key, thing in born.items() if key[1] is not None}
        if born:
            self._loans.setdefault(id(account), {}).update(born)
        return looked

    def closing(self, account: FixtureAccount) -> None:
        """A wider fixture's finalizer begins: amounts are read, for nothing but their fall tells what is given back."""
        if account.scope == "session":
            self._left.hold(loan for _account, loan in self._closed)
        if id(account) in self._loans:
            self._before = [read() if tracked.floor else 0 for tracked, read in self._reads]

    def closed(self, account: FixtureAccount) -> None:
        """A wider fixture's finalizer has run; what it had lent should be gone by the end of this test."""
        loan = self._loans.pop(id(account), None)
        if not loan:
            return
        for number, (tracked, read) in enumerate(self._reads):
            before, now = self._before[number], read() if tracked.floor else 0
            if tracked.floor and isinstance(before, int) and isinstance(now, int):
                self._repay(loan, number, before - now)
                if isinstance(tracked.count, int):
                    tracked.count -= before - now
        self._closed.append((account, loan))
        for number, _key in loan:  # what is given back hides what the test leaves
            self._reads[number][0].young = True

    def _repay(self, loan: Things, number: int, fall: int) -> None:
        """Take what was given back of an amount off a loan; less than what is worth a look is forgiven."""
        for key, thing in list(loan.items()):
            if key[0] == number and thing.amount <= fall + self._reads[number][0].floor:
                del loan[key]
                fall -= thing.amount

    def end(self, row: int) -> tuple[Thing, ...]:
        """A test has ended, its last finalizer included: the things that it leaves.

        What a closed fixture failed to give back goes into its account.
        """
        if len(sys.modules) == self._modules:
            for tracked, read in self._always_there:
                if read() != tracked.count or tracked.young:
                    break
            else:
                if not (self._test or self._closed):
                    return ()
        else:
            self._modules = len(sys.modules)
            self._wake()
        self._setups.clear()
        for account, loan in self._closed:
            held = {key: thing for key, thing in loan.items() if key in self._left.held}
            self._left.keep(row, account, held | self._unpaid(loan))
        self._closed.clear()
        born, self._test = self._test, {}
        self._take(born, waiting=True)
        born = {key: thing for key, thing in born.items() if self._is_here(key)}
        self._left.keep(row, None, born)
        return tuple(born.values())

    def _is_here(self, key: tuple[int, Hashable]) -> bool:
        """Whether the last list has it; amounts and what could not be named are in no list."""
        tracked = self._tracked[key[0]]
        return bool(tracked.floor) or key[1] is None or key[1] in tracked.known

    def _unpaid(self, loan: Things) -> Things:
        """What of a loan is still there, once it has had its time; the probes' own lists are left as they are."""
        unpaid: Things = {}
        for number, (tracked, read) in enumerate(self._reads):
            lent = {key: thing for (of, key), thing in loan.items() if of == number}
            if tracked.floor:
                before, now = tracked.count, read()
                if isinstance(before, int) and isinstance(now, int):
                    self._repay(loan, number, before - now)  # its value died only with the test
                unpaid.update({key: thing for key, thing in loan.items() if key[0] == number})
                continue
            here = self._looking.listed(tracked) if lent else None
            alive = len(lent.keys() & here.keys()) if here else 0
            if alive and self._looking.can_wait:
                now, since = read(), self._clock()
                if isinstance(now, int):
                    tracked.probe.settle(GRACE_S, at_most=now - alive)  # type: ignore[attr-defined]
                here = self._looking.listed(tracked)
                self._looking.waited(since)
            unpaid.update({(number, key): thing for key, thing in lent.items() if here and key in here})
        return unpaid

    def _take(self, owner: Things, *, waiting: bool = False) -> bool:
        """Give what is new to `owner`; whether anything had to be listed."""
        looked = False
        for number, (tracked, read) in enumerate(self._reads):
            now = read()
            if now == tracked.count and not (waiting and tracked.young):
                continue
            looked = True
            if waiting and tracked.rose(now):
                now = self._looking.settled(tracked, read)
            rose = tracked.rose(now)
            amount = now - (tracked.count if isinstance(tracked.count, int) else 0) if isinstance(now, int) else 0
            new = self._looking.compared(tracked)
            tracked.count = now
            if new:
                tracked.young_until = self._clock() + YOUNG_S
            if waiting:
                tracked.young = self._clock() < tracked.young_until
            if tracked.floor and rose:
                self._serial += 1
                owner[number, self._serial] = stand_in(tracked.probe, amount, new)
            elif new is None and rose:
                owner[number, None] = stand_in(tracked.probe, amount, None)
            elif new and not tracked.floor:
                owner.update({(number, key): thing for key, thing in new.items() if self._wanted(thing)})
        return looked

    def _wanted(self, thing: Thing) -> bool:
        return thing.kind not in self._unwanted

    # --- the end -------------------------------------------------------------------------------------------------

    def tests_over(self) -> None:
        """The last test has ended."""
        self._left.tests_over()

    def finish(self, recording: Recording) -> None:
        """The run is over: put what is still there into the recording, as the tests' and the fixtures'."""
        self._left.finish(recording)
