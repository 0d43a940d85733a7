"""The story as lines for a terminal: 80 columns, no colour needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaktrace.casebook.model import Case, Casebook
from leaktrace.report.cases import case_section
from leaktrace.report.layout import section_lines
from leaktrace.report.model import Section
from leaktrace.report.story import story_of
from leaktrace.report.suspects import suspect_sections
from leaktrace.suspects.model import Suspect


WIDTH = 80


def lines(book: Casebook, peaks: Sequence[tuple[str, int]] = (), *, width: int = WIDTH) -> Iterator[str]:
    """The report of a run with something to say: what was found, then the run as a whole."""
    story = story_of(book, peaks)
    for section in story.findings:
        yield from _section(section, width)
    yield ""
    for section in story.run:
        yield from _section(section, width)


def leaked(suspect: Suspect, *, width: int = WIDTH) -> Iterator[str]:
    """One suspect, before it is judged."""
    for section in suspect_sections(suspect):
        yield from _section(section, width)


def block(case: Case, others: Sequence[Case] = (), *, width: int = WIDTH) -> Iterator[str]:
    """One case."""
    yield from _section(case_section(case, others), width)


def _section(section: Section, width: int) -> Iterator[str]:
    """A case has many lines, so that an empty one follows it."""
    yield from section_lines(section, width)
    if section.kind == "case":
        yield ""
