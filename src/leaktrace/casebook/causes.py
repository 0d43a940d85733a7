"""Cases of one cause are told once, with all their tests; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from leaktrace.casebook.model import Case
from leaktrace.verdict.judge import SETTLED
from leaktrace.verdict.model import Verdict


SCOPES = ("function", "class", "module", "package", "session")


def causes(cases: Iterable[Case]) -> list[tuple[Case, ...]]:
    """The cases by cause, in the order in which each comes first: leaks of one kind with equal fingerprints share one.

    So do those whose things were made at one line, that of a helper whom many tests ask. A case without a fingerprint,
    or of another verdict, is alone. What a fixture keeps is mended in the fixture, so it is no test's cause, though the
    same container holds it.
    """
    found: list[list[Case]] = []
    known: dict[object, list[Case]] = {}
    for case in cases:
        marks = [(mark, case.suspect.subject, case.suspect.kind, case.status) for mark in _marks(case)]
        cause = next((known[mark] for mark in marks if mark in known), None)
        if cause is None:
            cause = []
            found.append(cause)
        cause.append(case)
        for mark in marks:
            known.setdefault(mark, cause)
    return [tuple(each) for each in found]


def made_at(case: Case) -> str | None:
    """The line that made what a case is about, if it is one line and known."""
    places = {thing.where for thing in case.things}
    return places.pop() if len(places) == 1 else None


def of_their_makers(cases: Iterable[Case]) -> list[Case]:
    """The cases without those of fixtures that were only set up beside the one that leaks.

    A run that ends a module's fixtures ends all of them, so that each of them seems to leak. A cause is that fixture's
    whose function its lines name, else the narrowest one's.
    """
    kept = [case for case in cases if not is_clean_fixture(case)]
    leaks: dict[str, list[Case]] = {}
    for case in kept:
        if case.suspect.subject == "fixture" and case.verdict is Verdict.LEAK and case.exhibit.fingerprint:
            leaks.setdefault(case.exhibit.fingerprint, []).append(case)
    for several in leaks.values():
        several.sort(key=lambda case: (not _made_it(case), SCOPES.index(case.suspect.scope)))
        beside = {case.suspect.key for case in several[1:] if not _made_it(case)}
        kept = [case for case in kept if case not in several or case.suspect.key not in beside]
    return kept


def is_clean_fixture(case: Case) -> bool:
    """Whether it is of a fixture that nobody accuses: a hunt looks at each wider one, and tells of those that leak."""
    return case.suspect.unaccused and case.verdict in SETTLED and case.exhibit.holder is None


def _made_it(case: Case) -> bool:
    """Whether a line of the cause lies in the fixture's own function."""
    stacks = ((site.function, *(frame.function for frame in site.stack)) for site in case.exhibit.sites)
    return any(case.suspect.name in function.split(".") for functions in stacks for function in functions)


def _marks(case: Case) -> list[str]:
    """What tells a case's cause from others."""
    mark, line = case.exhibit.fingerprint, made_at(case)
    if case.verdict is not Verdict.LEAK or not mark:
        return []
    return [mark] if line is None else [mark, line]


def joined(cases: Iterable[Case]) -> list[Case]:
    """The cases with those of one suspect joined that one counter convicts: a loop's sockets and its other descriptors.

    Each would tell the whole rate of the counter that they share as its own.
    """
    found: dict[object, Case] = {}
    for number, case in enumerate(cases):
        shared = case.verdict is Verdict.LEAK and bool(case.things)
        key = (*case.suspect.key[:3], case.counter, case.status) if shared else number
        first = found.get(key)
        found[key] = case if first is None else replace(first, things=(*first.things, *case.things))
    return list(found.values())
