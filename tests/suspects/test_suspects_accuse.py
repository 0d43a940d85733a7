"""Recordings by hand, and who is accused by them."""

from __future__ import annotations

from typing import Any

import pytest

from builders import MB, Row, make_account, make_recording, make_suspect
from leaktrace.recording.model import OUTCOMES, Recording
from leaktrace.suspects.accuse import accuse, doubtful, notes, ranked
from leaktrace.suspects.groups import SUITE, group_names, with_common, without_explained
from leaktrace.suspects.model import Limits, Suspect


LIMITS = Limits(test_bytes=10 * MB)


def with_fixture(made: Recording, name: str, **changes: Any) -> Recording:
    made.fixtures.append(make_account(name, **changes))
    return made


def names(made: Recording, limits: Limits = LIMITS) -> list[tuple[str, str]]:
    return [(suspect.subject, suspect.name) for suspect in accuse(made, limits)]


def variants(count: int, size: int, name: str = "t.py::test_variant") -> list[tuple[str, int | Row]]:
    return [(f"{name}[{number}]", size) for number in range(count)]


def test_a_test_over_the_limit_is_a_suspect_and_one_at_the_limit_is_not() -> None:
    made = make_recording(over=10 * MB + 1, at=10 * MB, shrinks=-50 * MB)

    [suspect] = accuse(made, LIMITS)

    assert (suspect.name, suspect.grew_by, suspect.counter) == ("t.py::over", 10 * MB + 1, "rss_bytes")
    assert suspect.growth == {"rss_bytes": 10 * MB + 1, "heap_bytes": 0}
    assert suspect.nodeids == ("t.py::over",)


def test_growth_of_the_heap_alone_is_enough() -> None:
    [suspect] = accuse(make_recording(a=Row(1 * MB, heap=20 * MB)), LIMITS)

    assert (suspect.grew_by, suspect.counter) == (20 * MB, "heap_bytes")


def test_a_counter_that_was_given_up_accuses_nobody() -> None:
    made = make_recording(a=Row(1 * MB, heap=20 * MB))
    made.unread["heap_bytes"] = "gone"

    assert accuse(made, LIMITS) == []


def test_the_largest_suspect_comes_first() -> None:
    made = with_fixture(make_recording(a=20 * MB, b=40 * MB), "database", kept=30 * MB)

    assert [suspect.name for suspect in accuse(made, LIMITS)] == ["t.py::b", "database", "t.py::a"]


def test_tests_that_did_not_pass_are_never_accused() -> None:
    outcomes = [outcome for outcome in OUTCOMES if outcome != "passed"]
    made = make_recording([(f"t.py::{outcome}", Row(50 * MB, outcome=outcome)) for outcome in outcomes])

    assert accuse(made, LIMITS) == []


def test_an_import_is_named_in_the_reason() -> None:
    [suspect] = accuse(make_recording(a=Row(20 * MB, imports=("pandas", "numpy"))), LIMITS)

    assert suspect.imports == ("pandas", "numpy")
    assert "it imported pandas, numpy, so this is likely one-time" in suspect.why


def test_a_marker_raises_or_lowers_the_limit_of_its_test() -> None:
    made = make_recording(may=20 * MB, may_not=2 * MB)
    limits = Limits(test_bytes=10 * MB, own_bytes={"t.py::may": 30 * MB, "t.py::may_not": 1 * MB})

    assert names(made, limits) == [("test", "t.py::may_not")]


def test_a_marker_leaves_a_test_out_of_its_groups_too() -> None:
    made = make_recording([("t.py::a", 50 * MB), *variants(10, 2 * MB)])
    limits = Limits(test_bytes=10 * MB, left_out=frozenset(made.nodeids))

    assert accuse(made, limits) == []


def test_variants_below_the_limit_are_one_group() -> None:
    [suspect] = accuse(make_recording(variants(200, 300_000)), LIMITS)

    assert (suspect.subject, suspect.name, suspect.tests) == ("group", "t.py::test_variant", 200)
    assert (suspect.grew_by, suspect.growth["rss_bytes"]) == (60 * MB, 60 * MB)
    assert len(suspect.nodeids) == len(set(suspect.nodeids)) == LIMITS.replayed


def test_what_a_function_explains_its_class_and_module_do_not() -> None:
    made = make_recording(
        [*variants(20, 1 * MB, "t.py::TestA::test_b"), *[(f"t.py::TestA::test_{n}", 0) for n in range(9)]]
    )

    assert names(made) == [("group", "t.py::TestA::test_b")]


def test_tests_of_a_class_and_of_a_module_are_groups() -> None:
    made = make_recording(
        [(f"a.py::TestA::test_{n}", 2 * MB) for n in range(9)] + [(f"b.py::test_{n}", 2 * MB) for n in range(9)]
    )

    assert sorted(names(made)) == [("group", "a.py"), ("group", "b.py")] or sorted(names(made)) == [
        ("group", "a.py::TestA"),
        ("group", "b.py"),
    ]


