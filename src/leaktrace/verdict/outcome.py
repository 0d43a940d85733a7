"""What is finally said of a suspect: what its numbers say, and what its holder, its things, its suite add to that.

`judge` knows readings only. Each question here may take its word back, with a sentence of its own; pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leaktrace.probes.model import HEAP_BYTES, REFS, RSS_BYTES, Thing, Unread
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.model import Record, Ruling, Verdict
from leaktrace.words import size


SHARING = ("fds", "sockets")
"""Kinds that share one counter."""
SMALL_BYTES = 1_000_000
"""Growth of a run below which resident memory is too coarse to show it again."""
TRICKLE = 0.005
"""Growth of a run below this part of what was seen in the suite is not what was seen there."""
ACCUSED = (Verdict.LEAK, Verdict.UNDECIDED)
NOT_READ = Ruling(verdict=Verdict.UNDECIDED, reason="what counts this could not be read in the replay child")


class HolderSeen(Protocol):
    """What a verdict turns on of a holder."""

    @property
    def name(self) -> str:
        """As the user would write it."""

    @property
    def kind(self) -> str:
        """The kind of holder."""

    @property
    def bound(self) -> int | None:
        """How many entries it takes at most, where something bounds it."""

    @property
    def filled(self) -> int | None:
        """How many it has now."""

    @property
    def entries_per_run(self) -> float:
        """How many come with each run."""

    @property
    def held_bytes_per_run(self) -> float:
        """What they keep alive, alone or with others; 0 where that is not known."""

    @property
    def dead(self) -> bool:
        """Whether its new entries are dead in its own terms."""

    @property
    def steady(self) -> bool:
        """Whether it grew in every batch."""

    @property
    def endless(self) -> bool:
        """Whether nothing can end its growth."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict and the sentence that gives its reason."""

    verdict: Verdict
    reason: str


UNASKED = Outcome(Verdict.UNREPLAYABLE, "the file of the test is not known, so no child could be told to run it")
NOT_AGAIN = Outcome(Verdict.ONE_TIME, "it grew in its first run, and no counter rose when it was run again")


def not_repeatable(failure: str | None, *, runs: int = 1) -> Outcome:
    """What is said where a run failed before there was enough to judge."""
    return Outcome(Verdict.UNREPLAYABLE, f"not repeatable: {failure}" if runs else f"{failure}")


def harmless(class_name: str, why: str) -> Outcome:
    """What is said where an installed class has taken references, and nothing else grew."""
    return _keeps_nothing(f"references to class {class_name}; {why}")


def of_memory(
    suspect: Suspect,
    record: Record,
    ruling: Ruling,
    holder: HolderSeen | None,
    *,
    proved: bool = False,
    share: int = 1,
    quiet_runs: int = 0,
    native: bool = False,
) -> Outcome:
    """What is said of growing memory.

    Args:
        suspect: what was seen in the suite.
        record: the readings of its replay.
        ruling: what these say.
        holder: what keeps it alive, where that was found.
        proved: whether taking the new entries out of it released them.
        quiet_runs: so many runs after the replay left nothing behind.
        native: whether it is not Python's memory, so that nobody can be asked for a bound.
        share: how many tests were run in each run, so that the suite's growth is that of so many.
    """
    return (
        _of_an_instance(ruling, holder)
        or _by_size(suspect, record, ruling, share)
        or _unless_stopped(ruling, quiet_runs)
        or _by_holder(ruling, holder, proved=proved, native=native)
    )


def _of_an_instance(ruling: Ruling, holder: HolderSeen | None) -> Outcome | None:
    """What is said of what each run replaces on the instance of its test: one for each test, not for each run."""
    if holder is None or holder.kind != "test-instance" or ruling.verdict in ACCUSED:
        return None
    each = size(holder.held_bytes_per_run)
    why = f"pytest keeps the instance of each test until the session ends, and with it {holder.name}, {each} a test"
    return Outcome(Verdict.ONE_TIME, f"{why}: delete it in teardown_method, or make it in a fixture")


def _unless_stopped(ruling: Ruling, quiet_runs: int) -> Outcome | None:
    """What is said where growth had stopped by the time it was looked at; None where it goes on."""
    if not quiet_runs or ruling.verdict not in ACCUSED or ruling.counter != HEAP_BYTES.name:
        return None
    reason = f"it had stopped when it was looked at: {quiet_runs} further runs left nothing behind; {ruling.reason}"
    return Outcome(Verdict.CACHE, reason)


def of_cause(ruling: Ruling, holder: HolderSeen, *, proved: bool) -> Outcome:
    """What is said of one of several causes: numbers tell that the suspect grows, and not which of them it is."""
    if holder.bound is not None or holder.dead:
        return _bounded(ruling, holder)
    if ruling.verdict is not Verdict.LEAK and holder.endless and proved:
        return _endless(ruling, holder)
    if ruling.verdict in ACCUSED:
        return Outcome(ruling.verdict, ruling.reason)
    if holder.steady and proved:
        why = f"{holder.name} grew in every batch of runs, and nothing bounds it, whatever the other causes are"
        return Outcome(Verdict.LEAK, why)
    return Outcome(ruling.verdict, ruling.reason)


