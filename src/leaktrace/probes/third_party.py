"""Probes of others: whatever they raise is told as `Unread`, and stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress

from leaktrace.probes.model import Counter, NamingProbe, Probe, Thing, Unread, Value


class GuardedProbe:
    """A probe of somebody else's that only counts."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.counter: Counter = probe.counter

    def read(self) -> Value:
        """The value now; a fault of the probe is the reason why there is none."""
        try:
            value = self._probe.read()
        except Exception as exc:  # noqa: BLE001 - not our code
            return self._fault(exc)
        if isinstance(value, (int, Unread)):
            return value
        return Unread(counter=self.counter.name, why=f"the probe returned {type(value).__name__}, not an integer")

    def _fault(self, exc: Exception) -> Unread:
        return Unread(counter=self.counter.name, why=f"the probe failed: {type(exc).__name__}: {exc}")


class GuardedNamingProbe(GuardedProbe):
    """A probe of somebody else's that also names its things."""

    _probe: NamingProbe

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All things now."""
        try:
            return self._probe.inventory()
        except Exception as exc:  # noqa: BLE001 - not our code
            return self._fault(exc)

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Wait as the probe waits."""
        with suppress(Exception):  # not our code; the next reading tells
            self._probe.settle(grace_s, at_most)


def third_party(
    found: Iterable[Iterable[Probe]], taken: Iterable[str], complain: Callable[[str], None]
) -> list[GuardedProbe]:
    """The probes that hooks gave, each made safe; one without a counter, or with another's name, is left out."""
    names, welcome = set(taken), []
    for probe in (each for probes in found for each in probes):
        counter = getattr(probe, "counter", None)
        if not isinstance(counter, Counter) or not callable(getattr(probe, "read", None)):
            complain(f"pytest_leaktrace_probes gave {type(probe).__name__}, which has no counter or no read()")
        elif counter.name in names:
            complain(f"pytest_leaktrace_probes gave a second counter {counter.name!r}: name it differently")
        else:
            names.add(counter.name)
            welcome.append(GuardedNamingProbe(probe) if isinstance(probe, NamingProbe) else GuardedProbe(probe))
    return welcome
