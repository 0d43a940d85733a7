"""A casebook as a story: every sentence, every number and the choice of what is shown are made here, once; pure.

Reporters give it a form. They leave nothing out and add no words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaktrace.casebook.causes import causes, joined
from leaktrace.casebook.model import Case, Casebook
from leaktrace.report.accounts import account_sections
from leaktrace.report.cases import KNOWN, case_section, is_known, known_section
from leaktrace.report.commands import ALL_OF_THEM, confirm, resume
from leaktrace.report.model import Row, Section, Story, Text
from leaktrace.report.suspects import suspect_sections
from leaktrace.report.things import is_moot
from leaktrace.suspects.model import Note
from leaktrace.verdict.model import Verdict
from leaktrace.words import count, megabytes


SHOWN = 20


def story_of(book: Casebook, peaks: Sequence[tuple[str, int]] = ()) -> Story:
    """All that is said of a run; `peaks` are the tests with the highest resident memory, which no casebook has."""
    return Story(title=title(book), findings=tuple(_findings(book)), run=tuple(_run(book, peaks)))


def title(book: Casebook) -> str:
    """How many suspects, or how many causes of each verdict."""
    unjudged = f", {len(book.left_out)} not judged" if book.left_out else ""
    if _is_unjudged(book):
        return f"leaktrace: {count(len(book.suspects), 'suspect')}{unjudged}"
    found: dict[str, list[tuple[Case, ...]]] = {}
    for cause in causes(told(book)):
        found.setdefault(KNOWN if is_known(cause[0]) else cause[0].verdict.value, []).append(cause)
    words = []
    for word in (*(verdict.value for verdict in Verdict), KNOWN):
        if word in found:
            cases = sum(map(len, found[word]))
            words.append(f"{len(found[word])} {word}" + (f" in {cases} cases" if cases > len(found[word]) else ""))
    return f"leaktrace: {', '.join(words) or 'no leak'}{unjudged}"


def told(book: Casebook) -> list[Case]:
    """The cases that are worth a word: not what a hunt looked at more closely, and acquitted of next to nothing."""
    return joined(case for case in book.cases if not (book.mode == "hunt" and _is_trifle(case, book.limit_bytes)))


def is_quiet(book: Casebook) -> bool:
    """Whether there is nothing to report but one line."""
    if book.left_out:
        return False
    if book.mode == "hunt" and book.cases:
        return not (told(book) or book.notes or book.warnings or _has_died(book))
    return not (book.suspects or book.cases or book.notes or book.warnings or _has_died(book))


def _is_unjudged(book: Casebook) -> bool:
    """Whether there are suspects alone."""
    return book.mode == "watch" or not book.cases


def _is_trifle(case: Case, limit_bytes: int) -> bool:
    """A test that grew by little; a fixture or group that grew by nothing, for a hunt tries every wider fixture."""
    small = case.suspect.grew_by < limit_bytes or not case.suspect.counter.endswith("_bytes")
    return (
        case.verdict in (Verdict.STEADY, Verdict.ONE_TIME)
        and (case.suspect.subject == "test" or not case.suspect.grew_by)
        and small
        and not case.things
    )


def _findings(book: Casebook) -> Iterator[Section]:
    if _is_unjudged(book):
        yield from (section for suspect in book.suspects[:SHOWN] for section in suspect_sections(suspect))
        if len(book.suspects) > SHOWN:
            yield Section(kind="more", headline=_more(len(book.suspects)))
    else:
        yield from _cases(book)
        changed = [suspect for suspect in book.suspects if suspect.kind == "state"]
        yield from (section for suspect in changed[:SHOWN] for section in suspect_sections(suspect))
    yield from map(_note, book.notes[:SHOWN])
    if book.left_out:
        yield _left_out(book)


def _cases(book: Casebook) -> Iterator[Section]:
    """A section for each cause; known leaks of others come last."""
    for case, *others in sorted(causes(told(book)), key=lambda cause: is_known(cause[0])):
        if not is_moot(case):
            yield known_section(case, others) if is_known(case) else case_section(case, others)


def _note(note: Note) -> Section:
    amount = f"{megabytes(note.size_bytes)} " if note.size_bytes else ""
    return Section(kind="note", heading=note.slug.upper(), headline=Text(f"{amount}in {note.nodeid}: {note.text}"))


def _left_out(book: Casebook) -> Section:
    """What was not judged, and the command that goes on."""
    names = [Text(name, whole=True) for name in book.left_out[:SHOWN]]
    if len(book.left_out) > SHOWN:
        names.append(_more(len(book.left_out)))
    return Section(
        kind="unjudged",
        headline=Text(f"leaktrace: not judged: {len(book.left_out)}; to go on:", whole=True),
        command=resume(book.mode),
        rows=tuple(Row("", (name,)) for name in names),
    )


def _more(number: int) -> Text:
    """How many are not shown, and where they are."""
    return Text(f"and {number - SHOWN} more: {ALL_OF_THEM}", whole=True)


def _run(book: Casebook, peaks: Sequence[tuple[str, int]]) -> Iterator[Section]:
    yield from account_sections(book, peaks)
    yield from _died(book)
    yield from (Section(kind="warning", heading="warning:", headline=Text(text)) for text in book.warnings)
    if book.suspects and book.mode == "watch":
        question = Text("Are they leaks, and what keeps them alive? Run:", whole=True)
        yield Section(kind="next", headline=question, command=confirm())


def _died(book: Casebook) -> Iterator[Section]:
    """Processes whose journal has no end."""
    for process in book.processes:
        if not process.complete:
            running = f" while running {process.running}" if process.running else ""
            text = f"worker {process.worker} died{running}; its readings come from its journal"
            yield Section(kind="died", headline=Text(text, whole=True))


def _has_died(book: Casebook) -> bool:
    return any(not process.complete for process in book.processes)
