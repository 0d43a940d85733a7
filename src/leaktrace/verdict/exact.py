"""What one exact counter says: an ordered list of questions, of which the first that has an answer answers."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TypeAlias

from leaktrace.verdict import words
from leaktrace.verdict.counter_case import CounterCase, CounterVerdict
from leaktrace.verdict.model import Verdict
from leaktrace.verdict.rules import MEMORY_KINDS, Rules
from leaktrace.verdict.series import Curve
from leaktrace.verdict.trends import amortised, climbs, climbs_through_noise, emptied, fades, is_level


Question: TypeAlias = "Callable[[CounterCase], CounterVerdict | None]"


def examine(curve: Curve, rules: Rules, spent: str | None) -> CounterVerdict:
    """What an exact counter says."""
    over = spent or ("runs" if curve.runs + curve.batch_runs > rules.max_runs else None)
    hearing = CounterCase(curve=curve, rules=rules, over=over)
    questions: tuple[Question, ...] = (
        too_early,
        never_grew,
        too_big_to_follow,
        one_more_each_run,
        stopped,
        fell_once,
        swings,
        keeps_growing,
        faded,
    )
    for question in questions:
        if (finding := question(hearing)) is not None:
            return finding
    return hearing.follow() if over is None else undecided(hearing)


def too_early(hearing: CounterCase) -> CounterVerdict | None:
    """Nothing is said before the first batch."""
    if hearing.curve.batches:
        return None
    if hearing.over is None:
        return hearing.follow(1)
    return hearing.find(
        Verdict.UNDECIDED,
        f"only {words.runs(hearing.curve.runs)} could be made before {words.ended(hearing.over)}; "
        f"{hearing.rules.min_batches} batches after the warm-ups would tell",
    )


def never_grew(hearing: CounterCase) -> CounterVerdict | None:
    """No batch grew: done as soon as enough runs in a row were quiet."""
    curve, rules = hearing.curve, hearing.rules
    if curve.grown:
        return None
    lacking = ceil((rules.quiet_runs - curve.quiet_runs) / curve.batch_runs)
    if any(curve.steps):  # It falls, so a fall may hide growth: look a little longer.
        lacking = max(lacking, rules.min_batches + 1 - curve.batches)
    if lacking > 0 and hearing.over is None:
        return hearing.follow(lacking)
    return outset(hearing)


def outset(hearing: CounterCase) -> CounterVerdict:
    """The finding for a counter that grew in the warm-ups at most."""
    curve = hearing.curve
    grew = curve.after[0] - curve.values[0]
    quiet = f"the {words.runs(curve.quiet_runs)} after" if curve.quiet_runs != 1 else "the run after"
    if grew > hearing.rules.trifle(curve.counter):
        first = max(1, curve.runs - curve.quiet_runs)
        span = "first run" if first == 1 else f"first {words.runs(first)}"
        return hearing.find(
            Verdict.ONE_TIME,
            f"grew by {words.amount(curve.counter, grew)} in the {span} and not in {quiet}",
        )
    fell = curve.after[0] - curve.after[-1]
    if fell > 0:
        reason = f"fell by {words.amount(curve.counter, fell)} over {words.runs(curve.batches * curve.batch_runs)}"
    else:
        reason = f"no growth of {words.name(curve.counter)} in the last {words.runs(curve.quiet_runs)}"
    return hearing.find(Verdict.STEADY, reason)


def too_big_to_follow(hearing: CounterCase) -> CounterVerdict | None:
    """Growth so large and so even that following it a hundred times is neither affordable nor needed."""
    curve, rules = hearing.curve, hearing.rules
    last = curve.steps[-rules.sure_batches :]
    if curve.counter.unit != "bytes" or len(last) < rules.sure_batches:
        return None
    mean = sum(last) / len(last)
    if min(last) < rules.sure_bytes_per_run * curve.batch_runs:
        return None
    if max(last) - mean > rules.sure_spread * mean or mean - min(last) > rules.sure_spread * mean:
        return None
    rate = words.amount(curve.counter, mean / curve.batch_runs)
    return hearing.find(
        Verdict.LEAK,
        f"grew by {rate} a run, evenly, in each of the last {len(last)} batches; "
        f"growth that large was not followed further than {words.runs(curve.runs)}",
        start=curve.batches - len(last),
    )


def one_more_each_run(hearing: CounterCase) -> CounterVerdict | None:
    """Descriptors, threads, processes: each run leaves at least one, in batch after batch."""
    curve, rules = hearing.curve, hearing.rules
    last = curve.steps[-rules.resource_batches :]
    if curve.counter.kind in MEMORY_KINDS or curve.counter.unit != "count":
        return None
    if len(last) < rules.resource_batches or curve.runs < rules.resource_runs:
        return None
    if min(last) < curve.batch_runs or last[-1] < last[0]:
        return None
    start = curve.batches - len(last)
    each = words.amount(curve.counter, sum(last) / len(last) / curve.batch_runs)
    return hearing.find(
        Verdict.LEAK,
        f"grew by {each} a run in each of the last {words.batches(len(last))}, {words.runs(curve.runs)} in all",
        start=start,
    )


def stopped(hearing: CounterCase) -> CounterVerdict | None:
    """It grew, and has been quiet for far longer than it ever paused."""
    curve = hearing.curve
    if curve.tail < quiet_batches_wanted(hearing):
        return None
    grew = words.amount(curve.counter, curve.after[curve.grown[-1] + 1] - curve.after[curve.grown[0]])
    quiet = words.runs(curve.tail * curve.batch_runs)
    if len(curve.grown) == 1:
        at = curve.warmups + (curve.grown[0] + 1) * curve.batch_runs
        return hearing.find(
            Verdict.ONE_TIME,
            f"grew once, by {grew} up to run {at}, and not in the {quiet} since",
        )
    last = curve.warmups + (curve.grown[-1] + 1) * curve.batch_runs
    rate = (curve.after[curve.grown[-1] + 1] - curve.values[min(1, curve.warmups)]) / max(1, last - 1)
    return hearing.find(
        Verdict.CACHE,
        f"grew by {words.amount(curve.counter, rate)} a run for {words.runs(last)}, "
        f"then stopped: nothing in the {quiet} since",
    )


def quiet_batches_wanted(hearing: CounterCase) -> int:
    """Batches without growth after which growth has stopped rather than paused."""
    curve, rules = hearing.curve, hearing.rules
    quiet_batches = rules.min_batches
    if hearing.over is None:
        quiet_batches = max(quiet_batches, ceil(rules.late_quiet_runs / curve.batch_runs))
    # A pause of whole batches began in the batch before and ended in the batch after: it was up to two longer.
    return max(quiet_batches, rules.pause_factor * curve.longest_pause + 2)


def fell_once(hearing: CounterCase) -> CounterVerdict | None:
    """It grew in every batch but one, in which it fell: while screening, that is not enough to call it a swing.

    What falls may have been a message of the runner's on its way, far larger than what a small leak adds in all the
    batches that a screen can afford.
    """
    curve, rules = hearing.curve, hearing.rules
    falls = sum(step < 0 for step in curve.steps)
    if not rules.screening or curve.counter.unit != "count" or falls != 1 or len(curve.grown) < curve.batches - 1:
        return None
    over = hearing.over is not None or curve.runs >= rules.follow_runs
    return undecided(hearing) if over else hearing.follow()


def swings(hearing: CounterCase) -> CounterVerdict | None:
    """It rises and falls, and comes back to where it was."""
    curve, rules = hearing.curve, hearing.rules
    if curve.never_falls:
        return None
    enough = max(rules.level_batches, ceil(rules.level_runs / curve.batch_runs))
    if curve.batches < enough:
        if hearing.over is not None and curve.after[-1] <= curve.after[0]:
            return level(hearing)
        return None
    if is_level(curve.after, rules) and not climbs_through_noise(curve.after, rules):
        return level(hearing)
    late = curve.after[curve.batches // 2 :]
    grew, swing = late[0] - curve.after[0], max(late) - min(late)
    if len(late) > 2 * enough and grew > 2 * swing and is_level(late, rules):
        upto = curve.runs - (len(late) - 1) * curve.batch_runs
        return hearing.find(
            Verdict.CACHE,
            f"grew by {words.amount(curve.counter, grew)} in {words.runs(upto)}, "
            f"then only swung by {words.bare(curve.counter, swing)} in the {words.runs(curve.runs - upto)} since",
        )
    return None


def level(hearing: CounterCase) -> CounterVerdict:
    """The finding for a counter that swings: a cache if it fills slowly and is emptied at once."""
    curve = hearing.curve
    swing = max(curve.after) - min(curve.after)
    falls = sum(step < 0 for step in curve.steps)
    about = f"over {words.runs(curve.runs)} {words.name(curve.counter)} swung by {words.bare(curve.counter, swing)}"
    fills = len(curve.grown) >= 2 * falls and emptied(curve.after)
    if fills and swing > hearing.rules.trifle(curve.counter):
        return hearing.find(Verdict.CACHE, f"{about}: it fills and is emptied again, without a trend")
    return hearing.find(Verdict.STEADY, f"{about}, without a trend")


def keeps_growing(hearing: CounterCase) -> CounterVerdict | None:
    """Every window grew, no slower at the end than at the start, for as long as it could be followed."""
    curve, rules = hearing.curve, hearing.rules
    if curve.never_falls and curve.tail > curve.longest_pause and hearing.over is None:
        return hearing.follow(min(quiet_batches_wanted(hearing) - curve.tail, max(2, curve.batches // 2)))
    if hearing.over is None and curve.runs < rules.follow_runs:
        return None
    if curve.runs < rules.least_runs and not is_large(hearing):
        return None
    for start in (0, curve.batches // 4, curve.batches // 2):
        # A stretch whose beginning is left out, because it grew faster there, must be a long one.
        kept = curve.batches - start
        long_enough = kept >= rules.busy_batches if hearing.over else kept * curve.batch_runs >= rules.steady_runs
        if (not start or long_enough) and (how := grows_from(hearing, start)):
            return hearing.find(Verdict.LEAK, growth(hearing, start, how), start=start)
    return None


def is_large(hearing: CounterCase) -> bool:
    """Growth that no cache of the usual kind makes for long: it needs fewer runs to be believed."""
    curve, rules = hearing.curve, hearing.rules
    if curve.counter.unit != "bytes" or curve.batches < rules.min_batches:
        return False
    return min(curve.steps) >= rules.large_bytes_per_run * curve.batch_runs


def grows_from(hearing: CounterCase, start: int) -> str | None:
    """How growth goes on from batch `start`, or None if it stops, pauses for longer than before, or fades."""
    curve, rules = hearing.curve, hearing.rules
    values = curve.after[start:]
    # A tooth of a saw climbs as evenly as a leak, but not above the tooth before.
    sunk = min(values) < max(curve.after[: start + 1])
    if len(values) <= rules.min_batches or (start and sunk):
        return None
    # Followed in part only, or left out its beginning: then a slower end is enough to doubt it.
    strict = start > 0 or curve.runs < rules.follow_runs
    if not curve.never_falls:
        undiminished = climbs_through_noise(values, rules) and not fades(curve, start, rules, strict=strict)
        return "a trend that its swings do not explain" if undiminished else None
    if curve.tail > curve.longest_pause:
        return None
    grown = sum(number >= start for number in curve.grown)
    busy = grown == len(values) - 1 or grown >= rules.busy_batches
    if busy and climbs(values, rules.windows) and not fades(curve, start, rules, strict=strict):
        return "without fading"
    if not start and 2 * grown < curve.batches and amortised(values, rules):
        return "in ever rarer and larger steps that keep to a line"
    return None


def growth(hearing: CounterCase, start: int, how: str) -> str:
    """The sentence of a leak: how much, in how many batches, over how many runs."""
    curve = hearing.curve
    rate = curve.rate(start)
    batches = curve.batches - start
    grown = sum(number >= start for number in curve.grown)
    share = (
        f"in each of the last {batches} batches" if grown == batches else f"in {grown} of the last {batches} batches"
    )
    each = words.amount(curve.counter, rate.estimate if rate else 0)
    text = f"grew by {each} a run {share} ({words.runs(batches * curve.batch_runs)}), {how}"
    if curve.runs < hearing.rules.follow_runs:
        text += f"; it could not be followed beyond {words.runs(curve.runs)}: {words.ended(hearing.over)}"
    return text


def faded(hearing: CounterCase) -> CounterVerdict | None:
    """It still grows, but at a small and falling part of the rate that it began with."""
    curve, rules = hearing.curve, hearing.rules
    if curve.batches < rules.level_batches or (hearing.over is None and curve.runs < rules.follow_runs):
        return None
    eighth, quarter = max(1, curve.batches // 8), curve.batches // 4
    early = (curve.after[eighth] - curve.after[0]) / eighth
    late_values = curve.after[-quarter - 1 :]
    late = (late_values[-1] - late_values[0]) / quarter
    if late >= rules.faded_to * early or not fades(curve, curve.batches - quarter, rules):
        return None
    began, ends = (
        say(curve.counter, step / curve.batch_runs) for say, step in ((words.amount, early), (words.bare, late))
    )
    return hearing.find(
        Verdict.CACHE,
        f"grew by {began} a run at first and by {ends} a run at the end of {words.runs(curve.runs)}, still falling",
    )


def undecided(hearing: CounterCase) -> CounterVerdict:
    """No more runs, and no answer: say what was seen and what would tell."""
    curve, rules = hearing.curve, hearing.rules
    grew = words.amount(curve.counter, curve.after[-1] - curve.after[0])
    measured = words.runs(curve.batches * curve.batch_runs)
    seen = f"grew by {grew} in {len(curve.grown)} of {words.batches(curve.batches)} ({measured})"
    if curve.batches < rules.min_batches:
        tell = f"{rules.min_batches} batches would tell"
    elif curve.never_falls and curve.tail > curve.longest_pause:
        tell = f"{quiet_batches_wanted(hearing)} batches in a row without growth would tell, it had {curve.tail}"
    elif curve.runs >= rules.follow_runs:
        tell = "neither steadily nor fading out; only what holds it can tell whether that ends"
    elif fades(curve, 0, rules, strict=True):
        tell = f"ever more slowly; {rules.follow_runs} runs would tell whether that ends"
    elif curve.runs < rules.least_runs and len(curve.grown) == curve.batches:
        tell = f"evenly, but {rules.least_runs} runs would tell it from a cache that fills"
    else:
        tell = f"too unevenly; {rules.follow_runs} runs would tell"
    return hearing.find(Verdict.UNDECIDED, f"{seen}; {tell} ({words.ended(hearing.over)})")
