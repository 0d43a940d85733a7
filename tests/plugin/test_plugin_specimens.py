"""The file of specimens by `pytest --leaktrace`: in order, and shuffled over two workers."""

from __future__ import annotations

import pytest

from leaktrace.probes.model import Unread
from plugin.plugin_harness import Example, Ran
from plugin.plugin_specimens import ACQUITTED, BIG_PACKAGE, LEAKS, SPECIMENS


FILES = {"test_specimens.py": SPECIMENS, "plugins/bigone.py": BIG_PACKAGE, "plugins/otherone.py": BIG_PACKAGE}
IN_ORDER = ("-p", "no:randomly")
SHUFFLED_OVER_TWO = ("-n2", "--randomly-seed=5")


@pytest.fixture(scope="module", params=[IN_ORDER, SHUFFLED_OVER_TWO], ids=["plain", "n2-shuffled"])
def confirmed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One run for all questions: it takes a while."""
    return (
        Example(tmp_path_factory.mktemp("specimens"))
        .with_all_plugins(*request.param)
        .run("--leaktrace", files=FILES, expect=1)
    )


def test_each_specimen_has_the_verdict_that_is_true_of_it(confirmed: Ran) -> None:
    expected = {**dict.fromkeys(LEAKS, "LEAK"), **dict.fromkeys(ACQUITTED, "ONE_TIME")}

    assert confirmed.verdicts == expected, confirmed.text


def test_the_rate_of_each_leak_is_what_it_keeps_in_a_run(confirmed: Ran) -> None:
    rates = {name: confirmed.case(name).per_run["heap_bytes"].estimate for name in LEAKS}

    assert rates == pytest.approx(LEAKS, rel=0.02)


def test_memory_from_outside_of_python_is_shown_as_native(confirmed: Ran) -> None:
    native = {name for name in LEAKS if confirmed.case(name).exhibit.native}

    assert native == {"test_leaks_30_mb_native", "test_leaks_30_mb_native_in_anyio"}


def test_a_list_of_the_module_is_named_as_the_holder(confirmed: Ran) -> None:
    held = {name: confirmed.case(name).exhibit.holder for name in LEAKS if not confirmed.case(name).exhibit.native}

    assert {name: holder and holder.name for name, holder in held.items()} == dict.fromkeys(held, "test_specimens.KEPT")


def test_the_fixture_that_keeps_is_named_and_not_its_first_user(confirmed: Ran) -> None:
    case = confirmed.case("hoarder")

    assert (case.suspect.subject, case.fixture, case.suspect.scope) == ("fixture", "hoarder", "session")
    assert case.suspect.where.startswith("test_specimens.py:")
    assert "LEAK  fixture hoarder (session scope, test_specimens.py:" in confirmed.report


def test_a_loan_that_was_repaid_is_shown_as_one(confirmed: Ran) -> None:
    loans = [each for each in confirmed.book.fixtures if each.name == "repaid"]

    assert loans
    for loan in loans:
        lent, kept = loan.loan["rss_bytes"], loan.kept["rss_bytes"]
        assert not isinstance(lent, Unread)
        assert not isinstance(kept, Unread)
        assert lent / loan.setups == pytest.approx(50e6, rel=0.1)
        assert kept < 5e6


def test_the_variants_are_one_group(confirmed: Ran) -> None:
    case = confirmed.case("test_variant")

    # One that crossed a page or filled an arena may stand out by itself.
    assert case.suspect.subject == "group"
    assert 190 <= case.suspect.tests <= 200
    assert case.suspect.grew_by == pytest.approx(60e6, rel=0.1)


def test_an_import_is_named(confirmed: Ran) -> None:
    assert "bigone" in confirmed.case("test_imports_lazily").suspect.imports
    assert "otherone" in confirmed.case("test_imports_and_keeps_20_mb").suspect.imports


def test_garbage_and_failures_are_told_but_never_judged(confirmed: Ran) -> None:
    notes = {(note.slug, note.nodeid.partition("::")[2]) for note in confirmed.book.notes}

    assert notes == {("garbage", "test_ties_50_mb_in_a_knot"), ("failed", "test_fails_with_20_mb")}


def test_each_test_is_reported_once_with_its_own_outcome(confirmed: Ran) -> None:
    failed = {name for name, outcome in confirmed.outcomes.items() if outcome != "passed"}

    assert failed == {"test_fails_with_20_mb"}
    assert len(confirmed.outcomes) == len(confirmed.book.tests) == len(confirmed.ended())


def test_no_line_is_wider_than_the_terminal_unless_a_name_is(confirmed: Ran) -> None:
    wide = [line for line in confirmed.report.splitlines() if len(line) > 80 and " " in line.strip()]

    assert wide == []
