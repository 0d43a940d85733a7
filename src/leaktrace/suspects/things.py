"""Things left behind → suspects, one for each test or fixture and kind; pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from leaktrace.probes.model import Thing
from leaktrace.recording.model import OUTCOMES, Recording
from leaktrace.suspects.groups import MIN_TESTS, group_names
from leaktrace.suspects.model import Limits, Note, Suspect, amount_of


PASSED = OUTCOMES.index("passed")
COUNTERS = {"sockets": "fds", "files": "temp_files", "gpu": "gpu_allocated_bytes"}
"""By kind, the counter that shows it, where the two are not called the same."""
NAMED = 2
"""Things that a suspect's sentence names."""


def accuse_things(recording: Recording, limits: Limits) -> list[Suspect]:
    """The tests and the wider fixtures that left something behind, most things first.

    Variants of one function that left the same kind behind are one group. A test that did not pass accuses nobody:
    pytest keeps its traceback, and with that what its frames held.
    """
    found = [*_of_tests(recording, limits), *_of_fixtures(recording, limits)]
    return sorted(found, key=lambda suspect: (suspect.kind == "state", -len(suspect.things)))


def unclosed(recording: Recording, limits: Limits) -> list[Note]:
    """ResourceWarnings that came up in a later test than the one that made the resource, as the maker's."""
    rows = {nodeid: row for row, nodeid in enumerate(recording.nodeids)}
    found: list[Note] = []
    spent: set[tuple[int, int]] = set()
    for told_in, text in recording.warned:
        latest = rows.get(told_in, len(recording))
        makers = [
            (row, i)
            for row, things in recording.gone.items()
            for i, thing in enumerate(things)
            if row < latest and (row, i) not in spent and _is_meant(thing, text)
        ]
        if not makers or recording.nodeids[makers[-1][0]] in limits.left_out:
            continue
        row, i = max(makers)
        spent.add((row, i))
        thing = recording.gone[row][i]
        told = f"{thing.noun} {thing.name} ({thing.detail}) was left to the collector, which closed it in {told_in}"
        found.append(Note(slug="unclosed", nodeid=recording.nodeids[row], size_bytes=0, text=told))
    return found


def _is_meant(thing: Thing, text: str) -> bool:
    """Whether a ResourceWarning's text is about a thing: the same descriptor, path or process."""
    number = re.match(r"(?:fd|pid) (\d+)", thing.detail)
    if thing.kind == "processes":
        return number is not None and f"subprocess {number[1]} " in f"{text} "
    if thing.kind == "sockets":
        return number is not None and re.search(rf"\bfd={number[1]}\b", text) is not None
    return thing.kind == "fds" and bool(thing.name) and f"name={thing.name!r}" in text


def _of_tests(recording: Recording, limits: Limits) -> Iterator[Suspect]:
    variants: dict[tuple[str, str], list[tuple[int, tuple[Thing, ...]]]] = defaultdict(list)
    left = {
        row: (*recording.things.get(row, ()), *recording.held.get(row, ())) for row in recording.things | recording.held
    }
    for row, things in (left if limits.confirming else recording.things).items():
        nodeid = recording.nodeids[row]
        if nodeid in limits.left_out or recording.cells[row * recording.width] != PASSED:
            continue
        own = [thing for thing in things if not (row in recording.imports and _of_an_import(thing))]
        for kind, found in limits.blamed(own, nodeid).items():
            variants[group_names(nodeid).get("function", nodeid), kind].append((row, found))
    for (name, kind), rows in variants.items():
        if len(rows) >= MIN_TESTS:
            yield _group(recording, limits, name, kind, rows)
        else:
            yield from (_test(recording, row, kind, found) for row, found in rows)


def _of_an_import(thing: Thing) -> bool:
    """Whether a library may have made it for good when it was imported: a pool of C threads, an open device."""
    return thing.noun == "native thread" or (thing.noun == "file" and thing.name.startswith("/dev/"))


def _test(recording: Recording, row: int, kind: str, things: tuple[Thing, ...]) -> Suspect:
    span = recording.span(row)
    return Suspect(
        subject="test",
        name=span.nodeid,
        kind=kind,
        counter=COUNTERS.get(kind, kind),
        grew_by=amount_of(things),
        growth=span.growth,
        why=f"it left {_listed(things)}, still there {_until(recording, row)}",
        nodeids=(span.nodeid,),
        worker=recording.worker,
        imports=span.imports,
        duration_s=span.duration_s,
        things=things,
    )


def _until(recording: Recording, row: int) -> str:
    return "at the end of the run" if row in recording.things else "until a fixture of the session ended"


def _group(
    recording: Recording, limits: Limits, name: str, kind: str, rows: Sequence[tuple[int, tuple[Thing, ...]]]
) -> Suspect:
    things = tuple(thing for _row, found in rows for thing in found)
    step = max(1, len(rows) // limits.replayed)
    return Suspect(
        subject="group",
        name=name,
        kind=kind,
        counter=COUNTERS.get(kind, kind),
        grew_by=amount_of(things),
        why=f"{len(rows)} variants left {_listed(things)}, still there at the end of the run",
        nodeids=tuple(recording.nodeids[row] for row, _found in rows[::step])[: limits.replayed],
        worker=recording.worker,
        tests=len(rows),
        duration_s=max(recording.cells[row * recording.width + 1] for row, _found in rows) / 1e6,
        things=things,
    )


def _of_fixtures(recording: Recording, limits: Limits) -> Iterator[Suspect]:
    """Wider fixtures whose finalizer has run and that did not give back what their setup had made."""
    for account in recording.fixtures:
        user = account.first_user
        left = [*account.things, *account.held] if limits.confirming else account.things
        if not left or not user or user in limits.left_out:
            continue
        for kind, things in limits.blamed(left).items():
            yield Suspect(
                subject="fixture",
                name=account.name,
                kind=kind,
                counter=COUNTERS.get(kind, kind),
                grew_by=amount_of(things),
                why=f"its setup made {_listed(things)}, still there after its finalizer",
                nodeids=(user,),
                worker=recording.worker,
                scope=account.scope,
                where=account.where,
                tests=account.setups,
                things=things,
            )


def _listed(things: Sequence[Thing]) -> str:
    """`socket 127.0.0.1:1 → …, file /etc/hosts and 3 more`."""
    names = [f"{thing.noun} {thing.name}".rstrip() for thing in things[:NAMED]]
    more = len(things) - len(names)
    return f"{', '.join(names)} and {more} more" if more else " and ".join(names)
