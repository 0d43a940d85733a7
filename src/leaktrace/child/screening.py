"""The tests of one file, screened in one worker, in turn: which of them grow, so that they are worth a closer look."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from contextlib import suppress

import pytest

from leaktrace.child.measure import RunFailed, Tell, begin, record
from leaktrace.child.pytest_private import QuietRuns, namespaces_of, tear_down
from leaktrace.child.readings import Readings, readable
from leaktrace.child.repeat import Repeat
from leaktrace.child.screen import Grown, RepeatPlan, Screen
from leaktrace.explain.forgotten_references import is_installed
from leaktrace.heap.safe import class_name
from leaktrace.pristine import sys, time
from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.memory import BlocksProbe, HeapProbe, RssProbe
from leaktrace.probes.model import REFS
from leaktrace.probes.objects import RefsProbe, every_class
from leaktrace.probes.threads import ThreadsProbe
from leaktrace.replay.protocol import Task
from leaktrace.verdict.judge import is_suspicious, judge_kinds
from leaktrace.verdict.model import Ruling
from leaktrace.verdict.rules import SCREENING


REHEARSALS = 3
SHORT_S = 0.001
LONG_S = 0.02
SLOW_S = 0.25
AMPLE = 2.0
HEAD_START_S = 0.5
NEARLY_ALL = 0.9
OUTGROWN_BYTES = 32_000_000
OUTGROWN = 0.25
"""What a worker may grow by, in bytes or as a part of what it began with, before another one takes its place."""


class Screening:
    """Screens one test after the other, each at most a few times.

    Args:
        session: pytest's own, with everything collected.
        quiet: runs items so that no other plugin hears of it.
        collected_s: seconds that a full collection took where one has just been made; None where none was.
    """

    def __init__(
        self,
        session: pytest.Session,
        quiet: QuietRuns,
        *,
        collected_s: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._collected_s = collected_s
        self._session, self._quiet, self._clock = session, quiet, clock
        self._harmless = Harmless()
        self._rss = RssProbe()
        self._began_bytes = self._resident()
        self._plain_s = self._spent_s = self._followed_s = 0.0
        self._screen: Screen | None = None
        self._unread: dict[str, str] = {}

    def screen(self, task: Task, item: pytest.Item, following: pytest.Item | None, tell: Tell) -> bool:
        """Screen a test and tell what came of it; returns whether this worker can go on to the next."""
        if self._screen is None:
            self._screen = self._made()
        screen, since = self._screen, self._clock()
        self._plain_s += task.duration_s
        try:
            again = Repeat(self._quiet, [item])
            grown = screen.screen(
                again.run,
                plan=lambda s: self._plan(min(s, task.duration_s or s)),
                namespaces=namespaces_of(item),
            )
            self._tell(grown, tell)
        except RunFailed as exc:
            self._failed(str(exc), tell)
        except (Exception, pytest.fail.Exception, pytest.skip.Exception) as exc:  # noqa: BLE001
            # A wider fixture's own fault when it ends once more, of which the run that counts has told, or one of ours.
            self._failed(f"{type(exc).__name__}: {exc}", tell)
        finally:
            self._harmless.forget()
            screen.thaw()
            self._leave(item, following)
        self._spent_s += self._clock() - since
        self._followed_s += screen.followed_s
        if self._resident() - self._began_bytes > max(OUTGROWN_BYTES, OUTGROWN * self._began_bytes):
            tell("retired", {})
            return False
        return True

    def dry_run(self) -> dict[str, str]:
        """Screen what does nothing, so that what this makes for itself is not made in the first test of each worker.

        Returns:
            Why a counter cannot be read here, by its name.
        """
        screen = self._made()
        for _ in range(REHEARSALS):
            screen.screen(_nothing, plan=lambda _s: RepeatPlan(1))
            screen.thaw()
        screen.close()
        return self._unread

    def _made(self) -> Screen:
        probes, self._unread = readable((HeapProbe(), BlocksProbe(), RefsProbe(), HandlesProbe(), ThreadsProbe()))
        return Screen([*probes, RssProbe()], self._judged, collected_s=self._collected_s)

    def _resident(self) -> int:
        value = self._rss.read()
        return value if isinstance(value, int) else 0

    def _tell(self, grown: Grown | None, tell: Tell) -> None:
        if grown is None:
            tell("screened", {"as": "clean", "runs": 0})
            return
        readings = grown.readings
        begin(tell, readings.probes, warmups=0, batch_runs=grown.batch_runs, unread=readings.unread)
        for number in range(readings.taken):
            tell("reading", {"values": readings.row(number), "runs": grown.runs})
        tell("spent", {"why": grown.spent})
        tell(
            "screened",
            {"as": "grown", "runs": grown.runs, "batch_runs": grown.batch_runs, "harmless": self._harmless.name},
        )

    def _leave(self, item: pytest.Item, following: pytest.Item | None) -> None:
        """Let the next test find set up only what it needs.

        Plugins learn from a teardown's next item what ends with it (SQLAlchemy's drops its tables), so that where a
        class or a module ends, the test is run once more as the last of it.
        """
        with suppress(Exception, pytest.fail.Exception, pytest.skip.Exception):  # told at the first run
            if following is None or following.parent is not item.parent:
                self._quiet.run(item, following)
            tear_down(self._session, following)

    @staticmethod
    def _failed(why: str, tell: Tell) -> None:
        tell("failure", {"why": why})
        tell("end", {})

    def _plan(self, duration_s: float) -> RepeatPlan:
        """How many repeats a clean test gets, and each batch of one that grew, by the time that one repeat takes.

        Four meet a leak of 1 per 4 runs wherever it starts. They are for short tests, and for all but slow ones while
        the repeats together have cost less than a head start and `AMPLE` times the plain run so far. What following the
        tests that grew has cost is not held against the others.
        """
        if duration_s >= SLOW_S:
            return RepeatPlan(1, 1, hasty=True)
        long = duration_s >= LONG_S
        screening_s = self._spent_s - self._followed_s
        if duration_s < SHORT_S or screening_s + 5 * duration_s < HEAD_START_S + AMPLE * self._plain_s:
            return RepeatPlan(4, 1) if long else RepeatPlan(4)
        return RepeatPlan(1, 1) if long else RepeatPlan(2)

    def _judged(self, readings: Readings, batch: int, spent: str | None) -> tuple[bool, int]:
        """Whether what was read may be a leak, and how many further batches are wanted."""
        rulings = rulings_of(readings, batch, spent).values()
        if readings.taken == 1:
            self._harmless.begin()
        suspicious = [ruling for ruling in rulings if is_suspicious(ruling)] if often_rises(readings) else []
        more = max((ruling.more for ruling in rulings), default=0)
        if not more and {ruling.counter for ruling in suspicious} == {REFS.name}:
            self._harmless.explain(readings.grown(REFS.name))
        return bool(suspicious), more


def _nothing() -> None:
    """A test without a body."""


class Harmless:
    """References that an extension forgets to give back to installed classes, which live as long as the process anyway.

    A closer look would take seconds to find so; here it is known from the counts before the runs and after them.
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


def often_rises(readings: Readings) -> bool:
    """Whether a counter rose in more than a third of the batches: a leak of 1 per 4 runs does in three quarters."""
    return 3 * readings.rises() >= readings.taken


def rulings_of(readings: Readings, batch: int, spent: str | None) -> dict[str, Ruling]:
    """What the readings of a screen say, by kind of leak."""
    return judge_kinds(record(readings, warmups=0, batch_runs=batch, spent=spent), SCREENING)
