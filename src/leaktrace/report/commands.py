"""The commands that a report ends in: to see a case again, to find its cause, to judge the suspects, to go on."""

from __future__ import annotations

from leaktrace.casebook.model import Case
from leaktrace.report.model import Command, Row


BISECT = "leaktrace bisect "
CONFIRM = "pytest --leaktrace"
HUNT = "pytest --leaktrace-hunt"
ALL_OF_THEM = "see --leaktrace-json=PATH"
"""Where to find what a report leaves out."""


def again(case: Case) -> Row:
    """The command that shows the case again, or finds the tests without which it does not come."""
    return Row("find them" if bisects(case) else "again", (Command(case.reproduce),))


def bisects(case: Case) -> bool:
    """Whether the command of a case looks for earlier tests."""
    return case.reproduce.startswith(BISECT)


def confirm() -> Command:
    """The command that judges what a watch suspects."""
    return Command(CONFIRM)


def resume(mode: str) -> Command:
    """The command that judges what this run had no time for."""
    return Command(f"{HUNT if mode == 'hunt' else CONFIRM} --leaktrace-resume")
