"""Changed state: tests that left some are run once more in a child, to learn which fixture of theirs changed it.

A watch tells the test alone: to compare the state around each small fixture would cost more than many a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from leaktrace.confirm.after_others import Ask
from leaktrace.errors import FileError
from leaktrace.probes.model import Thing
from leaktrace.replay.protocol import Task, targets_of
from leaktrace.serialize import decode
from leaktrace.suspects.model import Suspect


def credited(
    suspects: Sequence[Suspect],
    ask: Ask,
    paths: Mapping[str, str],
    warn: Callable[[str], None] = lambda _text: None,
) -> tuple[Suspect, ...]:
    """All suspects, in their order; what a fixture of function scope has changed is told as that fixture's.

    A child that fails costs the fixture's name alone.
    """
    tasks = [
        Task(ident=number, targets=targets, kinds=(each.kind,), naming=True)
        for number, each in enumerate(suspects)
        if each.kind == "state" and each.subject != "fixture" and (targets := targets_of(each.nodeids, paths))
    ]
    found = list(suspects)
    for number, response in (ask(tasks) if tasks else {}).items():
        try:
            seen = [decode(Thing, each) for each in response.things or ()]
        except FileError as exc:
            warn(f"which fixture changed what {found[number].name} left could not be read: {exc}")
            continue
        found[number] = replace(found[number], things=tuple(_owned(thing, seen) for thing in found[number].things))
    return tuple(found)


def _owned(thing: Thing, seen: Sequence[Thing]) -> Thing:
    """The thing with its fixture: that of its namesake, or, where names differ each time, of all of its noun."""
    alike = [each for each in seen if each.noun == thing.noun]
    owners = {each.owner for each in alike if each.name == thing.name} or {each.owner for each in alike}
    return replace(thing, owner=owners.pop()) if len(owners) == 1 else thing
