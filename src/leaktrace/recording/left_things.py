"""What tests and wider fixtures have left, and what of it is still there when the run ends."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from leaktrace.probes.model import Thing, Value
from leaktrace.probes.settle import collect
from leaktrace.probes.waiting import wait_for_fall
from leaktrace.recording.model import FixtureAccount, Recording
from leaktrace.recording.tracked_probe import LookingTime, TrackedProbe


LAST_GRACE_S = 0.5
"""Wait for what is on its way out at the end of the run, where nothing comes after."""

Things: TypeAlias = dict[tuple[int, Hashable], Thing]
"""Things by their probe's number and their own key."""
TrackedReads: TypeAlias = "tuple[tuple[TrackedProbe, Callable[[], Value]], ...]"
"""The probes, in the order of their numbers, and how each is counted."""


@dataclass(slots=True, eq=False, repr=False)
class _Left:
    """What somebody left, until the end of the run tells whether it is still there."""

    row: int
    account: FixtureAccount | None
    things: Things


class LeftThings:
    """Keeps what was left, and looks for it again at the end of the run.

    Args:
        looking: lists things for as long as a run can spare.
    """

    def __init__(self, looking: LookingTime, clock: Callable[[], float]) -> None:
        self._looking, self._clock = looking, clock
        self._left: list[_Left] = []
        self._at_the_end: dict[int, Mapping[Hashable, Thing]] = {}
        self.reads: TrackedReads = ()
        self.held: set[tuple[int, Hashable]] = set()
        """What was left, and there when the session's fixtures began to end."""

    def keep(self, row: int, account: FixtureAccount | None, things: Things) -> None:
        """A test has left these, or a fixture that was closed during it."""
        if things:
            self._left.append(_Left(row, account, things))

    def hold(self, loans: Iterable[Things]) -> None:
        """Note what is there when the first of the session's fixtures begins to end, of `loans` just closed, too.

        It was held for the whole run, even if it goes with one of them: with its server, with its pool.
        """
        if self.held:
            return
        left = {key for each in self._left for key in each.things}
        left.update(key for loan in loans for key in loan)
        here: set[tuple[int, Hashable]] = set()
        for number, (tracked, _read) in enumerate(self.reads):
            if not tracked.floor and any(of == number for of, _key in left):
                here.update((number, key) for key in self._looking.listed(tracked) or ())
        self.held = left & here

    def tests_over(self) -> None:
        """The last test has ended: what the runner puts back before the run ends can be listed now, and not later."""
        with_things = {number for left in self._left for number, _key in left.things}
        for number in with_things:
            tracked, _read = self.reads[number]
            if getattr(tracked.probe, "put_back", False) and (here := self._looking.listed(tracked)) is not None:
                self._at_the_end[number] = here

    def finish(self, recording: Recording) -> None:
        """The run is over: put what is still there into the recording, as the tests' and the fixtures'.

        What has gone meanwhile, closed by a later finalizer or as garbage, is kept apart.
        """
        if not self._left:
            return
        collect()
        alive = self._alive_at_last()
        for left in self._left:
            kept = tuple(alive[key] for key in left.things if key in alive)
            gone = tuple(thing for key, thing in left.things.items() if key not in alive)
            held = tuple(thing for key, thing in left.things.items() if key in self.held and key not in alive)
            if left.account is not None:
                left.account.things += kept
                left.account.held += held
                continue
            recording.things.pop(left.row, None)
            for of_rows, things in ((recording.things, kept), (recording.gone, gone), (recording.held, held)):
                if things:
                    of_rows[left.row] = things

    def _alive_at_last(self) -> Things:
        """Those of all things left that are still there, as they are now, and in every detail."""
        suspected = {key: thing for left in self._left for key, thing in left.things.items()}
        alive: Things = {}
        deadline_s = self._clock() + LAST_GRACE_S
        for number, (tracked, read) in enumerate(self.reads):
            keys = {key for of, key in suspected if of == number}
            if not keys:
                continue
            if number in self._at_the_end:
                last = self._at_the_end[number]
                alive.update({(number, key): last[key] for key in keys & last.keys()})
                continue
            if hasattr(tracked.probe, "deep"):
                tracked.probe.deep = True
            if tracked.floor:
                now = read()
                rise = now - (tracked.first if isinstance(tracked.first, int) else 0) if isinstance(now, int) else 0
                amounts = {key: suspected[number, key] for key in keys}
                alive.update({(number, k): each for k, each in amounts.items() if each.amount <= rise + tracked.floor})
                continue
            here, now = self._looking.listed(tracked), read()
            still = keys & here.keys() if here is not None else keys
            left_s = deadline_s - self._clock()
            if still and isinstance(now, int):
                wait_for_fall(read, max(0, now - len(still)), max(0.0, left_s))
                here = self._looking.listed(tracked)
                still = keys & here.keys() if here is not None else keys
            alive.update({(number, key): (here or {}).get(key, suspected[number, key]) for key in still})
        return alive
