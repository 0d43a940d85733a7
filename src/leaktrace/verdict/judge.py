"""The verdict on a suspect from its readings: pure, and called again after each batch until nothing more is wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Final

from leaktrace.probes.model import REFS, Unread
from leaktrace.verdict import words
from leaktrace.verdict.counter_case import CounterVerdict
from leaktrace.verdict.exact import examine
from leaktrace.verdict.inexact import stands_alone, within_noise
from leaktrace.verdict.model import Rate, Record, Ruling, Series, Verdict
from leaktrace.verdict.rules import MEMORY_KINDS, Rules
from leaktrace.verdict.series import Curve


PLAIN_WORDS_FIRST: Final = ("heap_bytes", "blocks", "objects", "refs")
"""Of several counters that show the same leak, the first of these is named."""

WEIGHT: Final = {
    Verdict.STEADY: 0,
    Verdict.ONE_TIME: 1,
    Verdict.CACHE: 2,
    Verdict.UNDECIDED: 3,
    Verdict.LEAK: 4,
}

BYTES_PER_REFERENCE: Final = 16
"""The smallest object, which has a reference to its class, takes so much."""
REFERENCES_PER_BLOCK: Final = 4

MOST_LEFT: Final = 4
"""Of growth that goes by itself, such a part may stay: what a server learns, what an allocator keeps."""

LATE: Final = 8
"""So many of the last batches tell whether growth goes on."""

SETTLED: Final = frozenset({Verdict.STEADY, Verdict.ONE_TIME, Verdict.CACHE})
"""Verdicts of the exact counters after which an inexact one is asked whether it grew by itself."""


def judge(record: Record, rules: Rules | None = None) -> Ruling:
    """What a record says so far, of all its counters together.

    Call it after the warm-ups and after each batch, and run `more` further batches before calling it again; `more` is
    0 once the ruling is final, and always when `record.spent` says why no run can follow. A leak of any kind decides;
    to judge descriptors, threads and memory each for itself, use `judge_kinds`.
    """
    rulings = judge_kinds(record, rules)
    if not rulings:
        return Ruling(verdict=Verdict.UNDECIDED, reason="no counter was read")
    leaks = [ruling for ruling in rulings.values() if ruling.verdict is Verdict.LEAK]
    chosen = leaks[0] if leaks else max(rulings.values(), key=lambda ruling: (ruling.more, WEIGHT[ruling.verdict]))
    return replace(chosen, rates={name: rate for ruling in rulings.values() for name, rate in ruling.rates.items()})


def judge_kinds(record: Record, rules: Rules | None = None) -> dict[str, Ruling]:
    """One ruling for each kind of leak (`memory`, `fds`, `threads`, …), resources first, each with its own `more`.

    Memory and objects are one kind: the same leak shows in bytes, blocks, objects and references.
    """
    groups: dict[str, list[Series]] = {}
    for series in record.series.values():
        groups.setdefault(group_of(series.counter.kind), []).append(series)
    # A descriptor that is kept keeps memory too: the resource is the cause and comes first.
    order = sorted(groups, key=lambda kind: kind == "memory")
    return {kind: _judge_group(groups[kind], record, rules or Rules()) for kind in order}


def group_of(kind: str) -> str:
    """The kind of leak that is judged for one: objects keep memory, sockets are descriptors."""
    if kind in MEMORY_KINDS:
        return "memory"
    return "fds" if kind == "sockets" else kind


def _judge_group(group: Iterable[Series], record: Record, rules: Rules) -> Ruling:
    """The ruling on the counters of one kind."""
    exact: list[Curve] = []
    inexact: list[Curve] = []
    unread: list[Unread] = []
    for series in sorted(group, key=_preference):
        numbers = tuple(value for value in series.values if not isinstance(value, Unread))
        if len(numbers) < len(series.values):
            unread.append(next(value for value in series.values if isinstance(value, Unread)))
            continue
        curve = Curve(counter=series.counter, values=numbers, warmups=record.warmups, batch_runs=record.batch_runs)
        (exact if series.counter.exact else inexact).append(curve)

    findings = [_unless_gone(examine(curve, rules, record.spent), record) for curve in exact]
    if not rules.screening:
        findings = _unless_mirrored(findings)
    # Blocks and references say how many there are, not how large: where no bytes are counted, those of RSS may convict.
    unweighed = not any(curve.counter.unit == "bytes" for curve in exact)
    settled = all(finding.verdict in SETTLED for finding in findings)
    if unweighed or settled:
        alone = (
            stands_alone(curve, rules, record.spent, others_read=bool(exact) and settled)
            for curve in inexact
            if not _explained(curve, findings)
        )
        findings += [finding for finding in alone if finding is not None]
    else:
        findings = [*_beyond_malloc(inexact, findings, rules, record.spent), *findings]
    if not findings and inexact:
        findings = [within_noise(inexact[0], rules, record.spent)]
    return _weigh(findings, unread)


def _beyond_malloc(
    inexact: list[Curve], findings: list[CounterVerdict], rules: Rules, spent: str | None
) -> list[CounterVerdict]:
    """What an inexact counter convicts whatever the exact ones say: most of it is in no heap that they count."""
    counted = max((each.curve.grew for each in findings if each.curve.counter.unit == "bytes"), default=0)
    curves = [curve for curve in inexact if curve.grew > MOST_LEFT * max(counted, 0)]
    alone = [stands_alone(curve, rules, spent, others_read=True) for curve in curves]
    return [finding for finding in alone if finding is not None and finding.verdict is Verdict.LEAK]


def _unless_gone(finding: CounterVerdict, record: Record) -> CounterVerdict:
    """The finding, or that of a cache where what grew went by itself once the runs had stopped."""
    curve, rested = finding.curve, record.series[finding.curve.counter.name].rested
    if rested is None or finding.verdict not in (Verdict.LEAK, Verdict.UNDECIDED) or curve.grew <= 0:
        return finding
    left = rested - curve.after[0]
    if left * MOST_LEFT > curve.grew:
        return finding
    grew, gone = (words.amount(curve.counter, amount) for amount in (curve.grew, curve.after[-1] - rested))
    reason = f"grew by {grew} in {words.runs(curve.runs)}, of which {gone} went by itself when the runs had stopped"
    return replace(finding, verdict=Verdict.CACHE, reason=reason, more=0)


def _unless_mirrored(findings: list[CounterVerdict]) -> list[CounterVerdict]:
    """The findings without that of references where a cache grows with them: what it holds has taken them."""
    references = next((each for each in findings if each.curve.counter.name == REFS.name), None)
    caches = [each.curve for each in findings if each.verdict is Verdict.CACHE and each is not references]
    if references is None or not any(_took(cache, references.curve) for cache in caches):
        return findings
    return [each for each in findings if each is not references]


def _took(cache: Curve, references: Curve) -> bool:
    """Whether in most batches in which references rose, a cache rose by enough to have taken them."""
    worth = BYTES_PER_REFERENCE if cache.counter.unit == "bytes" else 1 / REFERENCES_PER_BLOCK
    rises = [(mine, taken) for mine, taken in zip(cache.steps, references.steps, strict=False) if taken > 0]
    return 2 * sum(mine >= worth * taken for mine, taken in rises) >= len(rises) > 0


def _explained(inexact: Curve, findings: list[CounterVerdict]) -> bool:
    """Whether a cache that an exact counter saw is large enough to be what an inexact one saw."""
    caches = [finding.curve for finding in findings if finding.verdict is Verdict.CACHE]
    if not any(finding.curve.counter.unit == "bytes" for finding in findings):
        return bool(caches)  # of a cache's blocks no one can say how large they are
    return any(curve.counter.unit == "bytes" and 2 * curve.grew >= inexact.grew for curve in caches)


def _weigh(findings: list[CounterVerdict], unread: list[Unread]) -> Ruling:
    """The ruling that follows from what the counters say; what could not be read is told where nothing convicts."""
    blind = "; ".join(f"{value.counter} could not be read: {value.why}" for value in unread)
    if not findings:
        return Ruling(verdict=Verdict.UNDECIDED, reason=blind or "no counter was read")
    chosen = _heaviest(findings)
    reason = chosen.reason
    if blind and chosen.verdict in {Verdict.STEADY, Verdict.ONE_TIME, Verdict.UNDECIDED}:
        reason = f"{reason}; {blind}"
    rates: dict[str, Rate] = {}
    for finding in findings:
        if not chosen.more and (rate := finding.curve.rate(finding.start)) is not None:
            rates[finding.curve.counter.name] = rate
    return Ruling(
        verdict=chosen.verdict,
        reason=reason,
        counter=chosen.curve.counter.name,
        rates=rates,
        more=chosen.more,
    )


def _heaviest(findings: list[CounterVerdict]) -> CounterVerdict:
    """The finding that decides: a leak, else what still asks for most runs, else the least clean verdict."""
    leaks = [finding for finding in findings if finding.verdict is Verdict.LEAK]
    if leaks:
        return leaks[0]
    return max(findings, key=lambda finding: (finding.more, WEIGHT[finding.verdict]))


def _preference(series: Series) -> tuple[int, str]:
    name = series.counter.name
    return (PLAIN_WORDS_FIRST.index(name) if name in PLAIN_WORDS_FIRST else len(PLAIN_WORDS_FIRST), name)


def still_grows(record: Record, ruling: Ruling) -> bool:
    """Whether what is called a cache rose in most of the last batches: something else may grow behind it."""
    series = record.series.get(ruling.counter or "")
    if ruling.verdict is not Verdict.CACHE or series is None:
        return False
    late = [value for value in series.values[-1 - LATE :] if not isinstance(value, Unread)]
    rises = sum(later > earlier for earlier, later in pairwise(late))
    return 2 * rises > LATE


def grows_evenly(record: Record, rules: Rules | None = None) -> bool:
    """Whether an exact count of memory rose in each of enough batches, so that what holds it can be asked for."""
    enough = (rules or Rules()).apart_batches
    rises: dict[bool, list[int]] = {True: [0], False: [0]}
    evenly = False
    for series in record.series.values():
        if group_of(series.counter.kind) != "memory" or series.counter.unit != "bytes":
            continue
        values = series.values[record.warmups :]
        read = [value for value in values if not isinstance(value, Unread)]
        if len(read) == len(values) > enough:
            rises[series.counter.exact].append(read[-1] - read[0])
            evenly |= series.counter.exact and all(later > earlier for earlier, later in pairwise(read))
    # What grows far beyond what is counted is in no heap: no container holds it, and resident memory is to be followed.
    return evenly and max(rises[False]) <= MOST_LEFT * max(rises[True])


def is_suspicious(ruling: Ruling) -> bool:
    """Whether growth has not stopped, so that it is worth a closer look."""
    return ruling.verdict in (Verdict.LEAK, Verdict.UNDECIDED)
