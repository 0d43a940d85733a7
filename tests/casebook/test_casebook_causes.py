"""Which cases share a cause, and are told once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import make_case
from casebook.casebook_scenarios import exhibit
from leaktrace.casebook.causes import causes
from leaktrace.casebook.model import Case
from leaktrace.probes.model import Thing
from leaktrace.verdict.model import Verdict


def of(mark: str, **changes: Any) -> Case:
    return make_case(exhibit=replace(exhibit(), fingerprint=mark), **changes)


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


def test_what_has_no_fingerprint_shares_no_cause() -> None:
    assert [len(cause) for cause in causes([of(""), of("")])] == [1, 1]


def test_tests_that_leave_open_what_one_line_opened_share_one_cause() -> None:
    made = [
        of(f"{n}" * 8, nodeid=f"t{n}", things=(Thing(kind="sockets", noun="socket", name=f"{n}", where=where),))
        for n, where in enumerate(["help.py:3", "help.py:3", "test_a.py:9", None, None])
    ]

    assert [[case.suspect.name for case in cause] for cause in causes(made)] == [["t0", "t1"], ["t2"], ["t3"], ["t4"]]
