"""The casebook as lines for a terminal: 80 columns, no colour needed, nothing to say but one line when all is well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from leaktrace.casebook.causes import causes, joined, made_at
from leaktrace.casebook.model import Case, Casebook
from leaktrace.probes.model import RSS_BYTES
from leaktrace.report.exhibit import exhibit_lines
from leaktrace.report.quiet import all_well
from leaktrace.report.things import is_moot, left_open, thing_lines
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.model import Verdict
from leaktrace.verdict.words import NOUNS, named_amount
from leaktrace.words import count, escaped, megabytes, size, wrapped


WIDTH = 80
LABEL = 14
INDENT = "  "
SHOWN = 20
SAME = 8
FEW = 5
BISECT = "leaktrace bisect "
GO_ON = {"hunt": "--leaktrace-hunt"}
ACCUSED = (Verdict.LEAK, Verdict.UNDECIDED, Verdict.UNREPLAYABLE)


def title(book: Casebook) -> str:
    """What stands in the section's rule."""
    unjudged = f", {len(book.left_out)} not judged" if book.left_out else ""
    if book.mode == "watch" or not book.cases:
        return f"leaktrace: {count(len(book.suspects), 'suspect')}{unjudged}"
    found: dict[str, list[tuple[Case, ...]]] = {}
    for cause in causes(told(book)):
        found.setdefault("KNOWN" if is_known(cause[0]) else cause[0].verdict.value, []).append(cause)
    words = []
    for word in (*(verdict.value for verdict in Verdict), "KNOWN"):
        if word in found:
            cases = sum(map(len, found[word]))
            words.append(f"{len(found[word])} {word}" + (f" in {cases} cases" if cases > len(found[word]) else ""))
    return f"leaktrace: {', '.join(words) or 'no leak'}{unjudged}"


def told(book: Casebook) -> list[Case]:
    """The cases that are worth a word: not what a hunt looked at more closely, and acquitted of next to nothing."""
    return joined(case for case in book.cases if not (book.mode == "hunt" and _is_trifle(case, book.limit_bytes)))


def _is_trifle(case: Case, limit_bytes: int) -> bool:
    small = case.suspect.grew_by < limit_bytes or not case.suspect.counter.endswith("_bytes")
    return (
        case.verdict in (Verdict.STEADY, Verdict.ONE_TIME)
        and (case.suspect.subject == "test" or not case.suspect.grew_by)
        and small
        and not case.things
    )


def one_line(book: Casebook, tests: int) -> str:
    """All that is said when nothing is wrong."""
    return all_well(tests, book.limit_bytes)


def is_quiet(book: Casebook) -> bool:
    """Whether there is nothing to report but one line."""
    if book.left_out:
        return False
    if book.mode == "hunt" and book.cases:
        return not (told(book) or book.notes or book.warnings or _died(book))
    return not (book.suspects or book.cases or book.notes or book.warnings or _died(book))


def lines(book: Casebook, peaks: Sequence[tuple[str, int]]) -> Iterator[str]:
    """The report of a run with something to say; nothing in it moves a cursor or rings a bell."""
    return map(escaped, _lines(book, peaks))


def _lines(book: Casebook, peaks: Sequence[tuple[str, int]]) -> Iterator[str]:
    if book.mode == "watch" or not book.cases:
        yield from (line for suspect in book.suspects[:SHOWN] for line in leaked(suspect))
        if len(book.suspects) > SHOWN:
            yield f"and {len(book.suspects) - SHOWN} more: see --leaktrace-json=PATH"
    else:
        for case, *others in sorted(causes(told(book)), key=lambda cause: is_known(cause[0])):
            if not is_moot(case):
                yield from known(case, others) if is_known(case) else block(case, others)
        changed = [suspect for suspect in book.suspects if suspect.kind == "state"]
        yield from (line for suspect in changed[:SHOWN] for line in leaked(suspect))
    for note in book.notes[:SHOWN]:
        yield from wrapped(
            " ".join([note.slug.upper(), *([megabytes(note.size_bytes)] if note.size_bytes else ()), "in", note.nodeid])
            + f": {note.text}",
            indent="    ",
            width=WIDTH,
            first="",
        )
    if book.left_out:
        command = f"pytest {GO_ON.get(book.mode, '--leaktrace')} --leaktrace-resume"
        yield f"leaktrace: not judged: {len(book.left_out)}; to go on: {command}"
        yield from (f"{INDENT}{name}" for name in book.left_out[:SHOWN])
        if len(book.left_out) > SHOWN:
            yield f"{INDENT}and {len(book.left_out) - SHOWN} more: see --leaktrace-json=PATH"
    yield ""
    yield from _accounts(book, peaks)
    yield from _died(book)
    for text in book.warnings:
        yield from wrapped(f"warning: {text}", indent="    ", width=WIDTH, first="")
    if book.suspects and book.mode == "watch":
        yield "Are they leaks, and what keeps them alive? Run: pytest --leaktrace"


