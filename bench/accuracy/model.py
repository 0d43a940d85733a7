"""The nouns of the comparison: a case, a detector's call on a test, and how a detector is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Verity:
    """What is true of one test of a case.

    Attributes:
        leak: whether it leaks; None where the sources themselves say that something smaller still leaks.
        kinds: kinds of leak that a right verdict may give.
        names: right names of the holder, each a tuple of words that stand in it in this order; empty where nothing in
            Python holds the leak, None where nobody knows.
        line: `file:line` that adds, or None where unknown.
        rates: growth a run, measured apart, of the counters that show the leak best.
    """

    leak: bool | None
    kinds: frozenset[str] = frozenset()
    names: tuple[tuple[str, ...], ...] | None = None
    line: str | None = None
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test file to be judged in one process.

    Attributes:
        group: `specimens`, `corpus`, `controls`.
        ident: unique in its group.
        python: the CPython it needs (`3.11`), exact where it matters (`3.12.1`).
        folder: what is put on PYTHONPATH (an installed version of a package), or None.
        truth: by node id (file name, `::`, the rest); the tests that there are.
    """

    group: str
    ident: str
    python: str
    file: Path
    truth: Mapping[str, Verity]
    folder: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a detector says of one test.

    Attributes:
        leak: whether it would tell its user that the test leaks; None where it gave no answer.
        verdict: in its own words.
        name: what it names as the holder, or None.
        kinds: kinds of leak that it tells apart.
        lines: `file:line` places that it points at.
        per_run: its estimate of the growth a run, by counter.
    """

    leak: bool | None
    verdict: str = ""
    name: str | None = None
    kinds: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    per_run: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A detector's calls on one case, and what they took.

    Attributes:
        load: the machine's load average when the case ended; None where it was not recorded. Wall times taken under
            different loads do not compare.
    """

    calls: Mapping[str, Call]
    seconds: float
    note: str = ""
    load: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How one detector is to be run on one case.

    Attributes:
        python: interpreter of the detector's environment.
        env: environment variables, PYTHONPATH included.
        scratch: an empty folder of its own, where it may write.
        arguments: further arguments for pytest.
        timeout_s: after which the case counts as not judged.
    """

    python: Path
    env: Mapping[str, str]
    scratch: Path
    arguments: tuple[str, ...] = ()
    timeout_s: float = 900.0


class Detector(Protocol):
    """One way to find leaking tests."""

    name: str
    """As the tables say it."""
    requirements: tuple[str, ...]
    """What is installed beside pytest and psutil."""

    def interpreter(self, python: str) -> str | None:
        """The interpreter it needs for a case made for that CPython: the same text, a program, or None: none is had."""

    def judge(self, case: Case, ask: Ask) -> Mapping[str, Call]:
        """Its call on each test of the case; tests it says nothing of may be left out."""
