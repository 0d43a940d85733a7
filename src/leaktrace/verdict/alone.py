"""What an inexact counter (RSS, USS) says when the exact ones say nothing: only growth far above its noise counts."""

from __future__ import annotations

from leaktrace.verdict import words
from leaktrace.verdict.curve import Curve
from leaktrace.verdict.exact import Finding, Hearing
from leaktrace.verdict.model import Verdict
from leaktrace.verdict.rules import Rules
from leaktrace.verdict.statistics import mann_kendall


def stands_alone(curve: Curve, rules: Rules, spent: str | None) -> Finding | None:
    """A finding if an inexact counter grows by itself far above its noise, else None."""
    noise = curve.counter.noise
    measured = curve.batches * curve.batch_runs
    if not measured or curve.after[-1] - curve.after[0] <= noise * measured:
        return None
    over = spent or ("runs" if curve.runs + curve.batch_runs > rules.max_runs else None)
    hearing = Hearing(curve=curve, rules=rules, over=over)
    enough = curve.batches >= rules.alone_batches
    if over is None and not (enough and curve.runs >= rules.alone_runs):
        left = max(1, (rules.alone_runs - curve.runs) // curve.batch_runs)
        return hearing.follow(min(left, max(1, curve.batches // 2)))
    name = words.subject(curve.counter)
    chance = mann_kendall(curve.after)
    if not enough:
        if chance >= rules.alpha * 5:
            return None
        return hearing.find(
            Verdict.UNDECIDED,
            f"{name} alone grew, by {words.size(curve.after[-1] - curve.after[0])} in {words.batches(curve.batches)}; "
            f"{rules.alone_batches} batches would tell growth from noise ({words.ended(over)})",
        )
    whole, late = curve.rate(), curve.rate(curve.batches // 2)
    if whole is None or late is None or chance >= rules.alpha or whole.low <= noise:
        return None
    if late.estimate <= max(noise, rules.halved_ratio * whole.estimate):
        return None
    return hearing.find(
        Verdict.LEAK,
        f"{name} alone grew, by {words.size(whole.estimate)} a run [{words.size(whole.low)}, {words.size(whole.high)}] "
        f"over {words.batches(curve.batches)} ({words.runs(measured)}), far above its noise of {words.size(noise)}; "
        "the exact counters saw nothing, so the memory is outside Python's and malloc's heaps",
    )


def within_noise(curve: Curve, rules: Rules, spent: str | None) -> Finding:
    """The finding for an inexact counter that says nothing, where no exact counter could be read."""
    hearing = Hearing(curve=curve, rules=rules, over=spent)
    name = words.subject(curve.counter)
    if spent is None and (not curve.batches or curve.runs < rules.alone_runs // 4):
        return hearing.follow()
    if not curve.batches:
        return hearing.find(Verdict.UNDECIDED, f"no batch could be run after the warm-ups ({words.ended(spent)})")
    return hearing.find(
        Verdict.STEADY,
        f"{name} did not rise above its noise of {words.size(curve.counter.noise)} a run in {words.runs(curve.runs)}",
    )
