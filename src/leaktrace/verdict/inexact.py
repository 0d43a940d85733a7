"""What an inexact counter (RSS, USS) says when the exact ones say nothing: only growth far above its noise counts."""

from __future__ import annotations

from leaktrace.verdict import words
from leaktrace.verdict.counter_case import CounterCase, CounterVerdict, batches_for
from leaktrace.verdict.model import Verdict
from leaktrace.verdict.rules import Rules
from leaktrace.verdict.series import Curve
from leaktrace.verdict.statistics import mann_kendall
from leaktrace.words import size


def stands_alone(curve: Curve, rules: Rules, spent: str | None, *, others_read: bool) -> CounterVerdict | None:
    """A finding if an inexact counter grows by itself far above its noise, else None.

    Args:
        curve: its readings.
        rules: the numbers to judge by.
        spent: why no further run can be had, or None.
        others_read: whether exact counters of the same kind were read, and saw nothing.
    """
    noise = curve.counter.noise
    grew = curve.grew
    measured = curve.batches * curve.batch_runs
    if grew <= noise * measured:
        return None
    over = spent or ("runs" if curve.runs + curve.batch_runs > rules.max_runs else None)
    hearing = CounterCase(curve=curve, rules=rules, over=over)
    enough = curve.batches >= rules.alone_batches
    followed = curve.runs >= rules.alone_runs or grew >= rules.sure_bytes_per_run * measured
    if over is None and not (enough and followed):
        left = max(1, batches_for(rules.alone_runs, curve) - curve.batches)
        return hearing.follow(min(left, max(1, curve.batches // 2)))
    if enough:
        return _convict(hearing, others_read=others_read)
    if mann_kendall(curve.after) >= rules.hint:
        return None
    return hearing.find(
        Verdict.UNDECIDED,
        f"grew by {words.amount(curve.counter, grew)} alone in {words.batches(curve.batches)}; "
        f"{rules.alone_batches} batches would tell growth from noise ({words.ended(over)})",
    )


def _convict(hearing: CounterCase, *, others_read: bool) -> CounterVerdict | None:
    """A leak, if the slope's whole interval is above the noise, rising beyond doubt, and undiminished at the end."""
    curve, rules, noise = hearing.curve, hearing.rules, hearing.curve.counter.noise
    whole, late = curve.rate(), curve.rate(curve.batches // 2)
    if whole is None or late is None or mann_kendall(curve.after) >= rules.alpha or whole.low <= noise:
        return None
    if late.estimate <= max(noise, rules.halved_ratio * whole.estimate):
        return None
    elsewhere = "; it alone grew, so that what grows lies outside the heaps of Python and malloc"
    return hearing.find(
        Verdict.LEAK,
        f"grew by {words.amount(curve.counter, whole.estimate)} a run [{size(whole.low)}, "
        f"{size(whole.high)}] over {words.runs(curve.batches * curve.batch_runs)}, "
        f"far above its noise of {size(noise)}{elsewhere if others_read else ''}",
    )


def within_noise(curve: Curve, rules: Rules, spent: str | None) -> CounterVerdict:
    """The finding for an inexact counter that says nothing, where no exact counter could be read."""
    hearing = CounterCase(curve=curve, rules=rules, over=spent)
    if spent is None and (not curve.batches or curve.runs < rules.alone_runs // 4):
        return hearing.follow()
    if not curve.batches:
        return hearing.find(Verdict.UNDECIDED, f"no batch could be run after the warm-ups ({words.ended(spent)})")
    return hearing.find(
        Verdict.STEADY,
        f"no growth of {words.name(curve.counter)} above its noise of {size(curve.counter.noise)} a run "
        f"in {words.runs(curve.runs)}",
    )
