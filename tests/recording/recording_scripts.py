"""A process whose counters are scripted: a meter to turn by hand, and a recorder that reads it."""

from __future__ import annotations

import gc
from contextlib import contextmanager

from leaktrace.probes.model import HEAP_BYTES, RSS_BYTES, Unread
from leaktrace.recording.recorder import Recorder


MB = 1_000_000


class Meter:
    """One counter; `value` is what the next reading gives, `broken` why there is none."""

    def __init__(self, counter, value=0):
        self.counter, self.value, self.broken, self.reads = counter, value, None, 0

    def read(self):
        self.reads += 1
        return self.value if self.broken is None else Unread(counter=self.counter.name, why=self.broken)


class Peak:
    """A high-water mark that is always at 99 MB."""

    highest = 99 * MB

    def reset(self):
        pass

    def read(self):
        return self.highest


class Run:
    """A run by hand: `grow` turns the meters, the context managers say who is at work."""

    def __init__(self, journal=None, *, limit_bytes=10 * MB, **more):
        self.rss, self.heap = Meter(RSS_BYTES, 40 * MB), Meter(HEAP_BYTES, 20 * MB)
        self.complaints = []
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
    def recording(self):
        return self.recorder.recording

    def grow(self, size, heap=None):
        self.rss.value += size
        self.heap.value += size if heap is None else heap

    def garbage(self, size):
        """A cycle that holds `size` bytes until the collector comes."""
        gc.collect()  # so that the collector does not come by itself in the next few lines
        garbage = Garbage(self, size)
        garbage.itself = garbage

    @contextmanager
    def test(self, nodeid="t.py::test", *, setup=0, call=0, teardown=0, outcome="passed", following=None, **end):
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

    def brief(self, nodeid="t.py::test", size=0, heap=None, *, following=None):
        """A test as a watch without a casebook sees it: its start, one outcome, its end."""
        self.recorder.start(nodeid)
        self.grow(size, heap)
        self.recorder.outcome("passed", "call")
        self.recorder.end(following)

    def whole(self, nodeid="t.py::test", **growth):
        with self.test(nodeid, **growth):
            pass

    def account(self, name="database", scope="session"):
        return self.recorder.account(name=name, scope=scope, where=f"conftest.py:{len(name)}")

    @contextmanager
    def setup(self, account, size=0):
        self.recorder.fixture_begin(account)
        self.grow(size)
        yield
        self.recorder.fixture_end(account)

    def lend(self, account, size):
        with self.setup(account, size):
            pass

    def close(self, account, freed, *, later=0):
        """Its finalizer frees `freed`; `later` bytes fall only after it, with its value."""
        self.recorder.closing_begin(account)
        self.grow(-freed)
        self.recorder.closing_end(account)
        self.grow(-later)

    def span(self, row=0):
        return self.recording.span(row)

    def phases(self, row=0):
        return tuple(self.span(row).phases[name]["rss_bytes"] for name in ("setup", "call", "teardown"))


class Garbage:
    def __init__(self, run, size):
        self.run, self.size = run, size
        run.grow(size)

    def __del__(self):
        self.run.grow(-self.size)


def rss(numbers):
    """The resident part of an account's numbers."""
    return numbers[0]
