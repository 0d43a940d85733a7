"""The casebook as a user reads it: 80 columns, no hex, nothing to say but one line when all is well."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from builders import MB, make_case, make_casebook, make_suspect, of_suspect
from leaktrace.casebook.causes import causes
from leaktrace.casebook.model import Case, Casebook, Fixture, Process
from leaktrace.explain.model import Exhibit, Holder, Hop, Leaking, Proof
from leaktrace.lines.model import Frame, Site
from leaktrace.probes.model import Thing
from leaktrace.report import terminal
from leaktrace.report.exhibit import exhibit_lines
from leaktrace.suspects.model import Note, Suspect
from leaktrace.verdict.model import Rate, Verdict
from leaktrace.verdict.words import named_amount
from leaktrace.words import count, megabytes, size, wrapped


NODEID = "tests/test_service.py::test_connection"
LONG = "tests/integration/payments/test_refunds_of_partially_shipped_orders.py::TestRefund::test_it[euro-1]"


def suspect(**changes: Any) -> Suspect:
    return make_suspect(**{"name": NODEID, "grew_by": 712 * MB, "nodeids": (NODEID,), **changes})


def exhibit() -> Exhibit:
    hops: list[tuple[str, str, Leaking]] = [
        ("shop", "module", "NO"),
        ("shop.BUS", "shop.events.Bus", "UNKNOWN"),
        ("shop.BUS._all", "dict", "UNKNOWN"),
    ]
    return Exhibit(
        holder=Holder(
            name="shop.BUS._all",
            kind="module-container",
            path=tuple(
                Hop(edge="", name=name, type=kind, leaking=leaking, reason="because it is so and so " * 3)
                for name, kind, leaking in hops
            ),
            entries_per_run=1.0,
        ),
        sites=(
            Site(
                file="shop/orders.py",
                line=40,
                function="Order.refund",
                bytes_per_run=19e6,
                count_per_run=4.0,
                code="self.lines = [" + "x" * 200 + "\n^^^^",
            ),
        ),
        proof=Proof(status="proved", detail="taking the 24 new entries out released 45,600 bytes"),
        fix="Unsubscribe when the order is closed, or hold the callback weakly. " * 2,
    )


def case(**changes: Any) -> Case:
    return make_case(**{"nodeid": NODEID, "exhibit": exhibit(), **changes})


def book(**changes: Any) -> Casebook:
    accounts = ("tests", "fixtures", "imports", "harness", "collection")
    process = Process(
        worker="main",
        pid=1,
        first={"rss_bytes": 40 * MB},
        last={"rss_bytes": 752 * MB},
        peak_rss_bytes=0,
        accounts={name: {"rss_bytes": 1234 * MB} for name in accounts},
        slope_bytes_per_test=19_123.0,
    )
    return make_casebook(**{"processes": (process,), **changes})


def lines(given: Casebook, peaks: Sequence[Any] = ()) -> list[str]:
    return [line for each in terminal.lines(given, peaks) for line in each.split("\n")]


def test_a_test_over_the_limit_is_one_line() -> None:
    assert list(terminal.leaked(suspect())) == ["LEAKED 712MB in tests/test_service.py::test_connection"]


def test_an_import_is_named_as_likely_one_time() -> None:
    assert list(terminal.leaked(suspect(grew_by=15 * MB, imports=("pandas",)))) == [
        "LEAKED 15MB in tests/test_service.py::test_connection",
        "  likely one-time: it imported pandas",
    ]


def test_what_was_left_open_is_not_called_one_time_for_an_import_meanwhile() -> None:
    left = (Thing(kind="sockets", noun="socket", name="1"),)

    assert list(terminal.leaked(suspect(name="a.py::b", imports=("pandas",), things=left))) == [
        "LEFT OPEN socket 1 by a.py::b",
        "  it imported pandas, which may have left it there once",
    ]


def test_a_fixture_is_named_with_its_place_and_not_as_its_user() -> None:
    given = suspect(subject="fixture", name="database", scope="session", where="tests/conftest.py:7", grew_by=50 * MB)

    assert list(terminal.leaked(given)) == [
        "LEAKED 50MB in fixture database (session scope, tests/conftest.py:7)",
        "  not repaid by its finalizer; first used by",
        f"  {NODEID}",
    ]


def test_a_group_is_named_with_its_tests() -> None:
    given = suspect(subject="group", name="tests/test_a.py::test_variant", tests=200, grew_by=60 * MB)

    assert list(terminal.leaked(given)) == [
        "LEAKED 60MB in tests/test_a.py::test_variant",
        "  200 tests together, 0.3MB each",
    ]


@pytest.mark.parametrize(
    ("alone", "shared", "told"),
    [
        (600.0, 5_000.0, ["  retains       600 bytes a run alone, 5.0 kB a run together with others"]),
        (600.0, 90.0, []),
        (20_000.0, 5_000.0, []),
        (None, None, []),
    ],
)
def test_what_others_hold_as_well_is_told_where_it_is_a_good_part(
    alone: float | None, shared: float | None, told: list[str]
) -> None:
    seen = exhibit()
    assert seen.holder is not None
    holder = replace(seen.holder, retained_bytes_per_run=alone, shared_bytes_per_run=shared)
    shown = list(exhibit_lines(case(exhibit=replace(seen, holder=holder)), 80))

    assert [line for line in shown if line.startswith("  retains")] == told


def test_a_quiet_run_is_one_line() -> None:
    assert terminal.is_quiet(book())
    assert terminal.one_line(book(), 3021) == "leaktrace: 3,021 tests watched, none kept more than 10MB"


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
    assert not terminal.is_quiet(book(**changes))


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("subject", ["test", "fixture", "group"])
def test_no_line_of_a_case_is_wider_than_80_columns_or_shows_an_address(verdict: Verdict, subject: str) -> None:
    given = book(
        mode="confirm",
        suspects=(suspect(),),
        cases=(case(verdict=verdict, subject=subject, where="tests/conftest.py:7", imports=("pandas", "numpy")),),
        notes=(Note(slug="garbage", nodeid=NODEID, size_bytes=50 * MB, text="a collection freed it, no leak"),),
        fixtures=(Fixture(name="db", scope="session", where="c.py:1", setups=1, loan={"rss_bytes": 50 * MB}, kept={}),),
        left_out=(NODEID,),
        warnings=("something long was not to be had " * 6,),
    )

    shown = lines(given, [(NODEID, 90 * MB)])

    assert [line for line in shown if len(line) > 80] == []
    assert [line for line in shown if re.search(r"0x[0-9a-f]{6}", line)] == []
    assert [line for line in shown if line != line.rstrip()] == []


def test_a_name_longer_than_a_line_stands_whole() -> None:
    shown = lines(book(mode="confirm", suspects=(suspect(),), cases=(case(nodeid=LONG, reproduce=f"pytest {LONG}"),)))

    assert any(line.endswith(LONG) for line in shown)
    assert f"{'':16}{LONG}" in shown


def test_a_leak_shows_its_rate_holder_sites_proof_fix_and_command() -> None:
    text = " ".join(" ".join(lines(book(mode="confirm", suspects=(suspect(),), cases=(case(),)))).split())

    for expected in (
        "LEAK tests/test_service.py::test_connection",
        "how much 20.0 MB [19.9 MB, 20.1 MB] a run, over 12 runs, 3 of them warm-ups",
        "held by shop.BUS._all",
        "shop/orders.py:40 in Order.refund, 19.0 MB a run",
        "proof taking the 24 new entries out",
        "fix Unsubscribe",
        "again pytest --leaktrace",
    ):
        assert expected in text


def test_memory_from_outside_of_python_is_said_to_be_native() -> None:
    given = case(exhibit=replace(exhibit(), native=True, holder=None))

    assert any(
        line.split()[:1] == ["native"] for line in lines(book(mode="confirm", suspects=(suspect(),), cases=(given,)))
    )


def test_c_code_that_allocates_is_shown_with_the_way_out_to_the_suspects_own_line() -> None:
    stack = (
        Frame(file="shop/pricing.c", line=14, function="lower"),
        Frame(file="<unknown>", line=0, function="prepare"),
        Frame(file="tests/test_pricing.py", line=9, function="test_floor"),
    )
    top = stack[0]
    in_c = Site(file=top.file, line=14, function="lower", bytes_per_run=16e6, count_per_run=1.0, stack=stack)
    given = case(exhibit=replace(exhibit(), native=True, holder=None, sites=(in_c, *exhibit().sites)))
    text = " ".join(" ".join(lines(book(mode="confirm", suspects=(suspect(),), cases=(given,)))).split())

    way = "lower (shop/pricing.c:14), 16.0 MB a run by prepare by test_floor (tests/test_pricing.py:9)"
    assert f"made in C {way} allocated shop/orders.py:40 in Order.refund" in text


@pytest.mark.parametrize("verdict", [Verdict.STEADY, Verdict.ONE_TIME])
def test_a_hunt_says_nothing_of_what_it_acquits_of_next_to_nothing(verdict: Verdict) -> None:
    small = case(verdict=verdict, reason="no", suspect_counter="blocks", grew_by=12)
    large = case(verdict=verdict, reason="no", suspect_counter="rss_bytes", grew_by=20 * MB)

    assert terminal.is_quiet(book(mode="hunt", suspects=(suspect(),), cases=(small,)))
    assert not terminal.is_quiet(book(mode="hunt", suspects=(suspect(),), cases=(large,)))
    assert not terminal.is_quiet(book(mode="confirm", suspects=(suspect(),), cases=(small,)))
    assert terminal.title(book(mode="hunt", cases=(small, case()))) == "leaktrace: 1 LEAK"


def test_an_acquittal_is_short() -> None:
    acquitted = case(verdict=Verdict.ONE_TIME, imports=("pandas",), reason="grew in the first run alone")
    shown = lines(book(mode="confirm", suspects=(suspect(),), cases=(acquitted,)))

    assert shown[:3] == [f"ONE_TIME {NODEID}", "  grew in the first run alone", "  imported      pandas"]


@pytest.mark.parametrize(
    ("counter", "grew_by", "said"),
    [("heap_bytes", 20 * MB, "it grew by 20.0 MB"), ("heap_bytes", 90, "it grew"), ("blocks", 5000, "it grew")],
)
def test_a_test_that_is_steady_alone_comes_with_the_command_that_finds_out_why(
    counter: str, grew_by: int, said: str
) -> None:
    command = f"leaktrace bisect {NODEID}"
    steady = case(verdict=Verdict.STEADY, reason="no", suspect_counter=counter, grew_by=grew_by, reproduce=command)
    shown = lines(book(mode="confirm", suspects=(suspect(),), cases=(steady,)))

    assert shown[2:4] == [f"  in the suite  {said}: what ran before it matters", f"  find them     {command}"]


@pytest.mark.parametrize(
    ("before", "said"),
    [(("a.py::b", "a.py::c"), "a.py::b, a.py::c"), (tuple("abcdef"), "the 6 tests that ran before it")],
)
def test_a_test_that_leaks_after_others_says_after_which(before: tuple[str, ...], said: str) -> None:
    given = case(after=before, reproduce="leaktrace bisect x")
    text = " ".join(lines(book(mode="confirm", suspects=(suspect(),), cases=(given,))))

    assert f"only after    {said}; alone it is steady" in text
    assert "find them     leaktrace bisect x" in text


def of(mark: str, **changes: Any) -> Case:
    return case(exhibit=replace(exhibit(), fingerprint=mark), **changes)


def test_leaks_of_one_cause_are_told_once_with_all_their_tests() -> None:
    cases = (of("11111111"), of("22222222", nodeid="b"), of("11111111", nodeid="c"), of("11111111", nodeid=LONG))
    shown = lines(book(mode="confirm", suspects=(suspect(),), cases=cases))

    assert terminal.title(book(mode="confirm", cases=cases)) == "leaktrace: 2 LEAK in 4 cases"
    assert [line for line in shown if line.startswith("LEAK")] == [f"LEAK  {NODEID}", "LEAK  b"]
    at = shown.index("  also          2 other cases of the same cause, fingerprint 11111111:")
    assert shown[at + 1 : at + 4] == [f"{'':16}c, 20.0 MB", f"{'':16}{LONG},", f"{'':20}20.0 MB"]


def test_many_of_one_cause_are_cut_and_counted() -> None:
    cases = tuple(of("11111111", nodeid=f"t{n}", counter="blocks", per_run={}) for n in range(12))
    shown = lines(book(mode="confirm", suspects=(suspect(),), cases=cases))

    assert [line.strip() for line in shown if re.fullmatch(r" {16}t\d+", line)] == [f"t{n}" for n in range(1, 9)]
    assert f"{'':16}and 3 more" in shown


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "threads"},
        {"verdict": Verdict.UNDECIDED},
        {"status": "accepted"},
        {"subject": "fixture", "where": "a:1"},
    ],
)
def test_another_kind_verdict_status_or_subject_is_another_cause(changes: dict[str, Any]) -> None:
    assert [len(cause) for cause in causes([of("11111111"), of("11111111", **changes)])] == [1, 1]


def test_tests_that_leave_open_what_one_line_opened_share_one_block() -> None:
    rate = {"fds": Rate(estimate=1.0, low=1.0, high=1.0)}
    made = [
        of(
            f"{n}" * 8,
            nodeid=f"t{n}",
            kind="sockets",
            counter="fds",
            per_run=rate,
            things=(Thing(kind="sockets", noun="socket", name=f"{n}", where=where),),
        )
        for n, where in enumerate(["help.py:3", "help.py:3", "test_a.py:9", None, None])
    ]
    given = book(mode="confirm", suspects=(suspect(),), cases=tuple(made))
    shown = lines(given)

    assert [[case.suspect.name for case in cause] for cause in causes(made)] == [["t0", "t1"], ["t2"], ["t3"], ["t4"]]
    at = shown.index("  also          1 other case of the same cause, help.py:3:")
    assert shown[at + 1] == f"{'':16}t1, 1 file descriptor"


def test_what_has_no_fingerprint_shares_no_cause() -> None:
    assert [len(cause) for cause in causes([of(""), of("")])] == [1, 1]


def test_the_title_counts_suspects_or_verdicts() -> None:
    assert terminal.title(book(suspects=(suspect(),))) == "leaktrace: 1 suspect"
    cases = (case(), case(nodeid="b"), case(nodeid="c", verdict=Verdict.ONE_TIME))
    assert terminal.title(book(mode="confirm", cases=cases)) == "leaktrace: 2 LEAK, 1 ONE_TIME"


def test_many_suspects_are_cut_and_counted() -> None:
    shown = lines(book(suspects=tuple(suspect(name=f"t.py::test_{n}") for n in range(30))))

    assert sum(line.startswith("LEAKED") for line in shown) == 20
    assert "and 10 more: see --leaktrace-json=PATH" in shown


def test_what_was_not_judged_is_listed_with_the_command_that_goes_on() -> None:
    shown = lines(book(mode="hunt", suspects=(suspect(),), cases=(case(),), left_out=("t.py::late",)))

    assert "leaktrace: not judged: 1; to go on: pytest --leaktrace-hunt --leaktrace-resume" in shown
    assert "  t.py::late" in shown


def test_of_many_that_were_not_judged_some_are_named_and_the_others_counted() -> None:
    shown = lines(book(mode="confirm", left_out=tuple(f"t.py::t{number}" for number in range(25))))

    assert sum(line.startswith("  t.py::t") for line in shown) == 20
    assert "  and 5 more: see --leaktrace-json=PATH" in shown
    assert "leaktrace: not judged: 25; to go on: pytest --leaktrace --leaktrace-resume" in shown


def test_a_run_that_judged_nothing_is_never_quiet() -> None:
    unjudged = book(mode="hunt", left_out=("t.py::late",))

    assert not terminal.is_quiet(unjudged)
    assert terminal.title(unjudged) == "leaktrace: 0 suspects, 1 not judged"


def test_a_worker_that_died_is_told_with_the_test_that_was_running() -> None:
    dead = replace(book().processes[0], worker="gw1", complete=False, running=NODEID)

    shown = " ".join(lines(book(processes=(dead,))))
    assert f"worker gw1 died while running {NODEID}; its readings come from its journal" in shown


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (712_000_000, "712MB"),
        (9_500_000, "9.5MB"),
        (9_960_000, "10MB"),
        (10_000_000, "10MB"),
        (40_000, "0.0MB"),
        (-2_500_000, "-2.5MB"),
        (1_234_567_890, "1235MB"),
    ],
)
def test_megabytes_have_one_decimal_below_ten(bytes_: int, text: str) -> None:
    assert megabytes(bytes_) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [(32, "32 bytes"), (1_900, "1.9 kB"), (20e6, "20.0 MB"), (3.21e9, "3.2 GB"), (-1_900, "-1.9 kB"), (0, "0 bytes")],
)
def test_a_size_has_the_unit_that_suits_it(bytes_: float, text: str) -> None:
    assert size(bytes_) == text


def test_amounts_and_plurals_read_as_written_by_hand() -> None:
    assert (named_amount("blocks", 1234.5), named_amount("blocks", 3.0), named_amount("heap_bytes", 3.0)) == (
        "1,234",
        "3",
        "3 bytes",
    )
    assert (count(1, "test"), count(1200, "test")) == ("1 test", "1,200 tests")


def test_wrapping_breaks_no_word() -> None:
    assert wrapped("a " + "b" * 90, indent="  ", width=80) == ["  a", "  " + "b" * 90]
    assert wrapped("", indent="  ", width=80) == ["  "]


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
    rate = Rate(estimate=each, low=each, high=each)
    given = case(kind="sockets", counter=counter, per_run={counter: rate}, exhibit=replace(exhibit(), fingerprint="1"))
    cases = (given, of_suspect(given, name="b"))
    shown = lines(book(mode="confirm", suspects=(suspect(),), cases=cases))

    assert f"how much      {much} a run, over" in "\n".join(shown)
    assert f"{'':16}b, {much}" in shown


def test_sockets_and_other_descriptors_of_one_test_are_one_leak_for_one_counter_convicts_both() -> None:
    one = {"fds": Rate(estimate=3.0, low=3.0, high=3.0)}
    made = [
        case(kind=kind, counter="fds", per_run=one, things=(Thing(kind=kind, noun=noun, name="x", where="a.py:1"),))
        for kind, noun in (("sockets", "socket"), ("fds", "epoll"))
    ]
    given = book(mode="confirm", suspects=(suspect(),), cases=(*made, case(nodeid="b")))
    shown = lines(given)

    assert terminal.title(given) == "leaktrace: 2 LEAK"
    assert [line for line in shown if line.startswith("LEAK")] == [f"LEAK  {NODEID}", "LEAK  b"]
    assert [line.split()[0] for line in shown if "was opened" in line or "was made" in line] == ["socket", "epoll"]


def test_of_what_was_left_behind_those_whose_line_is_known_come_first() -> None:
    rate = {"fds": Rate(estimate=2.0, low=2.0, high=2.0)}
    accepted = Thing(kind="sockets", noun="socket", name="accepted")
    given = case(
        kind="sockets", counter="fds", per_run=rate, things=(accepted, replace(accepted, name="connected", where="a:1"))
    )
    shown = " ".join(lines(book(mode="confirm", suspects=(suspect(),), cases=(given,))))

    assert shown.index("socket connected was opened") < shown.index("socket accepted was opened")


def test_where_nothing_explains_a_leak_the_reason_for_that_is_told() -> None:
    bare = replace(exhibit(), holder=None, sites=(), native=False, fix="", notes=("the suspect stops tracemalloc",))
    shown = lines(book(mode="confirm", suspects=(suspect(),), cases=(case(exhibit=bare), case(nodeid="b"))))

    assert [line for line in shown if line.startswith("  note")] == ["  note          the suspect stops tracemalloc"]


@pytest.mark.parametrize(("made", "told"), [(54.0, True), (500.0, True), (6_500.0, False), (1.0, False)])
def test_a_line_that_made_far_more_or_far_less_than_what_grows_is_not_told(made: float, told: bool) -> None:
    rate = {"heap_bytes": Rate(estimate=54.0, low=53.0, high=54.0)}
    sites = (replace(exhibit().sites[0], bytes_per_run=made, adds=False),)
    given = case(per_run=rate, exhibit=replace(exhibit(), sites=sites))

    assert any(line.startswith("  allocated") for line in lines(book(mode="confirm", cases=(given,)))) is told


def test_of_what_is_undecided_the_holder_is_named_for_it_may_tell() -> None:
    shown = lines(book(mode="confirm", cases=(case(verdict=Verdict.UNDECIDED),)))

    assert [line for line in shown if line.startswith("  held by")] == ["  held by       shop.BUS._all"]
    assert not any(line.startswith("  path") for line in shown)