def leaked(suspect: Suspect) -> Iterator[str]:
    """The oldest line of this tool: `LEAKED 712MB in tests/test_service.py::test_connection`."""
    if suspect.things:
        yield from left_open(suspect)
        return
    head = f"LEAKED {megabytes(suspect.grew_by)} in "
    if suspect.subject == "fixture":
        text = f"{head}fixture {suspect.name} ({suspect.scope} scope, {suspect.where})"
        yield from wrapped(text, first="", indent="    ", width=WIDTH)
        text = f"not repaid by its finalizer; first used by {suspect.nodeids[0]}"
        yield from wrapped(text, indent=INDENT, width=WIDTH)
    elif suspect.subject == "group":
        yield f"{head}{suspect.name}"
        text = f"{count(suspect.tests, 'test')} together, {megabytes(suspect.grew_by / suspect.tests)} each"
        if suspect.common:
            text += (
                f"; all of them use fixture{'' if len(suspect.common) == 1 else 's'} {', '.join(suspect.common[:FEW])}"
            )
        yield from wrapped(text, indent=INDENT, width=WIDTH)
    else:
        yield f"{head}{suspect.name}"
        if suspect.imports:
            yield f"{INDENT}likely one-time: it imported {', '.join(suspect.imports[:5])}"


def block(case: Case, others: Sequence[Case] = ()) -> Iterator[str]:
    """One case: who, how sure, how much, why, and how to see it again; with the others of the same cause."""
    head = f"{case.verdict.value:<5} "
    if case.suspect.subject == "fixture":
        text = f"{head}fixture {case.suspect.name} ({case.suspect.scope} scope, {case.suspect.where})"
        yield from wrapped(text, first="", indent="    ", width=WIDTH)
    else:
        yield f"{head}{case.suspect.name}"
    if case.suspect.subject == "group":
        each = (
            "" if case.things else f", {megabytes(case.suspect.grew_by / max(1, case.suspect.tests))} each in the suite"
        )
        yield f"{INDENT}{count(case.suspect.tests, 'test')} together{each}"
    yield from wrapped(case.reason, indent=INDENT, width=WIDTH)
    if case.verdict in ACCUSED:
        yield from thing_lines(case, WIDTH)
    if case.verdict is Verdict.LEAK:
        yield from _labelled("how much", _rate(case))
        yield from exhibit_lines(replace(case, exhibit=replace(case.exhibit, fix="")) if case.things else case, WIDTH)
    elif case.verdict is Verdict.UNDECIDED and case.exhibit.holder is not None:
        yield from _labelled("held by", case.exhibit.holder.name)
    if case.suspect.imports and case.verdict in (Verdict.ONE_TIME, Verdict.STEADY, Verdict.CACHE):
        yield from _labelled("imported", ", ".join(case.suspect.imports[:6]))
    if case.verdict is Verdict.STEADY and (case.things or case.suspect.grew_by):
        yield from _in_the_suite(case)
    yield from _also(case, others)
    if case.verdict in ACCUSED:
        yield from _after(case)
        yield from _labelled("find them" if case.reproduce.startswith(BISECT) else "again", case.reproduce)
    yield ""


def is_known(case: Case) -> bool:
    """Whether it is a known leak of somebody else, shown behind all others."""
    return case.known is not None


def known(case: Case, others: Sequence[Case] = ()) -> Iterator[str]:
    """A known leak of somebody else: whose it is, how much, and what can be done."""
    assert case.known is not None
    yield f"{'KNOWN':<5} {case.suspect.name}"
    yield from wrapped(
        f"{case.known.package} {case.known.version}: {case.known.blame} ({case.known.id})", indent=INDENT, width=WIDTH
    )
    yield from _labelled("how much", _rate(case))
    if case.exhibit.holder is not None:
        yield from _labelled("held by", case.exhibit.holder.name)
    yield from _labelled("remedy", case.known.remedy)
    yield from _also(case, others)
    yield ""


