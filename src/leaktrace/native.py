"""Leaks of native code: replayed once more under memray, where it is installed, for the stacks of their allocations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leaktrace.casebook.cases import with_native
from leaktrace.casebook.model import Case
from leaktrace.errors import ReplayError
from leaktrace.order import Hearing
from leaktrace.replay.letters import Settings, Task
from leaktrace.replay.runner import Bounds, replay
from leaktrace.trace.native import has_memray
from leaktrace.verdict.model import Verdict


MOST = 6
"""Cases that are followed: each needs a child of its own."""


def followed(hearings: Sequence[Hearing], settings: Settings, *, bounds: Bounds, folder: Path) -> list[Case]:
    """All cases, in their order; those of native leaks with the stacks that memray saw."""
    cases = [each.case for each in hearings]
    if not any(map(is_native, cases)) or not has_memray():
        return cases
    wanted = [number for number, case in enumerate(cases) if is_native(case)][:MOST]
    tasks: dict[int, Task] = {number: replace(hearings[number].task, ident=number, native=True) for number in wanted}
    try:
        answers = replay(list(tasks.values()), settings, bounds, folder).answers
    except (ReplayError, OSError):
        return cases
    for number, answer in answers.items():
        cases[number] = with_native(cases[number], answer)
    return cases


def is_native(case: Case) -> bool:
    """Whether it is a leak that Python's own allocators do not explain."""
    return case.verdict is Verdict.LEAK and case.exhibit.native
