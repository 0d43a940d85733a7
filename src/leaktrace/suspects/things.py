"""Things left behind → suspects, one for each test or fixture and kind; pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from leaktrace.ledger.model import OUTCOMES, Ledger
from leaktrace.probes.model import Thing
from leaktrace.suspects.groups import MIN_TESTS, group_names
from leaktrace.suspects.model import Limits, Suspect


PASSED = OUTCOMES.index("passed")
COUNTERS = {"sockets": "fds", "files": "temp_files", "gpu": "gpu_allocated_bytes"}
"""By kind, the counter that shows it, where the two are not called the same."""
NAMED = 2
"""Things that a suspect's sentence names."""


def accuse_things(ledger: Ledger, limits: Limits) -> list[Suspect]:
    """The tests and the wider fixtures that left something behind, most things first.

    Variants of one function that left the same kind behind are one group. A test that did not pass accuses nobody:
    pytest keeps its traceback, and with that what its frames held.
    """
    found = [*_of_tests(ledger, limits), *_of_fixtures(ledger, limits)]
    return sorted(found, key=lambda suspect: (suspect.kind == "state", -len(suspect.things)))


def is_ignored(thing: Thing, patterns: Iterable[str]) -> bool:
    """Whether a pattern matches a thing's name, what it is called, or what is known of it."""
    text = f"{thing.noun} {thing.name} {thing.detail}"
    return any(re.search(pattern, text) or re.search(pattern, thing.name) for pattern in patterns)


def by_kind(things: Sequence[Thing], patterns: Sequence[str]) -> dict[str, tuple[Thing, ...]]:
    """Those that no pattern leaves out, by kind."""
    kinds: dict[str, list[Thing]] = defaultdict(list)
    for thing in things:
        if not (patterns and is_ignored(thing, patterns)):
            kinds[thing.kind].append(thing)
    return {kind: tuple(found) for kind, found in kinds.items()}


def _of_tests(ledger: Ledger, limits: Limits) -> Iterator[Suspect]:
    variants: dict[tuple[str, str], list[tuple[int, tuple[Thing, ...]]]] = defaultdict(list)
    for row, things in ledger.things.items():
        nodeid = ledger.nodeids[row]
        if nodeid in limits.left_out or ledger.cells[row * ledger.width] != PASSED:
            continue
        for kind, found in by_kind(things, limits.own_ignore.get(nodeid, limits.ignore)).items():
            variants[group_names(nodeid).get("function", nodeid), kind].append((row, found))
    for (name, kind), rows in variants.items():
        if len(rows) >= MIN_TESTS:
            yield _group(ledger, limits, name, kind, rows)
        else:
            yield from (_test(ledger, row, kind, found) for row, found in rows)


def _test(ledger: Ledger, row: int, kind: str, things: tuple[Thing, ...]) -> Suspect:
    span = ledger.span(row)
    return Suspect(
        subject="test",
        name=span.nodeid,
        kind=kind,
        counter=COUNTERS.get(kind, kind),
        grew_by=sum(thing.amount for thing in things),
        growth=span.growth,
        why=f"it left {_listed(things)}, still there at the end of the run",
        nodeids=(span.nodeid,),
        worker=ledger.worker,
        imports=span.imports,
        duration_s=span.duration_s,
        things=things,
    )


def _group(
    ledger: Ledger, limits: Limits, name: str, kind: str, rows: Sequence[tuple[int, tuple[Thing, ...]]]
) -> Suspect:
    things = tuple(thing for _row, found in rows for thing in found)
    step = max(1, len(rows) // limits.replayed)
    return Suspect(
        subject="group",
        name=name,
        kind=kind,
        counter=COUNTERS.get(kind, kind),
        grew_by=sum(thing.amount for thing in things),
        why=f"{len(rows)} variants left {_listed(things)}, still there at the end of the run",
        nodeids=tuple(ledger.nodeids[row] for row, _found in rows[::step])[: limits.replayed],
        worker=ledger.worker,
        tests=len(rows),
        duration_s=max(ledger.cells[row * ledger.width + 1] for row, _found in rows) / 1e6,
        things=things,
    )


def _of_fixtures(ledger: Ledger, limits: Limits) -> Iterator[Suspect]:
    """Wider fixtures whose finalizer has run and that did not give back what their setup had made."""
    for account in ledger.fixtures:
        user = account.first_user
        if not account.things or not user or user in limits.left_out:
            continue
        for kind, things in by_kind(account.things, limits.ignore).items():
            yield Suspect(
                subject="fixture",
                name=account.name,
                kind=kind,
                counter=COUNTERS.get(kind, kind),
                grew_by=sum(thing.amount for thing in things),
                why=f"its setup made {_listed(things)}, still there after its finalizer",
                nodeids=(user,),
                worker=ledger.worker,
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