def _also(case: Case, others: Sequence[Case]) -> Iterator[str]:
    """Who else leaks by the same cause, and how much."""
    if not others:
        return
    more = count(len(others), "other case")
    mark = case.exhibit.fingerprint
    shared = f"fingerprint {mark}" if {each.exhibit.fingerprint for each in others} == {mark} else f"{made_at(case)}"
    yield from _labelled("also", f"{more} of the same cause, {shared}:")
    margin = " " * (LABEL + len(INDENT))
    for each in others[:SAME]:
        rate = each.per_run.get(each.counter or "")
        much = "" if rate is None or each.counter is None else f", {_counted(each.counter, rate.estimate)}"
        yield from wrapped(f"{each.suspect.name}{much}", first=margin, indent=f"{margin}    ", width=WIDTH)
    if len(others) > SAME:
        yield f"{margin}and {len(others) - SAME} more"


def _in_the_suite(case: Case) -> Iterator[str]:
    """What a suspect that is steady alone had done, and the command that finds out why."""
    if case.things:
        seen = "it left something behind"
    elif case.suspect.counter.endswith("_bytes") and case.suspect.grew_by >= 1_000:  # noqa: PLR2004 - 1 kB
        seen = f"it grew by {size(case.suspect.grew_by)}"
    else:
        seen = "it grew"
    yield from _labelled("in the suite", f"{seen}: what ran before it matters")
    if case.reproduce.startswith(BISECT):
        yield from _labelled("find them", case.reproduce)


def _after(case: Case) -> Iterator[str]:
    """The tests without which it does not leak."""
    if not case.after:
        return
    named = ", ".join(case.after) if len(case.after) <= FEW else f"the {len(case.after)} tests that ran before it"
    yield from _labelled("only after", f"{named}; alone it is steady")


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


def _labelled(label: str, text: str) -> list[str]:
    return wrapped(text, first=f"{INDENT}{label:<{LABEL}}", indent=" " * (LABEL + len(INDENT)), width=WIDTH)


def _accounts(book: Casebook, peaks: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Where the resident memory of the run went, and the highest peaks, in a short table."""
    name = RSS_BYTES.name
    for process in book.processes:
        parts = []
        for account in ("tests", "fixtures", "imports", "harness", "collection"):
            value = process.accounts.get(account, {}).get(name)
            if isinstance(value, int):
                parts.append(f"{account} {value / 1e6:+.1f}")
        first, last = process.first.get(name), process.last.get(name)
        if not parts or not isinstance(first, int):
            continue
        grown = f", {megabytes(first)} to {megabytes(last)}" if isinstance(last, int) else ""
        yield from wrapped(
            f"{process.worker}{grown} resident, MB by account: {', '.join(parts)}", indent="    ", width=WIDTH, first=""
        )
        if process.slope_bytes_per_test and process.slope_bytes_per_test > 1_000:  # noqa: PLR2004 - a page in four tests
            yield f"    the whole run grew by {size(process.slope_bytes_per_test)} a test"
    loans = sorted(
        (f for f in book.fixtures if f.scope != "function" and _rss(f.loan) > 1_000_000),  # noqa: PLR2004 - 1 MB
        key=lambda f: -_rss(f.loan),
    )[:5]
    if loans:
        yield "loans of wider fixtures (lent, kept after their finalizers)"
        for each in loans:
            amounts = f"  {megabytes(_rss(each.loan)):>8} {megabytes(_rss(each.kept)):>8}  "
            yield f"{amounts}{each.name} ({each.scope}, {each.where})"
    if peaks:
        yield "highest peaks of resident memory"
        for nodeid, peak in peaks:
            yield f"  {megabytes(peak):>8}  {nodeid}"


def _rss(growth: object) -> int:
    value = growth.get(RSS_BYTES.name, 0) if hasattr(growth, "get") else 0
    return value if isinstance(value, int) else 0


def _died(book: Casebook) -> list[str]:
    """Processes whose journal has no end."""
    return [
        f"worker {process.worker} died"
        + (f" while running {process.running}" if process.running else "")
        + "; its readings come from its journal"
        for process in book.processes
        if not process.complete
    ]
