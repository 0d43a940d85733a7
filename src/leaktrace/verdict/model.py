"""The nouns of judging: what was read over the runs, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from leaktrace.probes.model import Counter, Value


class Verdict(Enum):
    """What the runs of a suspect say of it."""

    LEAK = "LEAK"
    """Every run leaves more behind and nothing bounds it."""
    CACHE = "CACHE"
    """It grew over several runs and then stopped, or what holds it has a bound."""
    ONE_TIME = "ONE_TIME"
    """Only the first run, or one late step, grew: an import, a lazy initialisation."""
    STEADY = "STEADY"
    """No run left anything behind."""
    UNDECIDED = "UNDECIDED"
    """The runs that could be afforded do not tell; the reason says what would."""
    UNREPLAYABLE = "UNREPLAYABLE"
    """It could not be run again; the reason says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Growth a run of one counter, with an interval: `estimate [low, high]` in the counter's unit."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The readings of one counter over the runs of one suspect, settled before each.

    Attributes:
        counter: what was read.
        values: one reading before the first run, then one after each warm-up run, then one after each batch of
            `batch_runs` runs.
        rested: one more after the last run, when what ends by itself has had its time; None where nothing could.
    """

    counter: Counter
    values: tuple[Value, ...]
    rested: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that was measured of one suspect so far.

    Attributes:
        series: by counter name; all of one length: 1 + `warmups` + number of batches.
        warmups: how many of the first runs are warm-ups; a reading follows each.
        batch_runs: how many runs lie between two readings after the warm-ups.
        spent: why no further run can be had (“time”, “memory”, “runs”), or None while more are possible.
    """

    series: Mapping[str, Series]
    warmups: int
    batch_runs: int
    spent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a record says.

    Attributes:
        verdict: never UNREPLAYABLE here: that is for those who could not run.
        reason: one sentence for the user, with the numbers that decided.
        counter: name of the counter that decided, or None.
        rates: growth a run by counter name, over the batches after the warm-ups.
        more: how many further batches are wanted before this can be final; 0 when it is.
    """

    verdict: Verdict
    reason: str
    counter: str | None = None
    rates: Mapping[str, Rate] = field(default_factory=dict)
    more: int = 0
