"""The report as a user reads it: 80 columns, no hex, and each line as it has always been."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from builders import MB
from leaktrace.casebook.model import Case, Casebook, Fixture, Known
from leaktrace.probes.model import Thing
from leaktrace.report import terminal
from leaktrace.suspects.model import Note
from leaktrace.verdict.model import Verdict
from report.report_scenarios import NODEID, book, case, confirmed, exhibit, suspect


LONG = "tests/integration/payments/test_refunds_of_partially_shipped_orders.py::TestRefund::test_it[euro-1]"

WATCHED = """\
LEAKED 712MB in tests/test_service.py::test_connection
  likely one-time: it imported pandas
LEAKED 712MB in fixture database (session scope, tests/conftest.py:7)
  not repaid by its finalizer; first used by
  tests/test_service.py::test_connection
LEAKED 712MB in tests/test_a.py::test_variant
  200 tests together, 3.6MB each; all of them use fixture db
LEFT OPEN socket 127.0.0.1:0 by tests/test_net.py::test_query
LEFT OPEN socket 127.0.0.1:1 by tests/test_net.py::test_query
LEFT OPEN socket 127.0.0.1:2 by tests/test_net.py::test_query
  and 2 things more like these

main, 40MB to 752MB resident, MB by account: tests +1234.0, fixtures +1234.0,
    imports +1234.0, harness +1234.0, collection +1234.0
    the whole run grew by 19.1 kB a test
highest peaks of resident memory
      90MB  tests/test_service.py::test_connection
