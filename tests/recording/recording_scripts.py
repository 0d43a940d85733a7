"""A process whose counters are scripted: a meter to turn by hand, and a recorder that reads it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from builders import MB
from leaktrace.probes.memory import PeakProbe
from leaktrace.probes.model import HEAP_BYTES, RSS_BYTES, Counter, Unread, Value
from leaktrace.recording.journal import Journal
from leaktrace.recording.model import FixtureAccount, Recording
from leaktrace.recording.recorder import Recorder
from leaktrace.recording.spans import TestSpan


class Meter:
    """One counter; `value` is what the next reading gives, `broken` why there is none."""

    def __init__(self, counter: Counter, value: int = 0) -> None:
        self.counter, self.value, self.reads = counter, value, 0
        self.broken: str | None = None

    def read(self) -> Value:
        self.reads += 1
        return self.value if self.broken is None else Unread(counter=self.counter.name, why=self.broken)


class Peak(PeakProbe):
    """A high-water mark that is always at 99 MB."""

    def __init__(self) -> None:
        self.highest = 99 * MB

    def reset(self) -> None:
        pass

    def read(self) -> Value:
        return self.highest


class Run:
    """A run by hand: `grow` turns the meters, the context managers say who is at work."""

    def __init__(self, journal: Journal | None = None, *, limit_bytes: int = 10 * MB, **more: Any) -> None:
        self.rss, self.heap = Meter(RSS_BYTES, 40 * MB), Meter(HEAP_BYTES, 20 * MB)
        self.complaints: list[str] = []
        self.recorder = Recorder(
            probes=(self.rss, self.heap),
            peak=Peak(),
            journal=journal,
            worker="main",
            limit_bytes=limit_bytes,
            complain=self.complaints.append,
            **more,
        )

    @property
    def recording(self) -> Recording:
        return self.recorder.recording

    def grow(self, size: int, heap: int | None = None) -> None:
        self.rss.value += size
        self.heap.value += size if heap is None else heap

    def garbage(self, size: int) -> None:
        """A cycle that holds `size` bytes until the collector comes."""
        gc.collect()  # so that the collector does not come by itself in the next few lines
        garbage = Garbage(self, size)
        garbage.itself = garbage

    @contextmanager
    def test(
        self,
        nodeid: str = "t.py::test",
        *,
        setup: int = 0,
        call: int = 0,
        teardown: int = 0,
        outcome: str = "passed",
        following: str | None = None,
        **end: Any,
    ) -> Iterator[None]:
        """A test; the body of the `with` runs at the end of its setup phase, after `setup` was grown."""
        self.recorder.start(nodeid)
        self.grow(setup)
        yield
        self.recorder.phase("setup")
        self.recorder.outcome("passed", "setup")
        self.grow(call)
        self.recorder.phase("call", failed=outcome == "failed")
        self.recorder.outcome(outcome, "call")
        self.grow(teardown)
        self.recorder.phase("teardown")
        self.recorder.outcome("passed", "teardown")
        self.recorder.end(following, **end)

    def brief(
        self, nodeid: str = "t.py::test", size: int = 0, heap: int | None = None, *, following: str | None = None
    ) -> None:
        """A test as a watch without a casebook sees it: its start, one outcome, its end."""
        self.recorder.start(nodeid)
        self.grow(size, heap)
        self.recorder.outcome("passed", "call")
        self.recorder.end(following)

    def whole(self, nodeid: str = "t.py::test", **growth: Any) -> None:
        with self.test(nodeid, **growth):
            pass

    def account(self, name: str = "database", scope: str = "session") -> FixtureAccount:
        return self.recorder.account(name=name, scope=scope, where=f"conftest.py:{len(name)}")

    @contextmanager
    def setup(self, account: FixtureAccount, size: int = 0) -> Iterator[None]:
        self.recorder.fixture_begin(account)
        self.grow(size)
        yield
        self.recorder.fixture_end(account)

    def lend(self, account: FixtureAccount, size: int) -> None:
        with self.setup(account, size):
            pass

    def close(self, account: FixtureAccount, freed: int, *, later: int = 0) -> None:
        """Its finalizer frees `freed`; `later` bytes fall only after it, with its value."""
        self.recorder.closing_begin(account)
        self.grow(-freed)
        self.recorder.closing_end(account)
        self.grow(-later)

    def span(self, row: int = 0) -> TestSpan:
        return self.recording.span(row)

    def phases(self, row: int = 0) -> tuple[Value, ...]:
        return tuple(self.span(row).phases[name]["rss_bytes"] for name in ("setup", "call", "teardown"))


class Garbage:
    itself: Garbage

    def __init__(self, run: Run, size: int) -> None:
        self.run, self.size = run, size
        run.grow(size)

    def __del__(self) -> None:
        self.run.grow(-self.size)


def rss(numbers: Sequence[int]) -> int:
    """The resident part of an account's numbers."""
    return numbers[0]
