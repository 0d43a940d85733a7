"""Running the suspect again, and what could be seen growing meanwhile."""

from __future__ import annotations

import tracemalloc
from array import array
from collections import deque
from dataclasses import dataclass, field

from leaktrace.explain.budget import Budget, Notes
from leaktrace.explain.inquiry import Inquiry
from leaktrace.explain.leaked_objects import is_of_interest
from leaktrace.explain.proof import heap_reader
from leaktrace.heap import roots
from leaktrace.heap.containers import Handlers
from leaktrace.heap.growth import Grower, Pool, Survivors, frozen_newborns, living, repeat
from leaktrace.heap.retained import nearest
from leaktrace.lines.allocations import DEPTH, Live, Stack, live_allocations, parts_of, prepare, stack_of
from leaktrace.lines.line_watch import LineWatch
from leaktrace.pristine import gc, time


_WATCHED = 8
_MOST_WATCHED_RUNS = 8
_WATCHING_SHARE = 0.2
_SHARE = 0.6
_PREFERRED = 30
_QUIET = 15
_LEAST_QUIET = 6
_QUIET_SHARE = 0.25
"""Of the growth of a run: what is less is none."""
_SWINGS = 1
"""So many rises are no growth: a deque that is full takes a block more from time to time, and gives it back."""
_UNREAD_RUNS = 2
"""What the first readings make for themselves is there by then."""
_BEHIND = 400
LINE_TRACE_SLOWDOWN = 15.0
_TRACEMALLOC_SLOWDOWN = 4.0
STOPPED = (
    "the allocating lines cannot be seen: the suspect stops tracemalloc, of whose own memory CPython before 3.13 keeps"
    " some each time"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many runs each batch gets, and whether the later two run under tracemalloc, which is slower."""

    first: int
    second: int
    third: int
    traced: bool


@dataclass(slots=True)
class Observation:
    """What the runs showed; holds identities and the growing containers, but none of what leaks itself.

    Attributes:
        growers: containers that rose in the first batch and after it.
        adding_stacks: stacks of the lines that added, by identity of the container, with how often.
        watched_runs: runs after the batches, in which those lines were looked for.
        survivors: newborn objects and counts of their types.
        before, after: living allocations around the last batch.
        preferred: stacks of the leaked objects themselves, by rank.
        origins: stacks of what lies behind the latest entries of a container, by its identity.
        batches: runs in each batch.
        atexit_per_run: functions registered for the interpreter's end a run.
        run_s: how long one run took.
    """

    growers: list[Grower] = field(default_factory=list)
    adding_stacks: dict[int, dict[Stack, int]] = field(default_factory=dict)
    watched_runs: int = 0
    survivors: Survivors = field(default_factory=Survivors)
    before: Live = field(default_factory=dict)
    after: Live = field(default_factory=dict)
    preferred: dict[Stack, int] = field(default_factory=dict)
    origins: dict[int, set[Stack]] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    atexit_per_run: float = 0.0
    run_s: float = 0.0

    @property
    def runs(self) -> int:
        """All runs between the first and the last reading."""
        return sum(self.batches)


def observe(inquiry: Inquiry, *, runs: int) -> Observation:
    """Run the suspect in batches with everything that was there before frozen.

    The collector is frozen in between and thawed at the end, whatever happens.
    """
    prepare()
    run, settle, notes = inquiry.run, inquiry.settle, inquiry.notes
    seen = Observation()
    pool = Pool(Handlers())
    started = time.perf_counter()
    repeat(run, 1, settle)
    run_s = seen.run_s = time.perf_counter() - started
    ours = _our_ids(seen, frozenset({id(pool), id(seen), id(seen.survivors), id(notes.lines)}))
    pool.fill(ours)
    waiting = roots.atexit_callbacks()
    plan = _plan(runs, run_s, inquiry.budget, notes)
    gc.freeze()
    try:
        repeat(run, plan.first, settle)
        seen.batches.append(plan.first)
        seen.growers = pool.risen()
        for grower in seen.growers:
            with notes.part("the content of a growing container"):
                grower.content = grower.handler.copy(grower.container)
        seen.survivors.count(_our_ids(seen, ours))
        _batches(seen, inquiry, plan, ours)
        pool.clear()
        seen.growers = [grower for grower in seen.growers if grower.rose]
        _watch_lines(seen, inquiry)
        seen.atexit_per_run = (roots.atexit_callbacks() - waiting) / max(1, seen.runs)
        seen.survivors.ids = frozen_newborns(_our_ids(seen, ours))
    finally:
        gc.unfreeze()
    settle()
    seen.survivors.ids = set(map(id, living(seen.survivors.ids)))
    return seen


def quiet_runs(inquiry: Inquiry) -> int:
    """How many runs in a row leave nothing behind, where growth has stopped; 0 where it goes on, or cannot be seen.

    What grows in ever rarer steps, as a list of plain values does, pauses as well: ask only where no container grows.
    """
    growth, heap_bytes = inquiry.growth_bytes_per_run, heap_reader()
    if not growth or not inquiry.counted or heap_bytes() is None:
        return 0
    weights, enough_s = array("q", (0, 0)), inquiry.budget.left_s() / 2
    runs = rises = 0
    for number in range(-_UNREAD_RUNS, _QUIET):
        repeat(inquiry.run, 1, inquiry.settle)
        weights[0], weights[1] = weights[1], heap_bytes() or 0
        if number >= 0:
            runs = number + 1
            rises += weights[1] - weights[0] > growth * _QUIET_SHARE
        if rises > _SWINGS or (runs >= _LEAST_QUIET and inquiry.budget.left_s() < enough_s):
            break
    return runs if runs >= _LEAST_QUIET and rises <= _SWINGS else 0


def _plan(runs: int, run_s: float, budget: Budget, notes: Notes) -> Plan:
    wanted = max(3, runs)
    share_s = budget.left_s() * _SHARE
    slow = share_s >= 2 * run_s * _TRACEMALLOC_SLOWDOWN
    affordable = int(share_s / max(run_s, 1e-6) / (_TRACEMALLOC_SLOWDOWN if slow else 1.0))
    if affordable < wanted:
        notes.add(f"only {max(3, affordable)} of {wanted} runs fitted into the time")
        wanted = max(3, affordable)
    if not slow:
        notes.add("the allocating lines were not looked for: a run under tracemalloc does not fit into the time")
    third = max(1, wanted // 3)
    return Plan(wanted - 2 * third, third, third, traced=slow)


def _batches(seen: Observation, inquiry: Inquiry, plan: Plan, ours: frozenset[int]) -> None:
    """The two later batches, under tracemalloc if that is affordable; one that the user had running starts again.

    Under tracemalloc each of our own allocations costs a walk over the stack: what can wait, waits for its end.
    """
    foreign = tracemalloc.is_tracing()
    if foreign:
        tracemalloc.stop()
    if plan.traced:
        tracemalloc.start(DEPTH)
    snapshots: list[tracemalloc.Snapshot] = []
    try:
        for runs in (plan.second, plan.third):
            repeat(inquiry.run, runs, inquiry.settle)
            seen.batches.append(runs)
            for grower in seen.growers:
                grower.lengths.append(grower.handler.length(grower.container))
            if tracemalloc.is_tracing():
                snapshots.append(tracemalloc.take_snapshot())
            elif plan.traced:
                snapshots.clear()
                inquiry.notes.add(STOPPED)
        with inquiry.notes.part("where the leaked objects were made"):
            _prefer(seen)
    finally:
        tracemalloc.stop()
        if foreign:
            tracemalloc.start()
    seen.survivors.count(_our_ids(seen, ours | {id(snapshots)} | parts_of(snapshots)))
    if len(snapshots) > 1:
        seen.before, seen.after = map(live_allocations, snapshots)


def _prefer(seen: Observation) -> None:
    """Note where the latest entries of the containers, and the things of interest behind them, were made."""
    for grower in seen.growers[:_WATCHED]:
        latest = grower.latest(_PREFERRED)
        seen.origins[id(grower.container)] = _stacks_behind(latest)
        for entry in latest:
            way = nearest([entry], None, is_of_interest, limit=_PREFERRED)
            for rank, obj in ((2, way[-1] if way else None), (1, entry)):
                stack = stack_of(obj) if obj is not None else None
                if stack is not None:
                    seen.preferred[stack] = max(rank, seen.preferred.get(stack, 0))


def _stacks_behind(entries: list[object]) -> set[Stack]:
    """Where what can be reached from some entries was made, as far as that was while we looked."""
    stacks: set[Stack] = set()
    known, pending = set(map(id, entries)), deque(entries)
    while pending and len(known) < _BEHIND:
        obj = pending.popleft()
        stack = stack_of(obj)
        if stack is not None:
            stacks.add(stack)
            new = [child for child in gc.get_referents(obj) if id(child) not in known]
            known.update(map(id, new))
            pending.extend(new)
    return stacks


def _watch_lines(seen: Observation, inquiry: Inquiry) -> None:
    watched = sorted(seen.growers, key=lambda grower: not grower.steady)[:_WATCHED]
    if not watched:
        return
    budget, notes = inquiry.budget, inquiry.notes
    if budget.left_s() < seen.run_s * LINE_TRACE_SLOWDOWN:
        notes.add("the line that adds was not looked for: a run under line tracing does not fit into the time left")
        return
    with notes.part("the line that adds"):
        watch = LineWatch(
            [lambda grower=grower: grower.handler.length(grower.container) for grower in watched],  # type: ignore[misc]
            inquiry.places,
            budget_s=budget.left_s(),
        )
        enough_s = budget.left_s() * (1 - _WATCHING_SHARE)
        for _ in range(_MOST_WATCHED_RUNS):  # what grows in every run shows in the first, what does not is waited for
            watch(inquiry.run)
            inquiry.settle()
            seen.watched_runs += 1
            if all(watch.found) or budget.left_s() < enough_s:
                break
        for grower, found in zip(watched, watch.found, strict=True):
            seen.adding_stacks[id(grower.container)] = found


def _our_ids(seen: Observation, ours: frozenset[int]) -> frozenset[int]:
    """What we made ourselves since the collector was frozen."""
    made: list[object] = [seen.growers, seen.before, seen.after, seen.preferred, seen.batches, seen.adding_stacks]
    made += [seen.survivors.counts, seen.survivors.types, *seen.survivors.counts, *seen.growers]
    made += [seen.origins, *seen.origins.values()]
    made += [*seen.preferred, *(frame for stack in seen.preferred for frame in stack)]
    made += [part for grower in seen.growers for part in (grower.lengths, grower.content)]
    return ours | {id(part) for part in made}
