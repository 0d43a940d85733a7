"""The nouns of a report: a case for each suspect, a casebook for the run."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from leaktrace.explain.model import Exhibit
from leaktrace.probes.model import Thing, Value
from leaktrace.recording.model import Growth
from leaktrace.recording.spans import TestSpan
from leaktrace.suspects.model import Note, Suspect
from leaktrace.verdict.model import Rate, Verdict


Status = Literal["new", "accepted", "known", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A leak of a third party or of the interpreter that the table of known leaks describes.

    Attributes:
        id: the row's stable name.
        package: the distribution at fault, or `python`.
        version: the one that is installed.
        blame: who does what, in one sentence.
        remedy: what the user can do.
    """

    id: str
    package: str
    version: str
    blame: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that is known of one suspect.

    Attributes:
        suspect: who is accused, of which kind of leak, and why.
        verdict, reason: what the runs say.
        counter: which counter decided, or None.
        per_run: growth a run, by counter.
        runs, warmups: how many runs there were, and how many of them came first and do not count.
        readings: by counter: before the first run, after each warm-up, after each batch.
        batch_runs: runs between two readings after the warm-ups.
        exhibit: what keeps it alive.
        things: what it leaves behind, newest first: from its replay, else from the watched run.
        fixture: the guilty fixture's name, or None.
        known: whose leak it is, where the table of known leaks has it; its status is then `known`.
        reproduce: a command that shows the same.
        after: tests that its replay ran first, because alone it did not show what the suite did.
        cause: which of several causes of its suspect's growth it is of, from 0.
        beside: the cases of the others, until they stand in the casebook for themselves.
    """

    suspect: Suspect
    verdict: Verdict
    reason: str
    counter: str | None = None
    per_run: Mapping[str, Rate] = field(default_factory=dict)
    runs: int = 0
    warmups: int = 0
    batch_runs: int = 1
    readings: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    exhibit: Exhibit = field(default_factory=Exhibit)
    things: tuple[Thing, ...] = ()
    fixture: str | None = None
    status: Status = "new"
    known: Known | None = None
    reproduce: str = ""
    after: tuple[str, ...] = ()
    cause: int = 0
    beside: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process that ran tests."""

    worker: str
    pid: int
    first: Growth
    last: Growth
    peak_rss_bytes: Value
    accounts: Mapping[str, Growth]
    slope_bytes_per_test: float | None = None
    complete: bool = True
    running: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """One fixture definition's loan and what it kept."""

    name: str
    scope: str
    where: str
    setups: int
    loan: Growth
    kept: Growth
    worker: str = "main"
    things: tuple[Thing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The sum over a function's variants, a class or a module."""

    kind: str
    name: str
    tests: int
    growth: Growth
    per_test: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Casebook:
    """All that is known of a run."""

    mode: str
    limit_bytes: int
    python: str
    platform: str
    tool: Mapping[str, str]
    started_at: str
    duration_s: float
    overhead_s: float
    processes: tuple[Process, ...] = ()
    tests: tuple[TestSpan, ...] = ()
    fixtures: tuple[Fixture, ...] = ()
    groups: tuple[Group, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    cases: tuple[Case, ...] = ()
    notes: tuple[Note, ...] = ()
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    runs: int = 0

    def verdicts(self) -> dict[str, int]:
        """How many cases have each verdict; known leaks of others are counted apart, as `KNOWN`."""
        return dict(Tally("KNOWN" if case.status == "known" else case.verdict.value for case in self.cases))
