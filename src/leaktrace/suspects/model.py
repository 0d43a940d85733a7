"""The noun of suspicion: who grew, by how much, and why that is suspicious."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from leaktrace.probes.model import Thing, Value


Subject = Literal["test", "fixture", "group"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A test, fixture or group whose growth is still there after settling.

    Attributes:
        subject: what it is.
        name: node id of a test, name of a fixture, name of a group (a node id without its parameter, a class, a
            module).
        kind: the kind of leak, from the counter.
        counter: which counter passed the limit.
        grew_by: in the counter's unit.
        growth: all counters.
        why: one sentence.
        nodeids: the tests to run again for it, heaviest first.
        worker: which process saw it.
        imports: packages imported meanwhile; with them the growth is likely one-time.
        scope: a fixture's scope, "function" for all else.
        where: a fixture's `file:line`, or "".
        tests: how many tests it sums up.
        duration_s: the longest run of one of its tests.
        doubtful: whether a collection seems to have taken the growth back; such a suspect counts only once it is
            proved.
        things: what it left behind, by name; empty where memory grew.
        common: names of the fixtures that all of its tests use, where they are of many modules.
    """

    subject: Subject
    name: str
    kind: str
    counter: str
    grew_by: int
    why: str
    nodeids: tuple[str, ...]
    growth: Mapping[str, Value] = field(default_factory=dict)
    worker: str = "main"
    imports: tuple[str, ...] = ()
    scope: str = "function"
    where: str = ""
    tests: int = 1
    duration_s: float = 0.0
    doubtful: bool = False
    things: tuple[Thing, ...] = ()
    common: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from others: subject, name, place, kind of leak."""
        return (self.subject, self.name, self.where, self.kind)

    @property
    def unaccused(self) -> bool:
        """Whether it is a fixture that a hunt alone has looked at, as it looks at each wider one."""
        return self.subject == "fixture" and not self.grew_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Growth that is shown but accuses nobody: garbage not collected, a failed test's, a peak.

    Attributes:
        slug: `garbage`, `failed`, `unclosed`.
    """

    slug: str
    nodeid: str
    size_bytes: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is suspicious.

    Attributes:
        test_bytes: growth of one test, or sum of a group or a fixture, above which it is a suspect.
        group_bytes: the same for a group; lower under xdist, where a worker sees a part of each group.
        own_bytes: limits of single tests, by node id, set by markers.
        left_out: tests that a marker leaves out.
        replayed: how many tests of a group are run again for it.
        ignore: patterns of things that are nobody's leak.
        allow: by kind, how much of it a test or fixture may leave.
        own_ignore: the patterns for single tests, by node id, set by markers.
        own_allow: the allowances for single tests.
        confirming: whether suspects are replayed, so that what went only with a session's fixture is worth a look.
    """

    test_bytes: int
    group_bytes: int | None = None
    own_bytes: Mapping[str, int] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    replayed: int = 8
    ignore: tuple[str, ...] = ()
    allow: tuple[tuple[str, int], ...] = ()
    own_ignore: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own_allow: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    confirming: bool = False

    def blamed(self, things: Sequence[Thing], nodeid: str | None = None) -> dict[str, tuple[Thing, ...]]:
        """Those that somebody is to blame for, by kind: no pattern leaves them out, and they are more than is allowed.

        With `nodeid`, that test's marker counts.
        """
        kinds: dict[str, tuple[Thing, ...]] = {}
        for thing in things:
            if not self.ignores((thing,), nodeid):
                kinds[thing.kind] = (*kinds.get(thing.kind, ()), thing)
        return {kind: found for kind, found in kinds.items() if amount_of(found) > self.allowed(kind, nodeid)}

    def ignores(self, things: Iterable[Thing], nodeid: str | None = None) -> bool:
        """Whether patterns match all of these."""
        patterns = self.own_ignore.get(nodeid, self.ignore) if nodeid else self.ignore
        return bool(patterns) and all(_matches(thing, patterns) for thing in things)

    def allowed(self, kind: str, nodeid: str | None = None) -> int:
        """How much of a kind may be left behind."""
        return dict(self.own_allow.get(nodeid, self.allow) if nodeid else self.allow).get(kind, 0)


def _matches(thing: Thing, patterns: Iterable[str]) -> bool:
    """Whether a pattern matches a thing's name, what it is called, or what is known of it."""
    text = f"{thing.noun} {thing.name} {thing.detail}"
    return any(re.search(pattern, text) or re.search(pattern, thing.name) for pattern in patterns)


def amount_of(things: Iterable[Thing]) -> int:
    """How much of their kind some things are."""
    return sum(thing.amount for thing in things)