def of_things(kind: str, ruling: Ruling, things: Sequence[Thing] | None) -> Outcome:
    """What is said of things left behind: sockets and files share a counter, and their names tell which grew."""
    if ruling.verdict is Verdict.LEAK and things is not None and not things and kind in SHARING:
        return Outcome(Verdict.STEADY, f"no {kind} among what the runs left behind, though descriptors are")
    return Outcome(ruling.verdict, ruling.reason)


def _by_size(suspect: Suspect, record: Record, ruling: Ruling, share: int) -> Outcome | None:
    """What a trickle leaves of an accusation of megabytes: they came once, or not at all; None where it fits."""
    heap, rate = record.series.get(HEAP_BYTES.name), ruling.rates.get(HEAP_BYTES.name)
    if suspect.grew_by < SMALL_BYTES or not suspect.counter.endswith("_bytes") or heap is None or rate is None:
        return None
    if ruling.verdict is Verdict.ONE_TIME or (ruling.verdict is Verdict.LEAK and ruling.counter == RSS_BYTES.name):
        return None
    accused = suspect.grew_by / max(1, suspect.tests) * share
    if rate.high >= accused * TRICKLE:
        return None
    first, warm = heap.values[0], heap.values[record.warmups]
    once = 0 if isinstance(first, Unread) or isinstance(warm, Unread) else warm - first
    rest = f"{size(max(0.0, rate.estimate))} of heap a run"
    if once >= accused / 2:
        reason = f"grew by {size(once)} in the first runs and not again; what is left is {rest}"
        return Outcome(Verdict.ONE_TIME, reason)
    if ruling.verdict is Verdict.STEADY:
        return None
    return Outcome(Verdict.STEADY, f"its growth, {rest}, does not explain the {size(accused)} of the suite")


def _by_holder(ruling: Ruling, holder: HolderSeen | None, *, proved: bool, native: bool) -> Outcome:
    """Statistics tell growth; the holder tells leak from cache, and from references that keep nothing alive."""
    if ruling.verdict is Verdict.LEAK and ruling.counter == REFS.name:
        if holder is None:
            reason = f"no object was found whose count rises with the runs; {ruling.reason}"
            return Outcome(Verdict.UNDECIDED, reason)
        if holder.kind == "shared-references":
            return _keeps_nothing(f"{holder.name} {ruling.reason}")
    if ruling.verdict in ACCUSED and holder is not None and (holder.bound is not None or holder.dead):
        return _bounded(ruling, holder)
    if ruling.verdict is Verdict.UNDECIDED and holder is not None and holder.endless and proved:
        return _endless(ruling, holder)
    if ruling.verdict is Verdict.LEAK and native and holder is None and not _is_sure(ruling):
        reason = f"native memory, which may be a cache that is not full yet; {ruling.reason}"
        return Outcome(Verdict.LEAK, reason)
    return Outcome(ruling.verdict, ruling.reason)


def _is_sure(ruling: Ruling) -> bool:
    """Whether so much comes with each run that no cache of the usual kind would take it for long."""
    rates = [rate for name, rate in ruling.rates.items() if name.endswith("_bytes")]
    return any(rate.low >= SMALL_BYTES for rate in rates)


def _endless(ruling: Ruling, holder: HolderSeen) -> Outcome:
    """What is said of a holder to which every run adds: more runs tell nothing more."""
    grew = ruling.reason.partition(";")[0]
    return Outcome(Verdict.LEAK, f"{grew}; {holder.name} gets more with each run, and nothing bounds it")


def _bounded(ruling: Ruling, holder: HolderSeen) -> Outcome:
    """What is said of a holder that lets go of its entries, sooner or later."""
    if holder.bound is None:
        reason = f"the new entries of {holder.name} are dead: it sweeps them when they are many; {ruling.reason}"
        return Outcome(Verdict.CACHE, reason)
    filled = "" if holder.filled is None else f"{holder.filled} of "
    held = f"{holder.name} holds {filled}at most {holder.bound} entries{_when_full(holder.bound, holder)}"
    return Outcome(Verdict.CACHE, f"{held}; {ruling.reason}")


def _when_full(bound: int, holder: HolderSeen) -> str:
    """What an entry weighs, and all of them together when there are as many as there can be."""
    if holder.entries_per_run <= 0:
        return ""
    each = holder.held_bytes_per_run / holder.entries_per_run
    return f" of {size(each)}, {size(each * bound)} when full" if each >= 1 else ""


def _keeps_nothing(what: str) -> Outcome:
    return Outcome(Verdict.STEADY, f"nothing is kept by it that would go otherwise: {what}")
