"""What is said of a run: its sentences, its numbers, and what is left out; no line, no column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from builders import MB, of_suspect
from leaktrace.casebook.model import Casebook, Fixture
from leaktrace.probes.model import Thing, Unread
from leaktrace.report.model import Amounts, Command, Place, Row, Section, Text
from leaktrace.report.quiet import all_well
from leaktrace.report.story import is_quiet, story_of, title
from leaktrace.report.suspects import suspect_sections
from leaktrace.suspects.model import Note
from leaktrace.verdict.model import Rate, Verdict
from report.report_scenarios import NODEID, book, case, confirmed, suspect


def said(section: Section) -> list[Any]:
    """A section as text: its first line, then each row's label and what stands beside and below it."""
    command = section.command.text if section.command else ""
    first = " ".join(filter(None, [section.heading, section.headline.text, command]))
    return [first, *((row.label, *(getattr(value, "text", value) for value in row.values)) for row in section.rows)]


def said_of(**changes: Any) -> list[list[Any]]:
    return [said(section) for section in suspect_sections(suspect(**changes))]


def findings(given: Casebook) -> list[list[Any]]:
    return [said(section) for section in story_of(given).findings]


def run(given: Casebook, peaks: Sequence[tuple[str, int]] = ()) -> list[list[Any]]:
    return [said(section) for section in story_of(given, peaks).run]


def things(*names: str, kind: str = "sockets", noun: str = "socket", **changes: Any) -> tuple[Thing, ...]:
    return tuple(Thing(kind=kind, noun=noun, name=name, **changes) for name in names)


def test_a_test_over_the_limit_is_one_headline() -> None:
    assert said_of() == [[f"LEAKED 712MB in {NODEID}"]]


def test_an_import_is_named_as_likely_one_time() -> None:
    assert said_of(grew_by=15 * MB, imports=("pandas",)) == [
        [f"LEAKED 15MB in {NODEID}", ("", "likely one-time: it imported pandas")]
    ]


def test_a_fixture_is_named_with_its_place_and_not_as_its_user() -> None:
    given = {"subject": "fixture", "name": "database", "scope": "session", "where": "tests/conftest.py:7"}
    named = "fixture database (session scope, tests/conftest.py:7)"

    assert said_of(**given, grew_by=50 * MB) == [
        [
            f"LEAKED 50MB in {named}",
            ("", f"not repaid by its finalizer; first used by {NODEID}"),
        ]
    ]
    (section,) = suspect_sections(suspect(**given))
    assert section.headline == Place(f"712MB in {named}", "tests/conftest.py:7")


@pytest.mark.parametrize(
    ("common", "more"),
    [
        ((), ""),
        (("db",), "; all of them use fixture db"),
        (("db", "web"), "; all of them use fixtures db, web"),
    ],
)
def test_a_group_is_named_with_its_tests_and_what_they_share(common: tuple[str, ...], more: str) -> None:
    given = {"subject": "group", "name": "tests/test_a.py::test_variant", "tests": 200, "grew_by": 60 * MB}

    assert said_of(**given, common=common) == [
        ["LEAKED 60MB in tests/test_a.py::test_variant", ("", f"200 tests together, 0.3MB each{more}")]
    ]


@pytest.mark.parametrize(
    ("kind", "noun", "heading"),
    [
        ("sockets", "socket", "LEFT OPEN"),
        ("threads", "thread", "LEFT RUNNING"),
        ("tasks", "task", "LEFT PENDING"),
        ("files", "temporary file", "LEFT BEHIND"),
        ("state", "environment variable", "CHANGED"),
    ],
)
def test_what_was_left_behind_is_named_by_what_it_still_is(kind: str, noun: str, heading: str) -> None:
    assert said_of(name="a.py::b", things=things("x", kind=kind, noun=noun)) == [[f"{heading} {noun} x by a.py::b"]]


def test_what_a_fixture_left_open_is_named_with_the_fixture() -> None:
    given = {"subject": "fixture", "name": "db", "scope": "module", "where": "c.py:1"}

    assert said_of(**given, things=things("1", owner="the setup", detail="idle")) == [
        ["LEFT OPEN socket 1 (idle) by the setup of fixture db (module scope, c.py:1)"]
    ]


def test_of_many_things_some_are_named_and_the_others_counted_and_an_import_does_not_excuse_them() -> None:
    assert said_of(name="a.py::b", imports=("pandas",), things=things(*"12345")) == [
        ["LEFT OPEN socket 1 by a.py::b"],
        ["LEFT OPEN socket 2 by a.py::b"],
        [
            "LEFT OPEN socket 3 by a.py::b",
            ("", "and 2 things more like these"),
            ("", "it imported pandas, which may have left it there once"),
        ],
    ]