def test_a_few_large_steps_are_no_group() -> None:
    made = make_recording([*variants(20, 0), ("t.py::test_variant[x]", 9 * MB), ("t.py::test_variant[y]", 9 * MB)])

    assert accuse(made, LIMITS) == []


def modules(count: int, tests: int, size: int) -> list[tuple[str, int | Row]]:
    return [(f"m{m}.py::test_{n}", size) for m in range(count) for n in range(tests)]


def test_a_suite_whose_modules_are_all_below_the_limit_is_a_group() -> None:
    [suspect] = accuse(make_recording(modules(15, 20, 300_000)), LIMITS)

    assert (suspect.subject, suspect.name, suspect.tests) == ("group", "the whole suite", 300)
    assert suspect.grew_by == 90 * MB
    assert len({nodeid.partition("::")[0] for nodeid in suspect.nodeids}) > 1


def test_a_folder_whose_modules_are_all_below_the_limit_is_a_group_and_explains_its_suite() -> None:
    made = make_recording(
        [*[(f"tests/db/{name}", size) for name, size in modules(15, 20, 300_000)], ("other/a.py::b", 0)]
    )

    assert names(made) == [("group", "tests/db/")]


def test_a_suite_in_which_a_few_tests_grow_is_no_group() -> None:
    grown = [(name, Row(1 * MB if name.endswith("::test_0") else 0)) for name, _size in modules(15, 20, 0)]

    assert accuse(make_recording(grown), LIMITS) == []


def test_what_settled_tests_have_kept_all_the_same_is_their_groups() -> None:
    settled = [(f"t.py::test_variant[{n}]", Row(7 * MB, garbage=6 * MB)) for n in range(30)]

    assert names(make_recording(settled)) == [("group", "t.py::test_variant")]


def test_two_tests_are_no_group() -> None:
    assert accuse(make_recording(variants(2, 9 * MB)), LIMITS) == []


def test_members_that_shrink_count_against_nobody() -> None:
    made = make_recording([*variants(12, 1 * MB), *variants(12, -1 * MB, "t.py::test_other")])

    assert names(made) == [("group", "t.py::test_variant")]


def test_what_one_test_of_a_group_takes_and_the_next_gives_back_is_no_growth() -> None:
    swings = [(f"t.py::TestA::test_{n}", Row(100_000, heap=2 * MB * (-1) ** n)) for n in range(40)]

    assert accuse(make_recording(swings), LIMITS) == []


@pytest.mark.parametrize("fate", [{"outcome": "failed"}, {"garbage": 30 * MB}])
def test_what_a_test_that_accuses_nobody_gives_back_is_taken_off_its_groups_growth(fate: dict[str, Any]) -> None:
    grown = variants(20, 1 * MB)

    assert names(make_recording(grown)) == [("group", "t.py::test_variant")]
    assert accuse(make_recording([*grown, ("t.py::test_variant[x]", Row(-15 * MB, **fate))]), LIMITS) == []
    [suspect] = accuse(make_recording([*grown, ("t.py::test_variant[x]", Row(-5 * MB, **fate))]), LIMITS)
    assert (suspect.grew_by, suspect.tests) == (15 * MB, 20)


def test_what_a_failed_test_keeps_is_not_its_groups() -> None:
    grown = [*variants(20, 400_000), ("t.py::test_variant[x]", Row(9 * MB, outcome="failed"))]

    assert accuse(make_recording(grown), LIMITS) == []


def test_growth_of_two_counters_is_not_summed_up() -> None:
    mixed = [(f"t.py::TestA::test_{n}", Row(400_000) if n % 2 else Row(heap=400_000)) for n in range(40)]

    assert accuse(make_recording(mixed), LIMITS) == []


def test_a_group_that_gives_a_little_back_grows_all_the_same() -> None:
    gives_back, *others = variants(30, 0)
    grown = [(f"t.py::test_variant[{n}]", Row(heap=2 * MB)) for n in range(20)]
    made = make_recording([(gives_back[0], Row(-3 * MB)), *others, *grown])

    [suspect] = accuse(made, LIMITS)

    assert (suspect.grew_by, suspect.counter, suspect.tests) == (40 * MB, "heap_bytes", 50)


def test_where_the_parameter_begins_is_seen_whatever_it_holds() -> None:
    assert group_names("a/t.py::TestA::test_b[x::y[z]-1]") == {
        "module": "a/t.py",
        "function": "a/t.py::TestA::test_b",
        "class": "a/t.py::TestA",
        "package": "a/",
        "suite": SUITE,
    }
    assert group_names("a/t.py::test_b") == {"module": "a/t.py", "package": "a/", "suite": SUITE}
    assert group_names("readme.md") == {"module": "readme.md", "suite": SUITE}


def test_what_the_tests_of_a_suite_have_in_common_is_told() -> None:
    [suspect] = accuse(make_recording(modules(15, 20, 300_000)), LIMITS)
    first = suspect.nodeids[0]

    said = with_common(suspect, lambda nodeid: ("request", "db", "own") if nodeid == first else ("_x", "db", "other"))

    assert said.common == ("db",)


