"""Tests that are harmless one by one and heavy together: variants, a class, a module, a package, the suite; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from leaktrace.recording.model import Recording
from leaktrace.suspects.model import Suspect


MIN_TESTS = 3
KINDS = ("function", "class", "module", "package", "suite")
WIDE = frozenset({"package", "suite"})
"""So many tests are in these that caches, imports and fragmentation sum up to any limit: most of them have to grow."""
SUITE = "the whole suite"


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
    names = {"module": path, "suite": SUITE}
    folder = path.rpartition("/")[0]
    if folder:
        names["package"] = f"{folder}/"
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
    whole_bytes: int | None = None,
    replayed: int,
    worker: str,
) -> list[Suspect]:
    """Groups over the limit, the smallest that explains it first: what a function explains, its module does not.

    Where a process has seen a part of each group, its part of the limit is lower: what is over that, but not over the
    limit as a `whole`, may be no suspect in the end, and explains nothing.

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
            if not _grew_together(rest, less, limit_bytes, evenly=kind in WIDE):
                continue
            suspect = _suspect(kind, name, rest, less, recording, replayed=replayed, worker=worker)
            if suspect.grew_by > (whole_bytes or limit_bytes):
                explained.update(member.row for member in rest)
            suspects.append(suspect)
    return suspects


def without_explained(suspects: Sequence[Suspect]) -> list[Suspect]:
    """Of several processes' groups together, those that narrower ones do not explain for the better part."""
    groups = [each for each in suspects if each.subject == "group" and each.kind == "memory"]

    def explains(narrow: Suspect, wide: Suspect) -> bool:
        inside = wide.name == SUITE or narrow.name.startswith(
            (wide.name.rstrip("/") + "/", f"{wide.name}::", f"{wide.name}[")
        )
        return inside and narrow.name not in (wide.name, SUITE) and 2 * narrow.grew_by > wide.grew_by

    return [each for each in suspects if each not in groups or not any(explains(other, each) for other in groups)]


def with_common(suspect: Suspect, fixtures: Callable[[str], Iterable[str]]) -> Suspect:
    """The suspect, and what its tests have in common, where they are of many modules.

    Args:
        suspect: any.
        fixtures: names of the fixtures that a test uses, by its node id.
    """
    if suspect.subject != "group" or not suspect.name.endswith(("/", SUITE)):
        return suspect
    shared = set.intersection(*(set(fixtures(nodeid)) for nodeid in suspect.nodeids))
    return replace(
        suspect, common=tuple(sorted(name for name in shared if name != "request" and not name.startswith("_")))
    )


def _totals(members: Sequence[Member]) -> list[int]:
    return [sum(sizes) for sizes in zip(*(member.growth for member in members), strict=True)]


def _grew_together(members: Sequence[Member], given_back: Sequence[int], limit_bytes: int, *, evenly: bool) -> bool:
    """Whether the sum of one counter's growth is over the limit: what some tests take and others give back is none.

    With `evenly`, so much has to remain if each had grown by no more than the one in their middle.
    """
    if len(members) < MIN_TESTS:
        return False
    steps = max(1, len(members) // 10)
    return any(
        sum(sizes) + less > limit_bytes
        and sum(sorted(sizes, key=abs)[:-steps]) > limit_bytes // 2
        and (not evenly or median(sizes) * len(sizes) > limit_bytes // 2)
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
    what = {"function": "variants", "suite": "tests"}.get(kind, f"tests of the {kind}")
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
