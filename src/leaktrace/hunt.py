"""The hunt's bookkeeping: which tests are repeated in place, what came of it, and the suspects that follow."""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from leaktrace.casebook.cases import case_of
from leaktrace.casebook.model import Case
from leaktrace.options import Options, Source
from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.memory import BlocksProbe, RssProbe
from leaktrace.probes.model import REFS
from leaktrace.probes.objects import RefsProbe, every_class
from leaktrace.probes.parked import UsedHeapProbe
from leaktrace.probes.threads import ThreadsProbe
from leaktrace.replay.inplace import Grown, Patience, Screen
from leaktrace.replay.measure import Readings
from leaktrace.suspects.groups import group_names
from leaktrace.suspects.model import Suspect
from leaktrace.trace.refs import is_installed
from leaktrace.trace.safe import class_name
from leaktrace.verdict.evidence import record_of
from leaktrace.verdict.judge import judge_kinds
from leaktrace.verdict.model import Rate, Ruling, Verdict
from leaktrace.verdict.rules import Rules


IN_PLACE = Rules(
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
"""A screen only sorts: what still grows after some forty runs goes to a child, which follows it to the end.

Malloc's bytes waver by a chunk's rounding or two; a leak of 16 bytes a run has left that behind after 18 runs.
"""
SHORT_S = 0.001
LONG_S = 0.02
SLOW_S = 0.25
NEARLY_ALL = 0.9
AMPLE = 2.0
HEAD_START_S = 1.0


def screen_of(harmless: Harmless | None = None) -> Screen:
    """A screen with every counter that can be read exactly in a living process, and RSS.

    `harmless` is told of what is followed, and asked of references that grow alone.
    """
    harmless = harmless or Harmless()

    def judged(readings: Readings, batch: int, spent: str | None) -> tuple[bool, int]:
        rulings = rulings_of(readings, batch, spent).values()
        if readings.taken == 1:
            harmless.begin()
        suspicious = [ruling for ruling in rulings if is_suspicious(ruling)] if often_rises(readings) else []
        more = max((ruling.more for ruling in rulings), default=0)
        if not more and {ruling.counter for ruling in suspicious} == {REFS.name}:
            harmless.explain(readings.grown(REFS.name))
        return bool(suspicious), more

    probes = (BlocksProbe(), UsedHeapProbe(), RefsProbe(), HandlesProbe(), ThreadsProbe(), RssProbe())
    return Screen(probes, judged)


class Harmless:
    """References that an extension forgets to give back to installed classes, which live as long as the process anyway.

    A child would take seconds to find so; here it is known from the counts before the runs and after them.
    """

    def __init__(self) -> None:
        self._classes: list[type] = []
        self._before = array("q")
        self.name = ""
        """The class that took most of what grew last, or "" where it is not harmless."""

    def begin(self) -> None:
        """Before the first run that counts."""
        self._classes = list(every_class())
        self._before = array("q", map(sys.getrefcount, self._classes))
        self.name = ""

    def explain(self, grown: int) -> None:
        """Find out whether nearly all of so many new references are to such classes."""
        now = array("q", map(sys.getrefcount, self._classes))
        taken = [
            (after - before, class_name(cls))
            for cls, before, after in zip(self._classes, self._before, now, strict=True)
            if after > before and is_installed(cls)
        ]
        if taken and sum(count for count, _name in taken) >= NEARLY_ALL * grown:
            _most, self.name = max(taken)

    def forget(self) -> None:
        """Let go of the classes: some may have no other owner by now."""
        self._classes.clear()


def is_suspicious(ruling: Ruling) -> bool:
    """Whether a child has to look: growth that has not stopped in place."""
    return ruling.verdict in (Verdict.LEAK, Verdict.UNDECIDED)


def often_rises(readings: Readings) -> bool:
    """Whether a counter rose in more than a third of the batches: a leak of 1 per 4 runs does in three quarters."""
    return 3 * readings.rises() >= readings.taken


def rulings_of(readings: Readings, batch: int, spent: str | None) -> dict[str, Ruling]:
    """What the in-place readings say, by kind of leak."""
    return judge_kinds(
        record_of(
            [probe.counter.name for probe in readings.probes],
            [readings.row(number) for number in range(readings.taken)],
            warmups=0,
            batch_runs=batch,
            unread=readings.unread,
            spent=spent,
        ),
        IN_PLACE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prey:
    """A test that kept growing in place: what was ruled on each kind of leak that it may be, and all rates.

    `harmless` names the installed class that took what grew, where nothing else did.
    """

    nodeid: str
    duration_s: float
    accused: Mapping[str, Ruling]
    rates: Mapping[str, Rate]
    harmless: str = ""


@dataclass(slots=True)
class Game:
    """All tests of a hunt: repeated, grown, not repeatable, not taken.

    `followed_s` is what of the time spent went into tests that had grown.
    """

    options: Options
    clock: Callable[[], float] = time.perf_counter
    total: int = 0
    seen: int = 0
    runs: int = 0
    spent_s: float = 0.0
    followed_s: float = 0.0
    clean: set[str] = field(default_factory=set)
    prey: dict[str, Prey] = field(default_factory=dict)
    unrepeatable: dict[str, str] = field(default_factory=dict)
    not_taken: list[str] = field(default_factory=list)
    harmless: Harmless = field(default_factory=Harmless)
    _functions: set[str] = field(default_factory=set)
    _began: float = 0.0
    _duration_s: float = 0.0
    _started: float = 0.0

    def count(self, tests: int) -> None:
        """How many tests there are to come."""
        self.total, self._started = tests, self.clock()

    @property
    def budget_s(self) -> float | None:
        """The time for all repeats in place: a budget that the user has set; the default is for replays alone."""
        given = self.options.origin.get("budget_s", Source.DEFAULT) > Source.DEFAULT
        return self.options.budget_s if given else None

    def takes(self, nodeid: str, duration_s: float) -> bool:
        """Whether a test is repeated: with a budget, one variant of each function comes before the others.

        The order of tests is the suite's. Of what finds most soonest only the choice is free: a function's first
        variant is taken while there is time, the others only while less of the budget than of the suite is used up.
        """
        self.seen += 1
        function = group_names(nodeid).get("function", nodeid)
        first = function not in self._functions
        self._functions.add(function)
        budget = self.budget_s
        if budget is not None:
            left = budget - self.spent_s
            ahead = self.spent_s * self.total <= budget * self.seen
            if left < 3 * duration_s or not (first or ahead):
                self.not_taken.append(nodeid)
                return False
        self._began, self._duration_s = self.clock(), duration_s
        return True

    def patience(self, repeat_s: float) -> Patience:
        """How many repeats a clean test gets, and each batch of one that grew, by the time that one repeat takes.

        A first run may take longer, for what it imports or another process does. Four meet a leak of 1 per 4 runs
        wherever it starts. They are for short tests, and for all but slow ones while the repeats together have cost
        less than a head start and `AMPLE` times the plain run so far: a hunt is to stay below four times the suite.
        What following the tests that grew has cost is not held against the others.
        """
        duration_s = min(repeat_s, self._duration_s)
        if duration_s >= SLOW_S:
            return Patience(1, 1, hasty=True)
        plain_s = self.clock() - self._started - self.spent_s
        screening_s = self.spent_s - self.followed_s
        long = duration_s >= LONG_S
        if duration_s < SHORT_S or screening_s + 5 * duration_s < HEAD_START_S + AMPLE * plain_s:
            return Patience(4, 1) if long else Patience(4)
        return Patience(1, 1) if long else Patience(2)

    def screened(self, nodeid: str, grown: Grown | None) -> None:
        """A test was repeated without failing."""
        self.spent_s += self.clock() - self._began
        if grown is None:
            self.clean.add(nodeid)
            return
        rulings = rulings_of(grown.readings, grown.batch_runs, grown.spent)
        self.runs += grown.runs
        self.prey[nodeid] = Prey(
            nodeid=nodeid,
            duration_s=self._duration_s,
            accused={kind: ruling for kind, ruling in rulings.items() if is_suspicious(ruling)},
            rates={name: rate for ruling in rulings.values() for name, rate in ruling.rates.items()},
            harmless=self.harmless.name,
        )

    def failed(self, nodeid: str, why: str) -> None:
        """A test passed once and failed when repeated."""
        self.spent_s += self.clock() - self._began
        self.unrepeatable[nodeid] = why

    def unclear(self) -> set[str]:
        """The tests that grew in place, but not steadily."""
        return {
            prey.nodeid
            for prey in self.prey.values()
            if all(ruling.verdict is not Verdict.LEAK for ruling in prey.accused.values())
        }

    def suspects(self, worker: str) -> list[Suspect]:
        """The tests that kept growing, steepest first."""
        found = []
        for prey in self.prey.values():
            for kind, ruling in prey.accused.items():
                rate = prey.rates.get(ruling.counter or "")
                found.append(
                    Suspect(
                        subject="test",
                        name=prey.nodeid,
                        kind=kind,
                        counter=ruling.counter or "blocks",
                        grew_by=round(rate.estimate) if rate is not None else 0,
                        why=f"repeated in place it {ruling.reason}",
                        nodeids=(prey.nodeid,),
                        worker=worker,
                        duration_s=prey.duration_s,
                    )
                )
        return sorted(found, key=lambda suspect: -suspect.grew_by)

    def unrepeatable_suspects(self, worker: str) -> list[Suspect]:
        """The tests that failed when repeated: nothing can be said of them."""
        return [
            Suspect(
                subject="test",
                name=nodeid,
                kind="memory",
                counter="blocks",
                grew_by=0,
                why=f"not repeatable: {why}",
                nodeids=(nodeid,),
                worker=worker,
            )
            for nodeid, why in self.unrepeatable.items()
        ]


SCREENED = frozenset({"memory", "objects", "fds", "sockets", "threads"})
"""Kinds that the counters of a screen see."""


def decided_in_place(suspects: Sequence[Suspect], game: Game | None, *, limit_bytes: int) -> dict[int, Case]:
    """Cases that need no child, by the suspect's number: growth that the repeats did not show again, failed repeats."""
    decided: dict[int, Case] = {}
    if game is None:
        return decided
    for number, suspect in enumerate(suspects):
        if suspect.subject != "test":
            continue
        if suspect.name in game.clean and suspect.kind in SCREENED:
            decided[number] = replace(
                case_of(suspect, None, limit_bytes=limit_bytes),
                verdict=Verdict.ONE_TIME,
                reason="it grew in its first run, and no counter rose when it was repeated in place",
            )
        elif (prey := game.prey.get(suspect.name)) is not None and prey.harmless and suspect.counter == REFS.name:
            decided[number] = replace(
                case_of(suspect, None, limit_bytes=limit_bytes),
                verdict=Verdict.STEADY,
                reason=f"nothing is kept by it that would go otherwise: references to class {prey.harmless}; "
                f"{suspect.why}",
                counter=REFS.name,
                per_run=dict(prey.rates),
            )
        elif suspect.name in game.unrepeatable:
            decided[number] = replace(
                case_of(suspect, None, limit_bytes=limit_bytes),
                reason=f"not repeatable: {game.unrepeatable[suspect.name]}",
            )
    return decided