def test_what_the_variants_of_one_function_have_in_common_goes_without_saying() -> None:
    [suspect] = accuse(make_recording(variants(200, 300_000)), LIMITS)

    assert with_common(suspect, lambda _nodeid: ("db",)) == suspect


def test_a_fixture_that_kept_its_loan_is_accused_with_its_first_user_to_run_again() -> None:
    made = with_fixture(make_recording(test_a=0), "database", kept=50 * MB)

    [suspect] = accuse(made, LIMITS)

    assert (suspect.subject, suspect.name, suspect.scope, suspect.where) == (
        "fixture",
        "database",
        "session",
        "conftest.py:3",
    )
    assert suspect.nodeids == ("t.py::test_a",)


def test_a_fixture_that_repaid_is_not_accused() -> None:
    assert accuse(with_fixture(make_recording(), "database", kept=9 * MB), LIMITS) == []


def test_a_fixture_that_is_still_open_is_not_accused() -> None:
    assert accuse(with_fixture(make_recording(), "database", kept=0, closings=0), LIMITS) == []


def test_a_function_fixture_is_its_tests_matter() -> None:
    assert accuse(with_fixture(make_recording(), "client", kept=50 * MB, scope="function"), LIMITS) == []


def test_a_fixture_whose_only_user_is_left_out_is_left_out() -> None:
    limits = Limits(test_bytes=10 * MB, left_out=frozenset({"t.py::test_a"}))

    assert accuse(with_fixture(make_recording(), "database", kept=50 * MB), limits) == []


def test_garbage_over_the_limit_is_noted_and_accuses_nobody() -> None:
    made = make_recording(a=Row(1 * MB, garbage=50 * MB))

    assert accuse(made, LIMITS) == []
    [note] = notes(made, LIMITS)
    assert (note.slug, note.nodeid, note.size_bytes) == ("garbage", "t.py::a", 50 * MB)


def test_a_failed_test_over_the_limit_is_noted_with_the_reason() -> None:
    [note] = notes(make_recording(a=Row(20 * MB, outcome="failed", garbage=0)), LIMITS)

    assert (note.slug, note.size_bytes) == ("failed", 20 * MB)
    assert "failed: pytest keeps its traceback and locals" in note.text


def test_a_suspect_needs_no_note() -> None:
    assert notes(make_recording(a=Row(20 * MB, garbage=30 * MB)), LIMITS) == []


def test_suspects_of_several_workers_are_one_by_name() -> None:
    groups = [accuse(make_recording(variants(20, 1 * MB), worker=worker), LIMITS) for worker in ("gw0", "gw1")]
    tests = [accuse(make_recording(a=size * MB), LIMITS) for size in (20, 50)]

    merged = ranked(suspect for each in (*groups, *tests) for suspect in each)

    assert [(suspect.name, suspect.grew_by, suspect.tests) for suspect in merged] == [
        ("t.py::a", 50 * MB, 1),
        ("t.py::test_variant", 40 * MB, 40),
    ]
    assert merged[1].worker == "gw0,gw1"


def test_fixtures_of_one_name_in_two_places_stay_apart() -> None:
    made = with_fixture(make_recording(), "database", kept=50 * MB, where="a/conftest.py:3")
    with_fixture(made, "database", kept=20 * MB, where="b/conftest.py:3")

    assert [(each.where, each.grew_by) for each in ranked(accuse(made, LIMITS))] == [
        ("a/conftest.py:3", 50 * MB),
        ("b/conftest.py:3", 20 * MB),
    ]


def test_growth_that_a_collection_took_back_is_in_doubt_since_the_garbage_may_be_older() -> None:
    made = make_recording(settled=Row(-3 * MB, garbage=19 * MB), kept=Row(20 * MB, garbage=1 * MB))

    [suspect] = doubtful(made, LIMITS)

    assert (suspect.name, suspect.doubtful, suspect.grew_by) == ("t.py::settled", True, 16 * MB)
    assert names(made) == [("test", "t.py::kept")]


def test_a_test_in_doubt_is_no_member_of_a_group() -> None:
    made = make_recording([*variants(4, 4 * MB), ("t.py::test_variant[4]", Row(-3 * MB, garbage=19 * MB))])

    [suspect] = accuse(made, LIMITS)

    assert "t.py::test_variant[4]" not in suspect.nodeids
    assert suspect.tests == 4


def group_of(name: str, grew_by: int) -> Suspect:
    return make_suspect(name, subject="group", grew_by=grew_by, nodeids=())


def test_of_several_processes_groups_those_that_narrower_ones_explain_are_left_out() -> None:
    module, function, suite = group_of("t/a.py", 60), group_of("t/a.py::test_b", 50), group_of("the whole suite", 110)

    assert without_explained([module, function, suite]) == [function]
    assert without_explained([suite, group_of("t/a.py", 40)]) == [suite, group_of("t/a.py", 40)]
    assert without_explained([group_of("t/", 60), suite]) == [group_of("t/", 60)]
