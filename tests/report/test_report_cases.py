"""What is said of one case: why, how much, what holds it, and how to see it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import MB, make_site, of_suspect
from leaktrace.casebook.model import Case, Known
from leaktrace.explain.model import Hop, ProofStatus
from leaktrace.lines.model import Frame
from leaktrace.probes.model import Thing
from leaktrace.report.cases import case_section, known_section
from leaktrace.report.model import Code, Path, Section
from leaktrace.report.story import story_of, title
from leaktrace.verdict.model import Rate, Verdict
from report.report_scenarios import NODEID, case, confirmed, exhibit, holder


FDS = {"fds": Rate(estimate=1.0, low=1.0, high=1.0)}


def rows(given: Case, *others: Case) -> list[tuple[Any, ...]]:
    """Label and texts of each row."""
    return texts(case_section(given, others))


def texts(section: Section) -> list[tuple[Any, ...]]:
    return [(row.label, *(getattr(value, "text", value) for value in row.values)) for row in section.rows]


def labels(given: Case, *others: Case) -> list[str]:
    return [row.label for row in case_section(given, others).rows]


def under(label: str, given: Case, *others: Case) -> list[tuple[Any, ...]]:
    return [shown[1:] for shown in rows(given, *others) if shown[0] == label]


def of(mark: str, **changes: Any) -> Case:
    return case(exhibit=exhibit(fingerprint=mark), **changes)


def test_a_leak_is_told_by_its_reason_rate_holder_lines_proof_fix_and_command() -> None:
    command = f"pytest --leaktrace {NODEID}"

    assert labels(case()) == ["", "how much", "held by", "path", "allocated", "proof", "fix", "again"]
    assert under("", case()) == [(case().reason,)]
    assert under("how much", case()) == [("20.0 MB [19.9 MB, 20.1 MB] a run, over 12 runs, 3 of them warm-ups",)]
    assert under("held by", case()) == [("shop.BUS._all",)]
    assert under("proof", case()) == [("taking the 24 new entries out released 45,600 bytes",)]
    assert under("fix", case()) == [(exhibit().fix,)]
    assert under("again", case()) == [(command,)]
    assert case_section(case()).heading == "LEAK"


def test_the_path_keeps_each_hop_with_its_label() -> None:
    (path,) = (row.values[0] for row in case_section(case()).rows if row.label == "path")

    assert isinstance(path, Path)
    assert [(step.text, step.type, step.status, step.marked) for step in path.steps] == [
        ("shop", "module", "NO", False),
        ("shop.BUS", "shop.events.Bus", "UNKNOWN", True),
        ("shop.BUS._all", "dict", "UNKNOWN", True),
    ]


def test_of_a_long_path_its_root_and_its_end_are_shown() -> None:
    hops = tuple(Hop(edge=f".{n}", name=f"root.{n}", type="", leaking="NO") for n in range(9))
    ((path,),) = under("path", case(exhibit=exhibit(holder=holder(path=hops))))

    assert [step.text for step in path.steps] == ["root.0", ".1", ".5", ".6", ".7", ".8"]


def test_code_comes_below_its_place_without_empty_lines() -> None:
    site = replace(exhibit().sites[0], code="a = b\n\n    ^")

    assert under("allocated", case(exhibit=exhibit(sites=(site,)))) == [
        ("shop/orders.py:40 in Order.refund, 19.0 MB a run", Code(("a = b", "    ^")))
    ]


@pytest.mark.parametrize(
    ("alone", "shared", "told"),
    [
        (600.0, 5_000.0, [("600 bytes a run alone, 5.0 kB a run together with others",)]),
        (600.0, 90.0, []),
        (20_000.0, 5_000.0, []),
        (None, None, []),
    ],
)
def test_what_others_hold_as_well_is_told_where_it_is_a_good_part(
    alone: float | None, shared: float | None, told: list[tuple[str]]
) -> None:
    held = holder(retained_bytes_per_run=alone, shared_bytes_per_run=shared)

    assert under("retains", case(exhibit=exhibit(holder=held))) == told


def test_memory_from_outside_of_python_is_said_to_be_native() -> None:
    given = case(exhibit=exhibit(native=True, holder=None, notes=("no memray",)))

    assert under("native", given) == [("most of it was allocated outside Python's own allocators; no memray",)]
    assert under("note", given) == []


def test_c_code_that_allocates_is_shown_with_the_way_out_to_the_suspects_own_line() -> None:
    stack = (
        Frame(file="shop/pricing.c", line=14, function="lower"),
        Frame(file="<unknown>", line=0, function="prepare"),
        Frame(file="tests/test_pricing.py", line=9, function="test_floor"),
    )
    in_c = make_site("shop/pricing.c", line=14, function="lower", bytes_per_run=16e6, stack=stack)
    given = case(exhibit=exhibit(native=True, holder=None, sites=(in_c, *exhibit().sites)))

    way = ("lower (shop/pricing.c:14), 16.0 MB a run", "by prepare", "by test_floor (tests/test_pricing.py:9)")
    assert under("made in C", given) == [way]
    assert [shown[0] for shown in under("allocated", given)] == ["shop/orders.py:40 in Order.refund, 19.0 MB a run"]


@pytest.mark.parametrize(("made", "told"), [(54.0, True), (500.0, True), (6_500.0, False), (1.0, False)])
def test_a_line_that_made_far_more_or_far_less_than_what_grows_is_not_told(made: float, told: bool) -> None:
    sites = (replace(exhibit().sites[0], bytes_per_run=made, adds=False),)
    rate = {"heap_bytes": Rate(estimate=54.0, low=53.0, high=54.0)}

    assert ("allocated" in labels(case(per_run=rate, exhibit=exhibit(sites=sites)))) is told


@pytest.mark.parametrize(("kind", "label"), [("module-container", "added"), ("shared-references", "taken")])
def test_the_line_that_adds_is_told_where_it_is_another_one(kind: str, label: str) -> None:
    made = exhibit().sites[0]
    adds = replace(made, line=50, adds=True, bytes_per_run=0.0, code="")
    held = exhibit(holder=holder(kind=kind))

    assert [shown[0] for shown in under(label, case(exhibit=replace(held, sites=(made, adds))))] == [
        "shop/orders.py:50 in Order.refund"
    ]
    assert label not in labels(case(exhibit=replace(held, sites=(made, replace(adds, line=made.line)))))


def test_where_nothing_explains_a_leak_the_reason_for_that_is_told() -> None:
    bare = exhibit(holder=None, sites=(), native=False, fix="", notes=("the suspect stops tracemalloc",))

    assert under("note", case(exhibit=bare)) == [("the suspect stops tracemalloc",)]


@pytest.mark.parametrize(("status", "labelled"), [("proved", ["proof"]), ("refuted", ["refuted"]), ("untried", [])])
def test_a_proof_that_failed_is_called_refuted_and_one_untried_is_not_told(
    status: ProofStatus, labelled: list[str]
) -> None:
    given = case(exhibit=exhibit(proof=replace(exhibit().proof, status=status)))

    assert [label for label in labels(given) if label in ("proof", "refuted", "untried")] == labelled


def test_of_what_is_undecided_the_holder_is_named_for_it_may_tell() -> None:
    assert labels(case(verdict=Verdict.UNDECIDED)) == ["", "held by", "again"]


def test_an_acquittal_is_short() -> None:
    given = case(verdict=Verdict.ONE_TIME, imports=("pandas",), reason="grew in the first run alone")

    assert rows(given) == [("", "grew in the first run alone"), ("imported", "pandas")]


@pytest.mark.parametrize(
    ("counter", "grew_by", "said"),
    [("heap_bytes", 20 * MB, "it grew by 20.0 MB"), ("heap_bytes", 90, "it grew"), ("blocks", 5000, "it grew")],
)
def test_a_test_that_is_steady_alone_comes_with_the_command_that_finds_out_why(
    counter: str, grew_by: int, said: str
) -> None:
    command = f"leaktrace bisect {NODEID}"
    given = case(verdict=Verdict.STEADY, reason="no", suspect_counter=counter, grew_by=grew_by, reproduce=command)

    assert rows(given)[1:] == [("in the suite", f"{said}: what ran before it matters"), ("find them", command)]


@pytest.mark.parametrize(
    ("before", "said"),
    [(("a.py::b", "a.py::c"), "a.py::b, a.py::c"), (tuple("abcdef"), "the 6 tests that ran before it")],
)
def test_a_test_that_leaks_after_others_says_after_which(before: tuple[str, ...], said: str) -> None:
    assert rows(case(after=before, reproduce="leaktrace bisect x"))[-2:] == [
        ("only after", f"{said}; alone it is steady"),
        ("find them", "leaktrace bisect x"),
    ]


def test_leaks_of_one_cause_are_told_once_with_all_their_tests() -> None:
    cases = (of("11111111"), of("22222222", nodeid="b"), of("11111111", nodeid="c"), of("11111111", nodeid="d"))
    given = confirmed(*cases)
    first, second = story_of(given).findings

    assert title(given) == "leaktrace: 2 LEAK in 4 cases"
    assert (first.headline.text, second.headline.text) == (NODEID, "b")
    assert [row[1:] for row in texts(first) if row[0] == "also"] == [
        ("2 other cases of the same cause, fingerprint 11111111:", "c, 20.0 MB", "d, 20.0 MB")
    ]
    assert "also" not in [row.label for row in second.rows]


def test_cases_of_one_line_are_told_by_that_line() -> None:
    made = [
        of(
            mark,
            nodeid=mark,
            counter="fds",
            per_run=FDS,
            things=(Thing(kind="sockets", noun="socket", name="", where="h.py:3"),),
        )
        for mark in "ab"
    ]

    assert under("also", *made) == [("1 other case of the same cause, h.py:3:", "b, 1 file descriptor")]


def test_many_of_one_cause_are_cut_and_counted() -> None:
    first, *others = (of("11111111", nodeid=f"t{n}", counter="blocks", per_run={}) for n in range(12))
    ((_, *named),) = under("also", first, *others)

    assert named == [*(f"t{n}" for n in range(1, 9)), "and 3 more"]


@pytest.mark.parametrize(
    ("counter", "each", "much"),
    [
        ("fds", 3.0, "3 file descriptors"),
        ("fds", 1.0, "1 file descriptor"),
        ("processes", 1.0, "1 child process"),
        ("pg_connections", 1.0, "1 pg_connections"),
    ],
)
def test_what_grows_is_named_as_its_counter_is_called_by_users(counter: str, each: float, much: str) -> None:
    given = of("1", counter=counter, per_run={counter: Rate(estimate=each, low=each, high=each)})

    assert under("how much", given) == [(f"{much} a run, over 12 runs, 3 of them warm-ups",)]
    assert under("also", given, of_suspect(given, name="b"))[0][1:] == (f"b, {much}",)


def test_without_a_rate_the_suite_says_how_much() -> None:
    assert under("how much", case(per_run={})) == [("20MB in the suite",)]


def test_sockets_and_other_descriptors_of_one_test_are_one_leak_for_one_counter_convicts_both() -> None:
    made = [
        case(kind=kind, counter="fds", per_run=FDS, things=(Thing(kind=kind, noun=noun, name="x", where="a.py:1"),))
        for kind, noun in (("sockets", "socket"), ("fds", "epoll"))
    ]
    given = confirmed(*made, case(nodeid="b"))
    first, second = story_of(given).findings

    assert title(given) == "leaktrace: 2 LEAK"
    assert (first.headline.text, second.headline.text) == (NODEID, "b")
    assert [row[1].split()[0] for row in texts(first) if " was opened " in str(row[1])] == ["socket", "epoll"]


def test_of_what_was_left_behind_those_whose_line_is_known_come_first() -> None:
    accepted = Thing(kind="sockets", noun="socket", name="accepted")
    connected = replace(accepted, name="connected", where="a:1")
    given = case(kind="sockets", counter="fds", per_run=FDS, things=(accepted, connected))

    assert [text.split()[1] for (text,) in under("", given)[1:]] == ["connected", "accepted"]


def test_what_to_do_about_things_stands_in_their_own_sentence_alone() -> None:
    given = case(kind="sockets", things=(Thing(kind="sockets", noun="socket", name="1", where="a.py:1"),))

    assert under("", given)[1:] == [
        ("socket 1 was opened in the test at a.py:1 and is still open after the test: close it.",)
    ]
    assert "fix" not in labels(given)


def test_a_fixture_is_named_with_its_scope_and_place_and_in_what_it_left() -> None:
    left = (Thing(kind="sockets", noun="socket", name="1"),)
    given = case(subject="fixture", nodeid="db", scope="session", where="c.py:7", things=left)

    assert case_section(given).headline.text == "fixture db (session scope, c.py:7)"
    assert "was opened in fixture `db` (c.py:7) and is still open after its teardown" in under("", given)[1][0]


def test_a_known_leak_of_somebody_else_comes_last_with_whose_it_is_and_the_remedy() -> None:
    known = Known(id="lib-pool", package="lib", version="2.1", blame="lib keeps each request", remedy="upgrade to 2.2")
    given = case(nodeid="b", known=known, status="known")
    first, second = story_of(confirmed(given, case())).findings

    assert [(each.heading, each.headline.text) for each in (first, second)] == [("LEAK", NODEID), ("KNOWN", "b")]
    assert texts(known_section(given)) == [
        ("", "lib 2.1: lib keeps each request (lib-pool)"),
        ("how much", "20.0 MB [19.9 MB, 20.1 MB] a run, over 12 runs, 3 of them warm-ups"),
        ("held by", "shop.BUS._all"),
        ("remedy", "upgrade to 2.2"),
    ]
