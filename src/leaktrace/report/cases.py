"""A case as a section: who, how sure, how much, why, and how to see it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaktrace.casebook.causes import made_at
from leaktrace.casebook.model import Case
from leaktrace.report.commands import again, bisects
from leaktrace.report.exhibit import exhibit_rows, held_by
from leaktrace.report.model import Place, Row, Section, Text
from leaktrace.report.suspects import fixture_named
from leaktrace.report.things import thing_rows
from leaktrace.verdict.model import Verdict
from leaktrace.verdict.words import NOUNS, named_amount
from leaktrace.words import count, megabytes, size


KNOWN = "KNOWN"
SAME = 8
"""So many others of one cause are named."""
SHOWN_BEFORE = 5
"""More tests that must run before are counted instead."""
SHOWN_IMPORTS = 6
LEAST_TOLD_BYTES = 1_000
ACCUSED = (Verdict.LEAK, Verdict.UNDECIDED, Verdict.UNREPLAYABLE)
ACQUITTED = (Verdict.ONE_TIME, Verdict.STEADY, Verdict.CACHE)


def case_section(case: Case, others: Sequence[Case] = ()) -> Section:
    """One case, with the others of the same cause."""
    headline: Text | Place = Text(case.suspect.name, whole=True)
    if case.suspect.subject == "fixture":
        headline = Place(fixture_named(case.suspect.name, case.suspect.scope, case.suspect.where), case.suspect.where)
    rows = (*_judgement(case), *_explanation(case), *_also(case, others), *_to_see_it(case))
    return Section(kind="case", heading=case.verdict.value, headline=headline, rows=rows)


def known_section(case: Case, others: Sequence[Case] = ()) -> Section:
    """A known leak of somebody else: whose it is, how much, and what can be done."""
    known = case.known
    assert known is not None
    rows = (
        Row("", (Text(f"{known.package} {known.version}: {known.blame} ({known.id})"),)),
        _how_much(case),
        *([held_by(case.exhibit.holder)] if case.exhibit.holder is not None else ()),
        Row("remedy", (Text(known.remedy),)),
        *_also(case, others),
    )
    return Section(kind="case", heading=KNOWN, headline=Text(case.suspect.name, whole=True), rows=rows)


def is_known(case: Case) -> bool:
    """Whether it is a known leak of somebody else, shown behind all others."""
    return case.known is not None


def _judgement(case: Case) -> Iterator[Row]:
    """What the runs say."""
    if case.suspect.subject == "group":
        each = (
            "" if case.things else f", {megabytes(case.suspect.grew_by / max(1, case.suspect.tests))} each in the suite"
        )
        yield Row("", (Text(f"{count(case.suspect.tests, 'test')} together{each}", whole=True),))
    yield Row("", (Text(case.reason),))


def _explanation(case: Case) -> Iterator[Row]:
    """What is behind it, as far as the verdict makes that worth a word."""
    if case.verdict in ACCUSED:
        yield from thing_rows(case)
    if case.verdict is Verdict.LEAK:
        yield _how_much(case)
        yield from exhibit_rows(case)
    elif case.verdict is Verdict.UNDECIDED and case.exhibit.holder is not None:
        yield held_by(case.exhibit.holder)
    if case.suspect.imports and case.verdict in ACQUITTED:
        yield Row("imported", (Text(", ".join(case.suspect.imports[:SHOWN_IMPORTS])),))
    if case.verdict is Verdict.STEADY and (case.things or case.suspect.grew_by):
        yield from _in_the_suite(case)


def _also(case: Case, others: Sequence[Case]) -> Iterator[Row]:
    """Who else leaks by the same cause, and how much."""
    if not others:
        return
    more = count(len(others), "other case")
    mark = case.exhibit.fingerprint
    shared = f"fingerprint {mark}" if {each.exhibit.fingerprint for each in others} == {mark} else f"{made_at(case)}"
    values = [Text(f"{more} of the same cause, {shared}:")]
    for each in others[:SAME]:
        rate = each.per_run.get(each.counter or "")
        much = "" if rate is None or each.counter is None else f", {_counted(each.counter, rate.estimate)}"
        values.append(Text(f"{each.suspect.name}{much}"))
    if len(others) > SAME:
        values.append(Text(f"and {len(others) - SAME} more", whole=True))
    yield Row("also", tuple(values))


def _to_see_it(case: Case) -> Iterator[Row]:
    """The tests without which an accused case does not leak, and the command that shows it again."""
    if case.verdict not in ACCUSED:
        return
    if case.after:
        few = len(case.after) <= SHOWN_BEFORE
        named = ", ".join(case.after) if few else f"the {len(case.after)} tests that ran before it"
        yield Row("only after", (Text(f"{named}; alone it is steady"),))
    yield again(case)


def _in_the_suite(case: Case) -> Iterator[Row]:
    """What a suspect that is steady alone had done, and the command that finds out why."""
    if case.things:
        seen = "it left something behind"
    elif case.suspect.counter.endswith("_bytes") and case.suspect.grew_by >= LEAST_TOLD_BYTES:
        seen = f"it grew by {size(case.suspect.grew_by)}"
    else:
        seen = "it grew"
    yield Row("in the suite", (Text(f"{seen}: what ran before it matters"),))
    if bisects(case):
        yield again(case)


def _how_much(case: Case) -> Row:
    return Row("how much", (Text(_rate(case)),))


def _rate(case: Case) -> str:
    """Growth a run, with its interval, and how many runs said so."""
    rate = case.per_run.get(case.counter or "")
    if rate is None or case.counter is None:
        return f"{megabytes(case.suspect.grew_by)} in the suite"
    shown = named_amount(case.counter, rate.estimate)
    low, high = named_amount(case.counter, rate.low), named_amount(case.counter, rate.high)
    interval = "" if low == high == shown else f" [{low}, {high}]"
    unit = "test" if case.suspect.subject == "group" else "run"
    how_much = f"{_counted(case.counter, rate.estimate)}{interval} a {unit}"
    return f"{how_much}, over {count(case.runs, 'run')}, {case.warmups} of them warm-ups"


def _counted(counter: str, value: float) -> str:
    """`1 file descriptor`, `2.5 blocks`; sizes bear their unit."""
    shown = named_amount(counter, value)
    one, many = NOUNS.get(counter, (counter, counter))
    return shown if counter.endswith("_bytes") else f"{shown} {one if shown == '1' else many}"
