"""What was left behind, as lines for a terminal: one sentence a thing, in the words of whoever made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaktrace.casebook.model import Case
from leaktrace.probes.model import Thing
from leaktrace.probes.words import sentence, wording
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.model import Verdict
from leaktrace.words import count, wrapped


WIDTH = 80
INDENT = "  "
SHOWN = 3


def left_open(suspect: Suspect) -> Iterator[str]:
    """`LEFT OPEN socket 127.0.0.1:41234 by tests/test_db.py::test_query`, and the like for what cannot be open."""
    if suspect.subject == "fixture":
        whom = f"fixture {suspect.name} ({suspect.scope} scope, {suspect.where})"
    else:
        whom = suspect.name
    for thing in suspect.things[:SHOWN]:
        text = f"{head(thing)} {named(thing)} by {f'{thing.owner} of {whom}' if thing.owner else whom}"
        yield from wrapped(text, first="", indent=INDENT * 2, width=WIDTH)
    more = len(suspect.things) - SHOWN
    if more > 0:
        yield f"{INDENT}and {count(more, 'thing')} more like these"
    if suspect.imports:
        yield f"{INDENT}it imported {', '.join(suspect.imports[:5])}, which may have left it there once"


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


def thing_lines(case: Case, width: int) -> Iterator[str]:
    """A sentence for each kind of thing of a case, with what to do; first those whose line is known."""
    for thing in sorted(distinct(case.things), key=lambda thing: not thing.where)[:SHOWN]:
        owner, fixture = owner_of(case, thing)
        yield from wrapped(sentence(thing, owner=owner, fixture=fixture), indent=INDENT, width=width)


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
