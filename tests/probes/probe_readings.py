"""What a probe has read, where it must have been readable."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from leaktrace.probes.model import NamingProbe, Probe, Thing, Unread


def count_of(probe: Probe) -> int:
    value = probe.read()
    assert not isinstance(value, Unread), value.why
    return value


def why_unread(probe: Probe) -> str:
    value = probe.read()
    assert isinstance(value, Unread)
    return value.why


def things_of(probe: NamingProbe) -> Mapping[Hashable, Thing]:
    things = probe.inventory()
    assert not isinstance(things, Unread), things.why
    return things


def new_things(probe: NamingProbe, before: Mapping[Hashable, Thing], noun: str = "") -> list[Thing]:
    """What was not there before; only things of that noun, where one is given."""
    after = things_of(probe)
    return [after[key] for key in after.keys() - before.keys() if not noun or after[key].noun == noun]
