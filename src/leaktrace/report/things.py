"""What was left behind: one sentence a thing, in the words of whoever made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaktrace.casebook.model import Case
from leaktrace.probes.model import Thing
from leaktrace.probes.words import sentence, wording
from leaktrace.report.model import Place, Row
from leaktrace.verdict.model import Verdict


SHOWN_THINGS = 3


def is_moot(case: Case) -> bool:
    """Whether a case needs no word: files that came while a test ran, and that no replay made again."""
    return case.suspect.kind == "files" and case.verdict in (Verdict.STEADY, Verdict.ONE_TIME)


def head(thing: Thing) -> str:
    """The verb of a line in capitals: LEFT OPEN, LEFT RUNNING, LEFT BEHIND, CHANGED."""
    if thing.kind == "state":
        return "CHANGED"
    still = wording(thing).still
    if still.endswith("open"):
        return "LEFT OPEN"
    return {"threads": "LEFT RUNNING", "processes": "LEFT RUNNING", "tasks": "LEFT PENDING"}.get(
        thing.kind, "LEFT BEHIND"
    )


def named(thing: Thing) -> str:
    """Which one, with what is known of it."""
    detail = f" ({thing.detail})" if thing.detail else ""
    return f"{thing.noun} {thing.name}".rstrip() + detail


def thing_rows(case: Case) -> Iterator[Row]:
    """A sentence for each kind of thing of a case, with what to do; first those whose line is known."""
    for thing in sorted(distinct(case.things), key=lambda thing: not thing.where)[:SHOWN_THINGS]:
        owner, fixture = owner_of(case, thing)
        yield Row("", (Place(sentence(thing, owner=owner, fixture=fixture), thing.where or ""),))


def distinct(things: Sequence[Thing]) -> list[Thing]:
    """One for each place and noun: each run leaves another of the same."""
    found: dict[tuple[object, ...], Thing] = {}
    for thing in things:
        place = thing.where or thing.name
        found.setdefault((thing.noun, thing.owner, place if thing.where else ""), thing)
    return list(found.values())


def owner_of(case: Case, thing: Thing) -> tuple[str, bool]:
    """Who made it, in words, and whether that is a fixture."""
    if thing.owner:
        return thing.owner, True
    if case.suspect.subject == "fixture":
        return f"fixture `{case.suspect.name}` ({case.suspect.where})", True
    return "the test", False
