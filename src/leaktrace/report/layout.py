"""How sections become lines of a given width: wrapped, indented, in columns; it knows nothing of what they say."""

from __future__ import annotations

from collections.abc import Iterator

from leaktrace.report.model import Amounts, Code, Command, Path, Place, Row, Section, Text, Value
from leaktrace.words import escaped, wrapped


INDENT = "  "
HEADING = 5
LABEL = 14
AMOUNT = 8
HANGING = " " * 4
CALLER = " " * 3
"""A place that stands below another one hangs by this."""
HOP = " " * 6


def section_lines(section: Section, width: int) -> Iterator[str]:
    """The headline, then the rows; nothing in it moves a cursor or rings a bell, whoever made the names in it."""
    yield from map(escaped, _headline(section, width))
    for row in section.rows:
        yield from map(escaped, _row(row, width))


def _headline(section: Section, width: int) -> list[str]:
    heading = f"{section.heading:<{HEADING}} " if section.heading else ""
    command = f" {section.command.text}" if section.command is not None else ""
    text = f"{heading}{section.headline.text}{command}"
    if isinstance(section.headline, Text) and section.headline.whole:
        return [text]
    return wrapped(text, first="", indent=HANGING, width=width)


def _row(row: Row, width: int) -> Iterator[str]:
    """The label with the first value, and the others below that one."""
    start = INDENT * row.depth
    first = f"{start}{row.label:<{LABEL}}" if row.label else start
    margin = start + " " * LABEL if row.label else start
    for number, value in enumerate(row.values):
        hanging = "" if number == 0 else CALLER if isinstance(value, Place) else HANGING
        yield from _value(value, margin if number else first, margin, f"{margin}{hanging}", width)


def _value(value: Value, first: str, margin: str, hanging: str, width: int) -> Iterator[str]:
    """The lines of one value: the first one begins with `first`."""
    match value:
        case Text(whole=True):
            yield f"{first}{value.text}"
        case Text() | Place() | Command():
            yield from wrapped(value.text, first=first, indent=hanging, width=width)
        case Code():
            for number, line in enumerate(value.lines):
                yield f"{margin if number else first}{line}"[:width]
        case Amounts():
            yield f"{first}{' '.join(f'{amount:>{AMOUNT}}' for amount in value.amounts)}{INDENT}{value.text}"
        case Path():
            yield from _path(value, first, margin, width)


def _path(path: Path, first: str, margin: str, width: int) -> Iterator[str]:
    """A step a line, each with its label in brackets; what is marked is underlined."""
    last = len(path.steps) - 1
    for number, step in enumerate(path.steps):
        lead = "" if number == 0 else "'> " if number == last else "|- "
        text = f"{step.text} : {step.type}" if step.type else step.text
        label = f"{step.status}: {step.reason}" if step.reason else step.status
        start = margin if number else first
        yield from wrapped(f"{text}  [{label}]", first=f"{start}{lead}", indent=f"{margin}{HOP}", width=width)
        if step.marked:
            bar = "   " if number == last else "|  "
            yield f"{margin}{bar}{'~' * min(len(step.text), width - len(margin) - len(bar))}"
