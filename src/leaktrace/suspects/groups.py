"""Tests that are harmless one by one and heavy together: variants of a function, a class, a module; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaktrace.recording.model import Recording
from leaktrace.suspects.model import Suspect


MIN_TESTS = 3
KINDS = ("function", "class", "module")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One test's part in its groups; `growth` is of resident and heap memory, and may be negative."""

    nodeid: str
    row: int
    growth: tuple[int, ...] = ()


def group_names(nodeid: str) -> dict[str, str]:
    """The groups that a test belongs to, by kind; a plain function has no group of its own, nor a test of no class.

    The parameter begins at the first `[` after the last `::` that stands before it: a parameter may hold both.
    """
    path, _, rest = nodeid.partition("::")
    names = {"module": path}
    if not rest:
        return names
    plain, bracket, _ = rest.partition("[")
    if bracket:
        names["function"] = f"{path}::{plain}"
    cls, _, _function = plain.rpartition("::")
    if cls:
        names["class"] = f"{path}::{cls}"
    return names


def sums(members: Iterable[Member]) -> dict[tuple[str, str], list[Member]]:
    """Members by (kind, name) of each group."""
    groups: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for member in members:
        for kind, name in group_names(member.nodeid).items():
            groups[kind, name].append(member)
    return groups


def accuse_groups(
    members: Sequence[Member],
    others: Sequence[Member],
    recording: Recording,
    limit_bytes: int,
    *,
    replayed: int,
    worker: str,
) -> list[Suspect]:
    """Groups over the limit, the smallest that explains it first: what a function explains, its module does not.

    A few steps (an import, a first use) do not make a group: the growth must remain when its largest tenth is left out.
    `others` are tests that accuse nobody (failed, in doubt): what they give back together is taken off.
    """
    groups, suspects, explained = sums(members), [], set[int]()
    given_back = {key: [min(0, total) for total in _totals(rest)] for key, rest in sums(others).items()}
    for wanted in KINDS:
        for (kind, name), all_members in groups.items():
            if kind != wanted:
                continue
            rest = [member for member in all_members if member.row not in explained]
            less = given_back.get((kind, name), [0, 0])
            if not _grew_together(rest, less, limit_bytes):
                continue
            explained.update(member.row for member in rest)
            suspects.append(_suspect(kind, name, rest, less, recording, replayed=replayed, worker=worker))
    return suspects


def _totals(members: Sequence[Member]) -> list[int]:
    return [sum(sizes) for sizes in zip(*(member.growth for member in members), strict=True)]


def _grew_together(members: Sequence[Member], given_back: Sequence[int], limit_bytes: int) -> bool:
    """Whether the sum of one counter's growth is over the limit: what some tests take and others give back is none."""
    if len(members) < MIN_TESTS:
        return False
    steps = max(1, len(members) // 10)
    return any(
        sum(sizes) + less > limit_bytes and sum(sorted(sizes, key=abs)[:-steps]) > limit_bytes // 2
        for sizes, less in zip(zip(*(member.growth for member in members), strict=True), given_back, strict=False)
    )


def _suspect(
    kind: str,
    name: str,
    members: Sequence[Member],
    given_back: Sequence[int],
    recording: Recording,
    *,
    replayed: int,
    worker: str,
) -> Suspect:
    totals = [total + less for total, less in zip(_totals(members), given_back, strict=False)]
    size = max(totals)
    worst = totals.index(size)
    heaviest = sorted(members, key=lambda member: -member.growth[worst])
    # From all over the group: the heaviest few may be those that imported something.
    step = max(1, len(heaviest) // replayed)
    chosen = tuple(member.nodeid for member in heaviest[step // 2 :: step])[:replayed]
    what = {"function": "variants", "class": "tests of the class", "module": "tests of the module"}[kind]
    n = len(recording.counters)
    growth: dict[str, int] = {}
    for i, counter in enumerate(recording.counters):
        if counter.name not in recording.unread:
            growth[counter.name] = sum(
                recording.cells[member.row * recording.width + 3 + n * part + i]
                for member in members
                for part in (1, 2, 3)
            )
    return Suspect(
        subject="group",
        name=name,
        kind="memory",
        counter=recording.counters[worst].name,
        grew_by=size,
        growth=growth,
        why=f"{len(members)} {what} grew by {size} bytes together, {size // len(members)} each; none is over the limit",
        nodeids=chosen,
        worker=worker,
        tests=len(members),
        duration_s=max(recording.cells[member.row * recording.width + 1] for member in members) / 1e6,
    )
