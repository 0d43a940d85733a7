"""The naming pass of a replay child: a few runs more, in which each thing that stays is listed with its origin.

It comes after the verdict, because remembering origins costs memory that exact readings would count.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from leaktrace.probes.model import FDS, NamingProbe, Probe, Thing, Unread
from leaktrace.probes.origins import Origins


RUNS = 3
GRACE_S = 0.3
MOST = 24
"""Things that one answer names."""

_Listed = dict[tuple[int, Hashable], Thing]


class CreationTracker:
    """Who was at work when a thing came to be, as far as fixtures' setups tell."""

    def __init__(self, probes: Sequence[NamingProbe], origins: Origins) -> None:
        self._probes, self._origins = tuple(probes), origins
        self._seen = set(self.listed())
        self._setups: list[str] = []
        self.owners: dict[tuple[int, Hashable], str] = {}

    def listed(self) -> _Listed:
        """All things now, those of each probe apart."""
        found: _Listed = {}
        with self._origins.paused():
            for number, probe in enumerate(self._probes):
                things = probe.inventory()
                if not isinstance(things, Unread):
                    found.update({(number, key): thing for key, thing in things.items()})
        return found

    def begin(self, owner: str) -> None:
        """A fixture's setup begins; what is new so far belongs to what is around it."""
        self._credit()
        self._setups.append(owner)

    def end(self) -> None:
        """The innermost setup is over."""
        self._credit()
        if self._setups:
            self._setups.pop()

    def _credit(self) -> None:
        now = self.listed()
        for key in now.keys() - self._seen:
            if self._setups:
                self.owners[key] = self._setups[-1]
        self._seen.update(now)


def name_things(
    run: Callable[[], None],
    probes_of: Callable[[Origins], Sequence[Probe]],
    settle: Callable[[], None],
    watched: Callable[[CreationTracker | None], None],
    *,
    runs: int = RUNS,
) -> list[Thing]:
    """What `runs` further runs leave behind, the newest first: each with where it was made, and in which fixture.

    `probes_of` gives the probes to ask, given the origins that they are to tell; `watched` is handed the births to
    report fixtures' setups to, and None when the runs are over.
    """
    origins = Origins()
    probes = [probe for probe in probes_of(origins) if isinstance(probe, NamingProbe)]
    settle()
    origins.install(stepping=any(probe.counter == FDS for probe in probes))
    births = CreationTracker(probes, origins)
    before, counts = births.listed(), [probe.read() for probe in probes]
    watched(births)
    try:
        for _ in range(runs):
            run()
    finally:
        watched(None)
        settle()
        for probe, count in zip(probes, counts, strict=True):
            probe.settle(GRACE_S, at_most=count if isinstance(count, int) else None)
        after = births.listed()
        origins.stop()
    new = [key for key in after if key not in before]
    return [_told(after[key], births.owners.get(key, "")) for key in reversed(new)][:MOST]


def _told(thing: Thing, owner: str) -> Thing:
    return replace(thing, owner=owner) if owner else thing


def relative(things: Sequence[Thing], root: str) -> list[Thing]:
    """Places below the root named from there, as node ids are."""
    return [replace(thing, where=thing.where and thing.where.removeprefix(root)) for thing in things]
