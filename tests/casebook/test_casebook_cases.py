"""Suspect and response to case, and the cases of several workers to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from builders import make_case, make_holder, make_response, make_site, make_suspect, of_suspect
from casebook.casebook_scenarios import exhibit
from leaktrace.casebook.cases import after_others, case_of, folded, merged_cases, with_native, with_runnable_command
from leaktrace.casebook.model import Case
from leaktrace.probes.model import Thing, Unread
from leaktrace.replay.protocol import Response
from leaktrace.serialize import encode
from leaktrace.verdict.model import Verdict


LIMIT = 10_000_000
COUNTERS = ("rss_bytes", "heap_bytes", "blocks")


def response(steps: Sequence[int], **changes: Any) -> Response:
    """Readings of a heap that grows by `steps` runs' worth, three runs a batch, none warm."""
    heap, rows = 1_000_000, []
    for step in (0, *steps):
        heap += step
        rows.append([heap, heap, None])
    given = {
        "counters": COUNTERS,
        "warmups": 2,
        "batch_runs": 1,
        "readings": rows,
        "unread": {"blocks": "PYTHONMALLOC=malloc"},
        "ended": True,
        "runs": len(steps),
        "began": True,
        **changes,
    }
    return make_response(**given)


def judged(given: Response | None, **changes: Any) -> Case:
    return case_of(make_suspect(**changes), given, limit_bytes=LIMIT)


def test_even_growth_is_a_leak_with_its_rate() -> None:
    found = judged(response([20_000_000] * 8))

    assert found.verdict is Verdict.LEAK
    assert found.per_run["heap_bytes"].estimate == pytest.approx(20e6)
    assert (found.runs, found.warmups, len(found.readings["heap_bytes"])) == (8, 2, 9)
    assert found.readings["blocks"][0] == Unread(counter="blocks", why="PYTHONMALLOC=malloc")


def test_descriptors_that_no_one_could_list_may_turn_out_to_be_sockets() -> None:
    left = make_response(
        counters=("fds",),
        warmups=3,
        batch_runs=3,
        readings=[[10 + n] for n in (0, 1, 2, 3, 6, 9, 12, 15)],
        things=[encode(Thing(kind="sockets", noun="socket", name="unix unnamed"))],
        ended=True,
        runs=15,
        began=True,
    )
    nameless = Thing(kind="fds", noun="fds", name="1 more")

    found = judged(left, kind="fds", counter="fds", things=(nameless,))

    assert (found.verdict, [thing.noun for thing in found.things]) == (Verdict.LEAK, ["socket"])
    assert judged(left, kind="fds", counter="fds", things=(replace(nameless, noun="file"),)).verdict is Verdict.STEADY


def test_what_memray_saw_comes_before_the_lines_that_were_found_without_it() -> None:
    python = make_case(exhibit=replace(exhibit(), sites=(make_site("a.py"),), fingerprint="11111111", notes=()))
    nowhere = replace(python, exhibit=replace(python.exhibit, sites=(), fingerprint=""))
    seen = make_response(exhibit={"sites": encode((make_site("blob.c"),))})

    assert [each.file for each in with_native(python, seen).exhibit.sites] == ["blob.c", "a.py"]
    assert with_native(python, seen).exhibit.fingerprint == "11111111"
    assert len(with_native(nowhere, seen).exhibit.fingerprint) == 8


def test_that_memray_could_not_follow_is_a_note() -> None:
    given = make_case(exhibit=replace(exhibit(), notes=()))
    failed = make_response(exhibit={"notes": ["memray could not follow it: ValueError"]})

    found = with_native(given, failed).exhibit

    assert found == replace(given.exhibit, notes=("memray could not follow it: ValueError",))
    assert with_native(given, make_response()).exhibit == given.exhibit


def test_growth_of_the_first_run_is_one_time() -> None:
    assert judged(response([20_000_000] + [0] * 20)).verdict is Verdict.ONE_TIME


def test_a_trickle_does_not_make_a_leak_of_what_came_once() -> None:
    found = judged(response([20_000_000] + [0, 0, 88] * 60))

    assert found.verdict is Verdict.ONE_TIME
    assert found.reason.startswith("grew by 20.0 MB in the first runs and not again; what is left is ")


def test_a_trickle_alone_is_steady_beside_what_the_suite_saw() -> None:
    found = judged(response([0, 0, 88] * 60))

    assert found.verdict is Verdict.STEADY
    assert "of heap a run, does not explain the 20.0 MB of the suite" in found.reason


def test_a_small_leak_that_was_suspected_as_such_stays_one() -> None:
    found = judged(response([88] * 180), grew_by=264, counter="heap_bytes")

    assert found.verdict is Verdict.LEAK


def test_a_hundredth_of_what_the_suite_saw_in_each_run_is_still_a_leak() -> None:
    assert judged(response([300_000] * 180)).verdict is Verdict.LEAK


def test_no_growth_is_steady() -> None:
    assert judged(response([0] * 20)).verdict is Verdict.STEADY


def test_a_run_that_failed_before_it_could_be_judged_is_unreplayable() -> None:
    found = judged(response([20_000_000] * 3, failure="run 4: call failed: assert 0"))

    assert (found.verdict, found.reason) == (Verdict.UNREPLAYABLE, "not repeatable: run 4: call failed: assert 0")


def test_a_child_that_never_ran_it_gives_its_own_reason() -> None:
    found = judged(make_response(failure="the child collected no test t.py::gone", ended=True))

    assert (found.verdict, found.reason) == (Verdict.UNREPLAYABLE, "the child collected no test t.py::gone")


def test_a_failure_after_enough_runs_leaves_the_verdict() -> None:
    assert judged(response([20_000_000] * 8, failure="run 9: it was skipped")).verdict is Verdict.LEAK


