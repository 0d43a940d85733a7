"""Recording and limits → suspects, ranked by growth; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from leaktrace.probes.model import HEAP_BYTES, RSS_BYTES, Unread
from leaktrace.recording.model import OUTCOMES, FixtureAccount, Recording
from leaktrace.suspects.groups import Member, accuse_groups
from leaktrace.suspects.model import Limits, Note, Suspect
from leaktrace.suspects.things import accuse_things, unclosed


PASSED = OUTCOMES.index("passed")
WATCHED = (RSS_BYTES.name, HEAP_BYTES.name)


def accuse(recording: Recording, limits: Limits) -> list[Suspect]:
    """All suspects of one process, by growth, largest first; a group only for what its tests do not explain alone."""
    tests, members, others = _tests(recording, limits)
    fixtures = list(_fixtures(recording, limits))
    groups = accuse_groups(
        members,
        others,
        recording,
        limits.group_bytes or limits.test_bytes,
        whole_bytes=limits.test_bytes,
        replayed=limits.replayed,
        worker=recording.worker,
    )
    memory = sorted([*tests, *fixtures, *groups], key=lambda suspect: -suspect.grew_by)
    return [*memory, *accuse_things(recording, limits)]


def notes(recording: Recording, limits: Limits) -> list[Note]:
    """Growth that passed the limit at first sight and accuses nobody, with why."""
    found = []
    for row, settlement in recording.settlements.items():
        nodeid = recording.nodeids[row]
        raw = max((settlement.raw.get(name, 0) for name in WATCHED), default=0)
        kept, _ = _largest(recording, row)
        limit = limits.own_bytes.get(nodeid, limits.test_bytes)
        if raw > limit >= kept and settlement.garbage_bytes > raw // 2:
            text = "garbage not collected: a collection freed it, no leak"
            found.append(Note(slug="garbage", nodeid=nodeid, size_bytes=settlement.garbage_bytes, text=text))
        elif kept > limit and recording.cells[row * recording.width] != PASSED:
            outcome = OUTCOMES[recording.cells[row * recording.width]]
            text = f"{outcome}: pytest keeps its traceback and locals, so this is not judged"
            found.append(Note(slug="failed", nodeid=nodeid, size_bytes=kept, text=text))
    return [*sorted(found, key=lambda note: -note.size_bytes), *unclosed(recording, limits)]


def doubtful(recording: Recording, limits: Limits) -> list[Suspect]:
    """Tests whose growth a collection seems to have taken back.

    The garbage may have been an older test's, and the growth this one's own: only a replay can tell.
    """
    found = []
    for row, settlement in recording.settlements.items():
        nodeid = recording.nodeids[row]
        if nodeid in limits.left_out or recording.cells[row * recording.width] != PASSED:
            continue
        raw, counter = max((settlement.raw.get(name, 0), name) for name in WATCHED)
        limit = limits.own_bytes.get(nodeid, limits.test_bytes)
        if raw > limit >= _largest(recording, row)[0]:
            suspect = _test(recording, row, raw, counter, limit)
            found.append(replace(suspect, doubtful=True, why="a collection took its growth back, or older garbage"))
    return found


def _tests(recording: Recording, limits: Limits) -> tuple[list[Suspect], list[Member], list[Member]]:
    """Tests over the limit, all other passed tests as members of groups, and those that accuse nobody."""
    suspects: list[Suspect] = []
    members: list[Member] = []
    others: list[Member] = []
    width = recording.width
    for row, nodeid in enumerate(recording.nodeids):
        if nodeid in limits.left_out:
            continue
        size, counter = _largest(recording, row)
        limit = limits.own_bytes.get(nodeid, limits.test_bytes)
        passed = recording.cells[row * width] == PASSED
        if passed and size > limit:
            suspects.append(_test(recording, row, size, counter, limit))
        elif nodeid not in limits.own_bytes:
            # What a settled test has given back may have been older garbage; what it kept is kept.
            group = members if passed and (row not in recording.settlements or size > 0) else others
            group.append(Member(nodeid=nodeid, row=row, growth=_growth(recording, row)))
    return suspects, members, others


def _largest(recording: Recording, row: int) -> tuple[int, str]:
    """The larger of resident and heap growth of a row, or 0."""
    growth = (0, *_growth(recording, row))
    at = growth.index(max(growth))
    return growth[at], recording.counters[max(0, at - 1)].name


def _growth(recording: Recording, row: int) -> tuple[int, ...]:
    """Resident and heap growth of a row, 0 where not read; straight from the columns, this runs for every test."""
    n, cells = len(recording.counters), recording.cells
    at = row * recording.width + 3 + n
    return tuple(
        0 if counter.name in recording.unread else cells[at + i] + cells[at + n + i] + cells[at + 2 * n + i]
        for i, counter in enumerate(recording.counters[:2])
    )


def _test(recording: Recording, row: int, size: int, counter: str, limit: int) -> Suspect:
    span = recording.span(row)
    word = "resident memory" if counter == RSS_BYTES.name else "heap"
    why = f"its {word} was {size} bytes larger after its last finalizer and a collection; the limit is {limit}"
    if span.imports:
        why += f"; it imported {', '.join(span.imports[:3])}, so this is likely one-time"
    return Suspect(
        subject="test",
        name=span.nodeid,
        kind="memory",
        counter=counter,
        grew_by=size,
        growth=span.growth,
        why=why,
        nodeids=(span.nodeid,),
        worker=recording.worker,
        imports=span.imports,
        duration_s=span.duration_s,
    )


def _fixtures(recording: Recording, limits: Limits) -> Iterator[Suspect]:
    """Fixtures of wider scope that did not repay their loan."""
    for account in recording.fixtures:
        if not account.wide or not account.closings:
            continue
        kept = recording.named(account.kept)
        size, counter = max(
            ((value, name) for name in WATCHED if not isinstance(value := kept.get(name, 0), Unread)), default=(0, "")
        )
        user = _user(account, limits)
        if size > limits.test_bytes and user is not None:
            yield Suspect(
                subject="fixture",
                name=account.name,
                kind="memory",
                counter=counter,
                grew_by=size,
                growth=kept,
                why=f"{size} bytes of its loan were not repaid by the end of the test that ran its finalizer",
                nodeids=(user,),
                worker=recording.worker,
                scope=account.scope,
                where=account.where,
                tests=account.setups,
            )


def _user(account: FixtureAccount, limits: Limits) -> str | None:
    return account.first_user if account.first_user and account.first_user not in limits.left_out else None


def ranked(suspects: Iterable[Suspect]) -> list[Suspect]:
    """Several processes' suspects in one order; those of one subject and name are one, with their growth summed up."""
    merged: dict[tuple[str, str, str, str], Suspect] = {}
    for suspect in suspects:
        have = merged.get(suspect.key)
        if have is None:
            merged[suspect.key] = suspect
        elif suspect.subject == "test":
            merged[suspect.key] = max(have, suspect, key=lambda each: each.grew_by)
        else:
            merged[suspect.key] = replace(
                have,
                grew_by=have.grew_by + suspect.grew_by,
                tests=have.tests + suspect.tests,
                worker=f"{have.worker},{suspect.worker}",
                things=(*have.things, *suspect.things),
            )
    return sorted(merged.values(), key=lambda suspect: (suspect.kind == "state", -suspect.grew_by))
