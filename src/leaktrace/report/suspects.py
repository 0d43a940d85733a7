"""What a watch has seen, as sections: who grew, who left what behind."""

from __future__ import annotations

from collections.abc import Iterator

from leaktrace.report.model import Place, Row, Section, Text
from leaktrace.report.things import SHOWN_THINGS, head, named
from leaktrace.suspects.model import Suspect
from leaktrace.words import count, megabytes


SHOWN_NAMES = 5
"""So many imports, or fixtures in common, say what it may be."""


def suspect_sections(suspect: Suspect) -> Iterator[Section]:
    """One section for what grew: `LEAKED 712MB in tests/test_service.py::test_connection`; else one for each thing."""
    if suspect.things:
        yield from _left(suspect)
    else:
        yield Section(kind="suspect", heading="LEAKED", headline=_grown(suspect), rows=tuple(_remarks(suspect)))


def fixture_named(name: str, scope: str, where: str) -> str:
    """A fixture, as each headline names it."""
    return f"fixture {name} ({scope} scope, {where})"


def _left(suspect: Suspect) -> Iterator[Section]:
    """`LEFT OPEN socket 127.0.0.1:41234 by tests/test_db.py::test_query`, and the like for what cannot be open."""
    is_fixture = suspect.subject == "fixture"
    whom = fixture_named(suspect.name, suspect.scope, suspect.where) if is_fixture else suspect.name
    shown = suspect.things[:SHOWN_THINGS]
    for number, thing in enumerate(shown, start=1):
        text = f"{named(thing)} by {f'{thing.owner} of {whom}' if thing.owner else whom}"
        yield Section(
            kind="suspect",
            heading=head(thing),
            headline=Place(text, suspect.where) if is_fixture else Text(text),
            rows=tuple(_rest(suspect)) if number == len(shown) else (),
        )


def _rest(suspect: Suspect) -> Iterator[Row]:
    """What stands below the last thing of a suspect."""
    more = len(suspect.things) - SHOWN_THINGS
    if more > 0:
        yield _line(f"and {count(more, 'thing')} more like these")
    if suspect.imports:
        yield _line(f"it imported {', '.join(suspect.imports[:SHOWN_NAMES])}, which may have left it there once")


def _grown(suspect: Suspect) -> Text | Place:
    """By how much, and who."""
    head = f"{megabytes(suspect.grew_by)} in "
    if suspect.subject == "fixture":
        return Place(f"{head}{fixture_named(suspect.name, suspect.scope, suspect.where)}", suspect.where)
    return Text(f"{head}{suspect.name}", whole=True)


def _remarks(suspect: Suspect) -> Iterator[Row]:
    """What else is known before any replay."""
    if suspect.subject == "fixture":
        yield Row("", (Text(f"not repaid by its finalizer; first used by {suspect.nodeids[0]}"),))
    elif suspect.subject == "group":
        text = f"{count(suspect.tests, 'test')} together, {megabytes(suspect.grew_by / suspect.tests)} each"
        if suspect.common:
            fixtures = "fixture" if len(suspect.common) == 1 else "fixtures"
            text += f"; all of them use {fixtures} {', '.join(suspect.common[:SHOWN_NAMES])}"
        yield Row("", (Text(text),))
    elif suspect.imports:
        yield _line(f"likely one-time: it imported {', '.join(suspect.imports[:SHOWN_NAMES])}")


def _line(text: str) -> Row:
    return Row("", (Text(text, whole=True),))