def test_a_quiet_run_is_one_sentence() -> None:
    assert is_quiet(book())
    assert all_well(3021, 10 * MB) == "leaktrace: 3,021 tests watched, none kept more than 10MB"


@pytest.mark.parametrize(
    "changes",
    [
        {"suspects": (suspect(),)},
        {"notes": (Note(slug="garbage", nodeid=NODEID, size_bytes=1, text="x"),)},
        {"warnings": ("a probe failed",)},
        {"processes": (replace(book().processes[0], complete=False),)},
    ],
)
def test_a_run_with_anything_to_say_is_not_quiet(changes: dict[str, Any]) -> None:
    assert not is_quiet(book(**changes))


@pytest.mark.parametrize("verdict", [Verdict.STEADY, Verdict.ONE_TIME])
def test_a_hunt_says_nothing_of_what_it_acquits_of_next_to_nothing(verdict: Verdict) -> None:
    small = case(verdict=verdict, reason="no", suspect_counter="blocks", grew_by=12)
    large = case(verdict=verdict, reason="no", suspect_counter="rss_bytes", grew_by=20 * MB)

    assert is_quiet(confirmed(small, mode="hunt"))
    assert not is_quiet(confirmed(large, mode="hunt"))
    assert not is_quiet(confirmed(small))
    assert title(book(mode="hunt", cases=(small, case()))) == "leaktrace: 1 LEAK"


@pytest.mark.parametrize("subject", ["fixture", "group"])
@pytest.mark.parametrize("verdict", [Verdict.STEADY, Verdict.ONE_TIME])
def test_a_hunt_says_nothing_of_a_fixture_or_group_that_grew_by_nothing(verdict: Verdict, subject: str) -> None:
    still = case(subject=subject, verdict=verdict, reason="no", suspect_counter="heap_bytes", grew_by=0)

    assert is_quiet(confirmed(still, mode="hunt"))
    assert findings(confirmed(still, case(), mode="hunt")) == findings(confirmed(case(), mode="hunt"))
    assert not is_quiet(confirmed(of_suspect(still, grew_by=1), mode="hunt"))
    assert not is_quiet(confirmed(replace(still, verdict=Verdict.UNDECIDED), mode="hunt"))
    assert not is_quiet(confirmed(replace(still, things=things("1")), mode="hunt"))
    assert not is_quiet(confirmed(still))


def test_a_run_that_judged_nothing_is_never_quiet() -> None:
    unjudged = book(mode="hunt", left_out=("t.py::late",))

    assert not is_quiet(unjudged)
    assert title(unjudged) == "leaktrace: 0 suspects, 1 not judged"


def test_the_title_counts_suspects_or_verdicts() -> None:
    assert title(book(suspects=(suspect(),))) == "leaktrace: 1 suspect"
    cases = (case(), case(nodeid="b"), case(nodeid="c", verdict=Verdict.ONE_TIME))
    assert title(book(mode="confirm", cases=cases)) == "leaktrace: 2 LEAK, 1 ONE_TIME"
    assert story_of(book(mode="confirm", cases=cases)).title == "leaktrace: 2 LEAK, 1 ONE_TIME"


def test_many_suspects_are_cut_and_counted() -> None:
    shown = findings(book(suspects=tuple(suspect(name=f"t.py::test_{n}") for n in range(30))))

    assert [first for first, *_ in shown[:20]] == [f"LEAKED 712MB in t.py::test_{n}" for n in range(20)]
    assert shown[20:] == [["and 10 more: see --leaktrace-json=PATH"]]


def test_beside_cases_a_watch_tells_only_what_changed_state() -> None:
    left = suspect(kind="state", name="a.py::b", things=things("HOME", kind="state", noun="environment variable"))

    assert [first for first, *_ in findings(confirmed(case(), suspects=(suspect(), left)))] == [
        f"LEAK {NODEID}",
        "CHANGED environment variable HOME by a.py::b",
    ]


def test_files_that_no_replay_made_again_need_no_word() -> None:
    assert findings(confirmed(case(kind="files", verdict=Verdict.STEADY))) == []


def test_growth_that_accuses_nobody_is_told_with_its_reason() -> None:
    notes = (
        Note(slug="garbage", nodeid=NODEID, size_bytes=50 * MB, text="freed"),
        Note(slug="unclosed", nodeid="b", size_bytes=0, text="a file"),
    )

    assert findings(book(notes=notes)) == [[f"GARBAGE 50MB in {NODEID}: freed"], ["UNCLOSED in b: a file"]]


