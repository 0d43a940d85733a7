"""One counter before the judge, and what is found of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from leaktrace.verdict import words
from leaktrace.verdict.model import Verdict
from leaktrace.verdict.rules import Rules
from leaktrace.verdict.series import Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterVerdict:
    """What one counter says.

    Attributes:
        curve: the counter's readings.
        verdict: UNDECIDED while `more` is not 0.
        reason: one sentence with the numbers.
        more: further batches wanted.
        start: the batch from which on the rate counts.
    """

    curve: Curve
    verdict: Verdict
    reason: str
    more: int = 0
    start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterCase:
    """One counter before the judge.

    Attributes:
        curve: its readings.
        rules: the numbers to judge by.
        over: why no further run can be had, or None.
    """

    curve: Curve
    rules: Rules
    over: str | None

    def find(self, verdict: Verdict, reason: str, *, start: int = 0) -> CounterVerdict:
        """A final finding."""
        return CounterVerdict(curve=self.curve, verdict=verdict, reason=reason, start=start)

    def follow(self, more: int | None = None) -> CounterVerdict:
        """Ask for further batches: `more`, or half as many again as there are, stopping where the judge decides."""
        curve, rules = self.curve, self.rules
        goal = batches_for(rules.follow_runs, curve)
        wanted = more if more is not None else max(1, curve.batches // 2)
        if more is None and curve.batches < goal:
            wanted = min(wanted, goal - curve.batches)
        left = max(1, (rules.max_runs - curve.runs) // curve.batch_runs)
        return CounterVerdict(
            curve=curve,
            verdict=Verdict.UNDECIDED,
            reason=f"{words.name(curve.counter)} still being followed after {words.runs(curve.runs)}",
            more=max(1, min(wanted, left)),
        )


def batches_for(runs: int, curve: Curve) -> int:
    """Batches after which at least `runs` runs have been made."""
    return ceil((runs - curve.warmups) / curve.batch_runs)
