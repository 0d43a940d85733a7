"""Cases of one cause are told once, with all their tests; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from leaktrace.casebook.model import Case
from leaktrace.verdict.model import Verdict


def causes(cases: Iterable[Case]) -> list[tuple[Case, ...]]:
    """The cases by cause, in the order in which each comes first: leaks of one kind with equal fingerprints share one.

    A case without a fingerprint, or of another verdict, is alone. What a fixture keeps is mended in the fixture, so it
    is no test's cause, though the same container holds it.
    """
    found: dict[object, list[Case]] = {}
    for number, case in enumerate(cases):
        mark = case.exhibit.fingerprint
        shared = bool(mark) and case.verdict is Verdict.LEAK
        found.setdefault((mark, case.subject, case.kind, case.status) if shared else number, []).append(case)
    return [tuple(each) for each in found.values()]


def joined(cases: Iterable[Case]) -> list[Case]:
    """The cases with those of one suspect joined that one counter convicts: a loop's sockets and its other descriptors.

    Each would tell the whole rate of the counter that they share as its own.
    """
    found: dict[object, Case] = {}
    for number, case in enumerate(cases):
        shared = case.verdict is Verdict.LEAK and bool(case.things)
        key = (case.subject, case.nodeid, case.where, case.counter, case.status) if shared else number
        first = found.get(key)
        found[key] = case if first is None else replace(first, things=(*first.things, *case.things))
    return list(found.values())
