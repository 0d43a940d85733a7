"""What detectors said against who it was: counts, and the table that shows them. Touches no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from judges import Accusation


LEAKS = {
    "test_body": None,
    "test_library_thread": None,
    "test_function_fixture": "function_leak",
    "test_class_fixture": "class_leak",
    "test_module_fixture": "module_leak",
    "test_session_fixture": "session_leak",
}
"""Tests that leave something behind, with the fixture that does, where it is not the test itself."""
CLEAN = {
    "closed late": {"test_late"},
    "closed": {"test_closed"},
    "closed by a teardown": {"test_closed_by_teardown", "function_fine"},
    "lent by the session": {"test_loan", "test_loan_again", "lent"},
}
"""Things that are closed in the end, and all who could be accused of them."""
LABELS = {
    "fds": "open files",
    "sockets": "sockets",
    "threads": "threads, daemon",
    "threads_waited": "threads, not daemon",
    "processes": "child processes",
    "tasks": "tasks, loops of their own",
    "tasks_async": "tasks, pytest-asyncio",
    "files": "temporary files",
    "state": "environment variables",
    "state_path": "`sys.path`",
    "state_logging": "log handlers",
    "state_cwd": "working directory",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One detector's answer on one file of specimens, or the sum of several.

    Attributes:
        leaks: that there are.
        found: of those, that the test, or its fixture, is accused of with the right word.
        credited: of the found, with the one who left the thing named: the fixture where it was a fixture's.
        clean: that must not be accused.
        false_alarms: of those, that anybody is accused of with any word.
        silent: files without an answer; their leaks count as missed.
        said: each mistake, in words.
    """

    leaks: int = 0
    found: int = 0
    credited: int = 0
    clean: int = 0
    false_alarms: int = 0
    silent: int = 0
    said: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


def tally(accusations: set[Accusation] | None, words: frozenset[str], tests: set[str]) -> Tally:
    """The counts of one file; `tests` are those that it has, `words` the right ones for what is left in it."""
    told = accusations or set()
    found, credited, said = 0, 0, []
    leaks = {test: fixture for test, fixture in LEAKS.items() if test in tests}
    for test, fixture in leaks.items():
        mine = [each for each in told if each.kind in words and each.who in {test, fixture}]
        right = fixture is None or any(fixture in {each.who, *each.fixtures} for each in mine)
        found += bool(mine)
        credited += bool(mine) and right
        if not mine:
            said.append(f"missed {test}")
        elif not right:
            said.append(f"credited {test}, not {fixture}")
    accused = {
        name: sorted(each.kind for each in told if who & {each.who, *each.fixtures}) for name, who in CLEAN.items()
    }
    said += [f"falsely accused: {name} ({', '.join(kinds)})" for name, kinds in accused.items() if kinds]
    return Tally(
        leaks=len(leaks),
        found=found,
        credited=credited,
        clean=len(CLEAN),
        false_alarms=sum(map(bool, accused.values())),
        silent=accusations is None,
        said=tuple(said),
    )


def table(judges: Iterable[str], tallies: Mapping[tuple[str, str], Tally], tests: Mapping[str, set[str]]) -> str:
    """A row for each file of specimens, given with its tests, and a column for each detector."""
    names = list(judges)
    rows = [("what is left", *(name.replace("pytest-", "") for name in names)), ("---", *["---"] * len(names))]
    for specimen in tests:
        rows.append((LABELS[specimen], *(_cell(tallies.get((name, specimen))) for name in names)))
    sums = [sum((tallies[name, each] for each in tests if (name, each) in tallies), Tally()) for name in names]
    leaks = sum(len(LEAKS.keys() & each) for each in tests.values())
    rows.append(("**found, of its kinds**", *(f"{each.found} of {each.leaks}" for each in sums)))
    rows.append(("**found, of all**", *(f"{each.found} of {leaks}" for each in sums)))
    rows.append(("**credited right**", *(f"{each.credited} of {each.found}" for each in sums)))
    rows.append(("**false alarms**", *(f"{each.false_alarms} of {each.clean}" for each in sums)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _cell(counted: Tally | None) -> str:
    if counted is None:
        return "-"
    return "no answer" if counted.silent else f"{counted.found}/{counted.credited}/{counted.false_alarms}"
