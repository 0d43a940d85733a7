"""Changed state: tests that left some are run once more in a child, to learn which fixture of theirs changed it.

A watch tells the test alone: to compare the state around each small fixture would cost more than many a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from leaktrace.codec import decode
from leaktrace.errors import FileError
from leaktrace.order import Ask
from leaktrace.probes.model import Thing
from leaktrace.replay.letters import Task, targets_of
from leaktrace.suspects.model import Suspect


def credited(suspects: Sequence[Suspect], ask: Ask, paths: Mapping[str, str]) -> tuple[Suspect, ...]:
    """All suspects, in their order; what a fixture of function scope has changed is told as that fixture's.

    A child that fails costs the fixture's name alone.
    """
    tasks = [
        Task(ident=number, targets=targets, kinds=(each.kind,), naming=True)
        for number, each in enumerate(suspects)
        if each.kind == "state" and each.subject != "fixture" and (targets := targets_of(each.nodeids, paths))
    ]
    found = list(suspects)
    for number, answer in (ask(tasks) if tasks else {}).items():
        seen = _things(answer.things or ())
        found[number] = replace(found[number], things=tuple(_owned(thing, seen) for thing in found[number].things))
    return tuple(found)


def _things(told: Sequence[Mapping[str, Any]]) -> list[Thing]:
    try:
        return [decode(Thing, each) for each in told]
    except FileError:
        return []


def _owned(thing: Thing, seen: Sequence[Thing]) -> Thing:
    """The thing with its fixture: that of its namesake, or, where names differ each time, of all of its noun."""
    alike = [each for each in seen if each.noun == thing.noun]
    owners = {each.owner for each in alike if each.name == thing.name} or {each.owner for each in alike}
    return replace(thing, owner=owners.pop()) if len(owners) == 1 else thing