@pytest.mark.parametrize(
    ("mode", "command"),
    [
        ("hunt", "pytest --leaktrace-hunt --leaktrace-resume"),
        ("confirm", "pytest --leaktrace --leaktrace-resume"),
    ],
)
def test_what_was_not_judged_is_listed_with_the_command_that_goes_on(mode: str, command: str) -> None:
    given = book(mode=mode, left_out=tuple(f"t.py::t{number}" for number in range(25)))
    (first, *names), section = findings(given)[0], story_of(given).findings[0]

    assert first == f"leaktrace: not judged: 25; to go on: {command}"
    assert names == [*(("", f"t.py::t{n}") for n in range(20)), ("", "and 5 more: see --leaktrace-json=PATH")]
    assert section.command == Command(command)


def test_a_run_is_told_by_its_accounts_loans_and_peaks() -> None:
    grown = (("db", "session", 50 * MB), ("tmp", "function", 90 * MB), ("small", "module", 9_000))
    fixtures = tuple(
        Fixture(name=name, scope=scope, where="c.py:1", setups=1, loan={"rss_bytes": lent}, kept={})
        for name, scope, lent in grown
    )
    accounts = "tests +1234.0, fixtures +1234.0, imports +1234.0, harness +1234.0, collection +1234.0"
    story = story_of(book(fixtures=fixtures), [(NODEID, 90 * MB)])

    assert [said(section) for section in story.run] == [
        [
            f"main, 40MB to 752MB resident, MB by account: {accounts}",
            ("", "the whole run grew by 19.1 kB a test"),
        ],
        ["loans of wider fixtures (lent, kept after their finalizers)", ("", "db (session, c.py:1)")],
        ["highest peaks of resident memory", ("", NODEID)],
    ]
    assert [row.values for section in story.run[1:] for row in section.rows] == [
        (Amounts(("50MB", "0.0MB"), "db (session, c.py:1)"),),
        (Amounts(("90MB",), NODEID),),
    ]


def test_an_account_that_was_not_read_is_not_told_as_zero() -> None:
    unread = {"rss_bytes": Unread(counter="rss_bytes", why="no /proc")}
    (process,) = book().processes
    given = replace(process, accounts={**process.accounts, "tests": unread}, last=unread, slope_bytes_per_test=None)

    accounts = "fixtures +1234.0, imports +1234.0, harness +1234.0, collection +1234.0"
    assert run(book(processes=(given,))) == [[f"main resident, MB by account: {accounts}"]]
    assert run(book(processes=(replace(given, first=unread),))) == []


def test_a_worker_that_died_and_warnings_come_behind_the_accounts() -> None:
    dead = replace(book().processes[0], worker="gw1", complete=False, running=NODEID)

    assert run(book(processes=(dead,), warnings=("a probe failed",)))[1:] == [
        [f"worker gw1 died while running {NODEID}; its readings come from its journal"],
        ["warning: a probe failed"],
    ]


def test_a_watch_ends_with_the_command_that_judges() -> None:
    assert run(book(suspects=(suspect(),)))[-1] == [
        "Are they leaks, and what keeps them alive? Run: pytest --leaktrace"
    ]
    assert len(run(book())) == len(run(confirmed(case()))) == 1


def test_sections_are_the_findings_and_then_the_run() -> None:
    story = story_of(confirmed(case(), warnings=("x",)), [(NODEID, 1)])

    assert [section.kind for section in story.sections] == ["case", "process", "peaks", "warning"]


def test_places_and_commands_are_known_as_such_for_reporters_that_link_them() -> None:
    made = things("1", where="shop/net.py:3")
    (section,) = story_of(confirmed(case(things=made, counter="fds", reproduce="pytest x"))).findings
    values = [value for row in section.rows for value in row.values]

    assert [value.where for value in values if isinstance(value, Place)] == ["shop/net.py:3", "shop/orders.py:40"]
    assert all(value.where in value.text for value in values if isinstance(value, Place))
    assert section.headline == Text(NODEID, whole=True)
    assert section.rows[-1] == Row("again", (Command("pytest x"),))


def test_a_rate_names_its_counter_as_users_call_it() -> None:
    rate = Rate(estimate=3.0, low=2.5, high=3.0)
    (shown,) = findings(confirmed(case(subject="group", counter="fds", per_run={"fds": rate}, tests=4)))

    assert shown[1] == ("", "4 tests together, 5.0MB each in the suite")
    assert ("how much", "3 file descriptors [2.5, 3] a test, over 12 runs, 3 of them warm-ups") in shown
