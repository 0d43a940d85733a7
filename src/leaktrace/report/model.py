"""The nouns of a story: what is said, in which order, and of which kind each value is. They know nothing of leaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias


SectionKind = Literal[
    "suspect", "case", "note", "more", "unjudged", "process", "loans", "peaks", "died", "warning", "next"
]


@dataclass(frozen=True, slots=True)
class Text:
    """Words: a sentence, a phrase or a name, as they are; each layout escapes them for its own form.

    Attributes:
        whole: whether they stay on one line, however long: who copies a node id needs it in one piece.
    """

    text: str
    whole: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Words in which a line of a file is named.

    Attributes:
        where: `file:line`, as it stands in the text, or "" where it is not known.
    """

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Command:
    """What to type into a shell."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines of source, with marks below them."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One hop of a path.

    Attributes:
        text: how it is reached from the hop before, or what the first one is called.
        type: the type of what is there, or "".
        status, reason: its label, NO, YES or UNKNOWN, and why it is labelled so, or "".
        marked: whether the cause is among the hops that are marked.
    """

    text: str
    type: str
    status: str
    reason: str
    marked: bool


@dataclass(frozen=True, slots=True)
class Path:
    """The way from a named root to the thing, hop by hop."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Amounts:
    """One line of a table: amounts, each with its unit, and whose they are."""

    amounts: tuple[str, ...]
    text: str


Value: TypeAlias = Text | Place | Command | Code | Path | Amounts


@dataclass(frozen=True, slots=True)
class Row:
    """A label, and what there is to say under it.

    Attributes:
        label: one or two words, or "" where the value speaks for itself.
        values: the first one stands beside the label, the others stand below the first.
        depth: how far it is from the headline: 1 for a row of the section, 2 for a remark on the headline.
    """

    label: str
    values: tuple[Value, ...]
    depth: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One thing that is said.

    Attributes:
        kind: what it is about, for reporters that show each kind in its own way.
        heading: the word in capitals that it begins with (`LEAK`, `LEFT OPEN`), or "".
        headline: whose it is, or all of it in one sentence.
        command: a command that ends the headline, or None.
        rows: what is known of it, in the order in which it is read.
    """

    kind: SectionKind
    heading: str = ""
    headline: Text | Place
    command: Command | None = None
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that is said of a run.

    Attributes:
        title: the verdicts, counted.
        findings: what was found, gravest first.
        run: what there is to say of the run as a whole: its memory, its processes, its warnings.
    """

    title: str
    findings: tuple[Section, ...]
    run: tuple[Section, ...]

    @property
    def sections(self) -> tuple[Section, ...]:
        """All of them, in the order in which they are read."""
        return (*self.findings, *self.run)