Are they leaks, and what keeps them alive? Run: pytest --leaktrace
"""

CONFIRMED = """\
LEAK  tests/test_service.py::test_connection
  grew by 19.1 MiB of heap a run, evenly, in each of the last 3 batches, and so
  on and so on
  how much      20.0 MB [19.9 MB, 20.1 MB] a run, over 12 runs, 3 of them
                warm-ups
  held by       shop.BUS._all
  path          shop : module  [NO: because it is so and so because it is so and
                      so because it is so and so ]
                |- shop.BUS : shop.events.Bus  [UNKNOWN: because it is so and so
                      because it is so and so because it is so and so ]
                |  ~~~~~~~~
                '> shop.BUS._all : dict  [UNKNOWN: because it is so and so
                      because it is so and so because it is so and so ]
                   ~~~~~~~~~~~~~
  allocated     shop/orders.py:40 in Order.refund, 19.0 MB a run
                self.lines = [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                ^^^^
  proof         taking the 24 new entries out released 45,600 bytes
  fix           Unsubscribe when the order is closed, or hold the callback
                weakly. Unsubscribe when the order is closed, or hold the
                callback weakly.
  also          1 other case of the same cause, fingerprint 0badcafe:
                tests/test_a.py::test_other, 20.0 MB
  again         pytest --leaktrace tests/test_service.py::test_connection

ONE_TIME fixture db (session scope, c.py:1)
  grew by 19.1 MiB of heap a run, evenly, in each of the last 3 batches, and so
  on and so on

KNOWN tests/test_b.py::test_pool
  lib 2.1: lib keeps each request (lib-pool)
  how much      20.0 MB [19.9 MB, 20.1 MB] a run, over 12 runs, 3 of them
                warm-ups
  held by       shop.BUS._all
  remedy        upgrade

GARBAGE 50MB in tests/test_service.py::test_connection: a collection freed it,
    no leak
leaktrace: not judged: 1; to go on: pytest --leaktrace --leaktrace-resume
  tests/test_service.py::test_connection

main, 40MB to 752MB resident, MB by account: tests +1234.0, fixtures +1234.0,
    imports +1234.0, harness +1234.0, collection +1234.0
    the whole run grew by 19.1 kB a test
loans of wider fixtures (lent, kept after their finalizers)
      50MB    0.0MB  db (session, c.py:1)
highest peaks of resident memory
      90MB  tests/test_service.py::test_connection
warning: something long was not to be had something long was not to be had
    something long was not to be had something long was not to be had something
    long was not to be had something long was not to be had
"""


def lines(given: Casebook, peaks: Sequence[tuple[str, int]] = ()) -> list[str]:
    return [line for each in terminal.lines(given, peaks) for line in each.split("\n")]


def eventful(*cases: Case, **changes: Any) -> Casebook:
    """A book in which everything has something to say."""
    return confirmed(
        *cases,
        **{
            "notes": (Note(slug="garbage", nodeid=NODEID, size_bytes=50 * MB, text="a collection freed it, no leak"),),
            "fixtures": (
                Fixture(name="db", scope="session", where="c.py:1", setups=1, loan={"rss_bytes": 50 * MB}, kept={}),
            ),
            "left_out": (NODEID,),
            "warnings": ("something long was not to be had " * 6,),
            **changes,
        },
    )


def test_a_watch_is_shown_as_ever() -> None:
    left = tuple(Thing(kind="sockets", noun="socket", name=f"127.0.0.1:{n}") for n in range(5))
    given = book(
        suspects=(
            suspect(imports=("pandas",)),
            suspect(subject="fixture", name="database", scope="session", where="tests/conftest.py:7"),
            suspect(subject="group", name="tests/test_a.py::test_variant", tests=200, common=("db",)),
            suspect(name="tests/test_net.py::test_query", things=left),
        )
    )

    assert "\n".join(lines(given, [(NODEID, 90 * MB)])) + "\n" == WATCHED


def test_verdicts_are_shown_as_ever() -> None:
    known = Known(id="lib-pool", package="lib", version="2.1", blame="lib keeps each request", remedy="upgrade")
    marked = exhibit(fingerprint="0badcafe")
    given = eventful(
        case(exhibit=marked),
        case(exhibit=marked, nodeid="tests/test_a.py::test_other"),
        case(subject="fixture", nodeid="db", scope="session", where="c.py:1", verdict=Verdict.ONE_TIME),
        case(nodeid="tests/test_b.py::test_pool", known=known, status="known"),
    )

    assert "\n".join(lines(given, [(NODEID, 90 * MB)])) + "\n" == CONFIRMED


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("subject", ["test", "fixture", "group"])
def test_no_line_of_a_case_is_wider_than_80_columns_or_shows_an_address(verdict: Verdict, subject: str) -> None:
    given = eventful(case(verdict=verdict, subject=subject, where="tests/conftest.py:7", imports=("pandas", "numpy")))

    shown = lines(given, [(NODEID, 90 * MB)])

    assert [line for line in shown if len(line) > 80] == []
    assert [line for line in shown if re.search(r"0x[0-9a-f]{6}", line)] == []
    assert [line for line in shown if line != line.rstrip()] == []


def test_a_name_longer_than_a_line_stands_whole() -> None:
    shown = lines(confirmed(case(nodeid=LONG, reproduce=f"pytest {LONG}")))

    assert shown[0] == f"LEAK  {LONG}"
    assert f"{'':16}{LONG}" in shown


def test_an_empty_line_follows_a_case_and_parts_the_findings_from_the_run() -> None:
    shown = lines(confirmed(case(verdict=Verdict.ONE_TIME, reason="no"), warnings=("x",), processes=()))

    assert shown == [f"ONE_TIME {NODEID}", "  no", "", "", "warning: x"]
    assert list(terminal.block(case(verdict=Verdict.ONE_TIME, reason="no"))) == [f"ONE_TIME {NODEID}", "  no", ""]


def test_a_suspect_is_shown_alone_before_it_is_judged() -> None:
    assert list(terminal.leaked(suspect())) == [f"LEAKED 712MB in {NODEID}"]


@pytest.mark.parametrize("width", [60, 100])
def test_another_width_is_kept_to(width: int) -> None:
    shown = list(terminal.lines(eventful(case(), left_out=()), width=width))

    assert 10 < max(len(line) for line in shown if NODEID not in line) <= width


def test_a_name_moves_no_cursor_wherever_it_stands() -> None:
    odd = "a\x1b[31m\n.py::b"
    seen = (suspect(name=odd, things=(Thing(kind="sockets", noun="socket", name=odd),)), suspect(name=odd))
    shown = [
        *terminal.lines(book(suspects=seen, left_out=(odd,), warnings=(odd,)), [(odd, 1)]),
        *terminal.lines(confirmed(case(nodeid=odd, reproduce=odd, reason=odd))),
    ]

    assert [line for line in shown if "\x1b" in line or "\n" in line] == []
    assert sum(line.count(r"a\x1b[31m\n.py::b") for line in shown) == 9
