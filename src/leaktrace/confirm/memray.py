"""Leaks of native code: replayed once more under memray, where it is installed, for the stacks of their allocations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from leaktrace.casebook.cases import with_native
from leaktrace.casebook.model import Case
from leaktrace.confirm.after_others import Ask, Replayed
from leaktrace.lines.native import has_memray
from leaktrace.verdict.model import Verdict


MOST = 6
"""Cases that are followed: each needs a child of its own."""


def followed(replayed: Sequence[Replayed], ask: Ask, warn: Callable[[str], None] = lambda _text: None) -> list[Case]:
    """All cases, in their order; those of native leaks with the stacks that memray saw."""
    cases = [each.case for each in replayed]
    wanted = [number for number, case in enumerate(cases) if is_native(case)]
    if not wanted or not has_memray():
        return cases
    if len(wanted) > MOST:
        warn(
            f"{len(wanted) - MOST} of {len(wanted)} native leaks were not followed by memray, to save time: "
            "to have them followed, run these tests alone"
        )
    tasks = [replace(replayed[number].task, ident=number, native=True) for number in wanted[:MOST]]
    for number, response in ask(tasks).items():
        cases[number] = with_native(cases[number], response)
    return cases


def is_native(case: Case) -> bool:
    """Whether it is a leak that Python's own allocators do not explain."""
    return case.verdict is Verdict.LEAK and case.exhibit.native