def test_a_suspect_whose_file_is_not_known_is_unreplayable() -> None:
    found = judged(None)

    assert found.verdict is Verdict.UNREPLAYABLE
    assert "the file of the test is not known" in found.reason


def test_growth_that_a_bounded_holder_explains_is_a_cache() -> None:
    bounded = make_holder("shop.prices", kind="lru-cache", bound=128, filled=31)
    found = judged(response([20_000_000] * 8, exhibit=encode(replace(exhibit(), holder=bounded))))

    assert found.verdict is Verdict.CACHE
    assert found.reason.startswith("shop.prices holds 31 of at most 128 entries")


def references(kind: str | None) -> Response:
    """A response in which nothing but the number of references grows, and the holder that its trace named."""
    rows = [[run] for run in range(150)]
    holder = make_holder("references to class fractions.Fraction", kind=kind or "")
    found = encode(replace(exhibit(), holder=holder if kind else None))
    return response([], counters=("refs",), readings=rows, runs=149, unread={}, exhibit=found)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("references", Verdict.LEAK), ("shared-references", Verdict.STEADY), (None, Verdict.UNDECIDED)],
)
def test_references_alone_convict_where_their_object_is_named_and_could_go_otherwise(
    kind: str | None, verdict: Verdict
) -> None:
    assert judged(references(kind)).verdict is verdict


def test_a_trace_that_cannot_be_read_costs_the_explanation_alone() -> None:
    found = judged(response([20_000_000] * 8, exhibit={"holder": 5}))

    assert found.verdict is Verdict.LEAK
    assert "the trace could not be read: holder needs an object, got 5" in found.exhibit.notes


def test_the_rate_of_a_group_is_one_tests() -> None:
    found = judged(
        response([8_000_000] * 8), subject="group", name="t.py::test_a", nodeids=("a", "b", "c", "d"), tests=20
    )

    assert found.per_run["heap_bytes"].estimate == pytest.approx(2e6)


def test_the_command_that_shows_it_again_quotes_the_name_for_a_shell() -> None:
    assert judged(None, name="t.py::test_a[x y]").reproduce.endswith(" 't.py::test_a[x y]'")
    low = case_of(make_suspect(grew_by=2_000_000), None, limit_bytes=1_000_000)
    assert "--leaktrace-limit=1000000" in low.reproduce


@pytest.mark.parametrize(
    ("nodeid", "path", "asked"),
    [
        ("tests/t.py::test_a", "/project/tests/t.py", "tests/t.py::test_a"),  # started in the root
        ("other/t.py::test_a", "/other/t.py", "/other/t.py::test_a"),  # the root is above
        ("more/tests/t.py::test_a[x y]", "/project/tests/t.py", "'tests/t.py::test_a[x y]'"),
        ("::test_a", "/site-packages/some/t.py", "/site-packages/some/t.py::test_a"),  # --pyargs some.t
        ("t.py", "/project/tests/t.py", "tests/t.py"),  # a group
    ],
)
def test_the_command_that_shows_it_again_finds_the_file_from_where_pytest_was_started(
    nodeid: str, path: str, asked: str
) -> None:
    member = nodeid if "::" in nodeid else f"{nodeid}::test_b"
    found = judged(None, name=nodeid, nodeids=(member,))

    assert with_runnable_command(found, {member: path}, "/project").reproduce == f"pytest --leaktrace {asked}"


def test_the_command_of_a_bisection_keeps_the_name_and_what_is_to_be_collected() -> None:
    name, command = "tests/t.py::test_a", "leaktrace bisect tests/t.py::test_a -- --pyargs some"
    found = after_others(judged(None, name=name, nodeids=(name,)), ["tests/t.py::test_b"], command)

    assert with_runnable_command(found, {name: "/site-packages/some/tests/t.py"}, "/project").reproduce == command


def test_of_several_workers_the_gravest_verdict_of_a_test_stands() -> None:
    steady = make_case(verdict=Verdict.STEADY, worker="gw0")

    assert merged_cases([steady, make_case(worker="gw1")]) == [make_case(worker="gw1")]


def test_what_several_workers_saw_of_a_group_is_summed_up() -> None:
    group = make_case(subject="group", nodeid="t.py::test_a", tests=12, grew_by=4_000_000, worker="gw0")

    other = replace(of_suspect(group, tests=8, grew_by=2_000_000, worker="gw1"), verdict=Verdict.STEADY)

    [merged] = merged_cases([group, other])

    assert merged == of_suspect(group, tests=20, grew_by=6_000_000, worker="gw0,gw1")


def test_the_gravest_case_comes_first_and_then_the_largest() -> None:
    cases = [
        make_case(nodeid="a", verdict=Verdict.STEADY, grew_by=90),
        make_case(nodeid="b", verdict=Verdict.LEAK, grew_by=1),
        make_case(nodeid="c", verdict=Verdict.LEAK, grew_by=2),
    ]

    assert [each.suspect.name for each in merged_cases(cases)] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("noun", "verdict", "kinds"),
    [
        ("shared memory", Verdict.STEADY, ["fds"]),
        ("shared memory", Verdict.LEAK, ["fds", "memory"]),
        ("file", Verdict.STEADY, ["fds", "memory"]),
    ],
)
def test_resident_memory_is_folded_into_the_leak_of_the_shared_memory_that_it_is(
    noun: str, verdict: Verdict, kinds: list[str]
) -> None:
    left = make_case("t", kind="fds", things=(Thing(kind="fds", noun=noun, name="/dev/shm/psm_1"),))
    memory, other = (
        replace(of_suspect(left, name=name, kind="memory"), verdict=verdict, things=()) for name in ("t", "u")
    )

    assert [case.suspect.kind for case in folded([left, memory, other])] == [*kinds, "memory"]
