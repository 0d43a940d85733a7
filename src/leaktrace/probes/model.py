"""The nouns of measuring: what is counted, one reading of it, and an honest "could not look"."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable


Unit = Literal["bytes", "count"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One measured quantity.

    Attributes:
        name: the stable key in journals and casebooks, with the unit in it where that is bytes.
        unit: `bytes` or `count`.
        kind: the kind of leak that growth of this counter is (`memory`, `fds`, `threads`, …).
        exact: whether the counter reads the same in a process at rest; an inexact one (RSS) convicts only far above
            its noise.
        noise: growth a run, in the unit, up to which an inexact counter says nothing.
    """

    name: str
    unit: Unit
    kind: str
    exact: bool = True
    noise: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A counter that could not be read, and why; never to be taken for 0."""

    counter: str
    why: str


Value: TypeAlias = int | Unread
Reading: TypeAlias = Mapping[str, Value]
"""The values of all counters at one instant, by counter name."""

RSS_BYTES = Counter(name="rss_bytes", unit="bytes", kind="memory", exact=False, noise=64 * 1024)
HEAP_BYTES = Counter(name="heap_bytes", unit="bytes", kind="memory")
BLOCKS = Counter(name="blocks", unit="count", kind="memory")
USS_BYTES = Counter(name="uss_bytes", unit="bytes", kind="memory", exact=False, noise=64 * 1024)
PEAK_RSS_BYTES = Counter(name="peak_rss_bytes", unit="bytes", kind="memory", exact=False, noise=64 * 1024)
OBJECTS = Counter(name="objects", unit="count", kind="objects")
REFS = Counter(name="refs", unit="count", kind="objects")
FDS = Counter(name="fds", unit="count", kind="fds")
THREADS = Counter(name="threads", unit="count", kind="threads")


@runtime_checkable
class Probe(Protocol):
    """One way to read one counter, cheap enough to be called at every boundary of a test."""

    @property
    def counter(self) -> Counter:
        """What is read."""

    def read(self) -> Value:
        """The value now, or `Unread(why)`; never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One named resource that a counter counts: a descriptor, a thread, a child process, a task.

    Attributes:
        kind: the kind of leak (`fds`, `sockets`, `threads`, `processes`, `tasks`, `files`, `gpu`, `state`).
        noun: what it is in the user's words (`socket`, `file`, `pipe`, `thread`, `child process`).
        name: which one (`127.0.0.1:41234 → 127.0.0.1:5432 (ESTABLISHED)`, `/etc/hosts`, `worker-3`).
        detail: what else is known of it now (what it is doing, its command line), or "".
        where: `file:line` where it was made, or None where that was not recorded.
        owner: the fixture in whose setup it was made, in words, or "".
        amount: how much of the counter it makes up: 1, or its bytes.
    """

    kind: str
    noun: str
    name: str
    detail: str = ""
    where: str | None = None
    owner: str = ""
    amount: int = 1


@runtime_checkable
class NamingProbe(Probe, Protocol):
    """A probe that can also say which things it counts; asked only when the count has changed."""

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All things counted now, by an identity that a new thing never shares with an old one."""

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Wait at most `grace_s` for things that are on their way out (threads ending, children exiting).

        `at_most` is the count before; reaching it ends the wait. Without it only a process at rest ends it early.
        """
