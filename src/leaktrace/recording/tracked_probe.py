"""One probe of things with what it knew last, and the time that may go into looking at all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field

from leaktrace.probes.model import NamingProbe, Probe, Thing, Unread, Value
from leaktrace.probes.settle import collect
from leaktrace.probes.waiting import wait_for_fall


GRACE_S = 0.08
"""Wait for what is on its way out at the end of a test whose count rose."""
WAIT_IN_VAIN_S = 3.0
"""Waiting in vain, in all; what ends later than that is found gone at the end of the run."""
LOOKING_S = 2.0
LOOKING_SHARE = 0.02
"""Time for listing things: so much in any run, and this share of it."""


@dataclass(slots=True, eq=False, repr=False)
class TrackedProbe:
    """One probe, its last count, and the things that it knew then."""

    probe: Probe
    count: Value
    floor: int
    first: Value = 0
    known: Mapping[Hashable, Thing] = field(default_factory=dict)
    blind: bool = False
    """Whether a list is missing since the count last moved, so that new things cannot be told from old ones."""
    young_until: float = 0.0
    young: bool = False
    """Whether something is on its way out (what the last test left, a loan), which would hide what comes now."""

    def rose(self, now: Value) -> bool:
        """Whether a count is higher than the last one, by more than what is worth a look."""
        before = self.count if isinstance(self.count, int) else 0
        return isinstance(now, int) and now > before + self.floor


class LookingTime:
    """Lists and waits for things, no longer than a run can spare.

    Args:
        third_party: probes of others, which settle in their own way.
    """

    def __init__(self, third_party: Collection[Probe], clock: Callable[[], float], cpu_s: Callable[[], float]) -> None:
        self._third_party, self._clock, self._cpu_s = third_party, clock, cpu_s
        self._began = clock()
        self._looking_s = self._waited_s = 0.0

    @property
    def can_wait(self) -> bool:
        """Whether there is time left to wait in vain."""
        return self._waited_s < WAIT_IN_VAIN_S

    def reset(self) -> None:
        """What was looked at until now, before the first test, does not count."""
        self._looking_s = 0.0

    def waited(self, since: float) -> None:
        """Somebody has waited since then."""
        self._waited_s += self._clock() - since

    def settled(self, tracked: TrackedProbe, read: Callable[[], Value]) -> Value:
        """The count after the things on their way out have had their time."""
        if not self.can_wait:
            return read()
        since, mark = self._clock(), tracked.count if isinstance(tracked.count, int) else 0
        if tracked.floor:
            collect()  # tensors die with the cycles that they are in
        if tracked.probe in self._third_party and isinstance(tracked.probe, NamingProbe):
            tracked.probe.settle(GRACE_S, at_most=mark)
        else:
            wait_for_fall(read, mark + tracked.floor, GRACE_S)
        now = read()
        if tracked.rose(now):
            self.waited(since)
        return now

    def compared(self, tracked: TrackedProbe) -> dict[Hashable, Thing] | None:
        """The things that the last list did not have, or None where nothing can be compared."""
        before, was_blind = tracked.known, tracked.blind
        now = self.listed(tracked)
        if now is None:
            tracked.blind = True
            return None
        tracked.known, tracked.blind = now, False
        return None if was_blind else {key: thing for key, thing in now.items() if key not in before}

    def listed(self, tracked: TrackedProbe) -> Mapping[Hashable, Thing] | None:
        """The things now, or None where they cannot be listed or the time for it is used up."""
        if not isinstance(tracked.probe, NamingProbe):
            return None
        if self._looking_s > LOOKING_S + LOOKING_SHARE * (self._clock() - self._began):
            return None
        since = self._cpu_s()
        found = tracked.probe.inventory()
        self._looking_s += self._cpu_s() - since
        return None if isinstance(found, Unread) else found


def stand_in(probe: Probe, amount: int, new: Mapping[Hashable, Thing] | None) -> Thing:
    """What stands for bytes, or for things that could not be listed one by one."""
    counter = probe.counter
    if counter.unit == "bytes":
        named = next(iter((new or {}).values()), None)
        noun, name = (named.noun, named.name) if named is not None else (counter.name, "")
        return Thing(kind=counter.kind, noun=noun, name=name, detail=f"{amount} bytes more", amount=amount)
    return Thing(kind=counter.kind, noun=counter.name, name=f"{amount} more", amount=amount)
