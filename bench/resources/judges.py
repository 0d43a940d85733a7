"""How each detector of leaked resources is asked at its best, and whom its own output accuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from detectors.leaktrace import REPOSITORY
from detectors.running import key_of, run_pytest, run_to_the_end
from model import Ask, Case


BESIDE = ("pytest-xdist", "pytest-asyncio")
"""What every detector finds installed beside itself."""
KINDS = ("memory", "objects", "fds", "sockets", "threads", "processes", "tasks", "files", "gpu", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accusation:
    """One thing said of one test or fixture.

    Attributes:
        kind: of what was left, in the detector's word.
        who: name of the test, without its file and class, or of the fixture.
        fixtures: that it says made the thing.
    """

    kind: str
    who: str
    fixtures: tuple[str, ...] = ()


class Judge(Protocol):
    """One way to find who leaves resources behind."""

    name: str
    requirements: tuple[str, ...]
    scope: Mapping[str, frozenset[str]]
    """By specimen that it has a checker for: the right words for what is left there."""

    def accuse(self, case: Case, ask: Ask) -> set[Accusation] | None:
        """All that it says of one file of specimens; None where the run gave no answer."""


def _words(**words: str) -> dict[str, frozenset[str]]:
    return {specimen: frozenset(text.split()) for specimen, text in words.items()}


class Leaktrace:
    requirements = (*BESIDE, "-e", str(REPOSITORY))
    scope = _words(
        fds="fds",
        sockets="sockets",
        threads="threads",
        threads_waited="threads",
        processes="processes",
        tasks="tasks",
        tasks_async="tasks",
        files="files",
        state="state",
        state_path="state",
        state_logging="state",
        state_cwd="state",
    )

    def __init__(self, mode: str, *flags: str) -> None:
        self.name = f"leaktrace {mode}"
        self.mode, self.flags = mode, flags

    def accuse(self, case: Case, ask: Ask) -> set[Accusation] | None:
        path = ask.scratch / "casebook.json"
        command = [str(ask.python), "-m", "pytest", "-q", *self.flags, f"--leaktrace-json={path}", *ask.arguments]
        command += [f"--leaktrace-kinds={','.join(KINDS)}", case.file.name]
        run_to_the_end(command, cwd=case.file.parent, env=dict(ask.env), ask=ask)
        if not path.exists():
            return None
        return set(_told(json.loads(path.read_text(encoding="utf-8")), proved=self.mode == "confirm"))


def _told(book: Mapping, *, proved: bool) -> Iterator[Accusation]:
    """Its suspects; where they are replayed, what was proved, and changed state, which is told as it was seen."""
    for suspect in book["suspects"]:
        if not proved or suspect["kind"] == "state":
            yield Accusation(kind=suspect["kind"], who=_bare(suspect["name"]), fixtures=_fixtures(suspect))
    for case in book["cases"]:
        if case["verdict"] == "LEAK":
            yield Accusation(kind=case["kind"], who=_bare(case["nodeid"]), fixtures=_fixtures(case))


def _fixtures(told: Mapping) -> tuple[str, ...]:
    """The fixtures that a suspect's or a case's things are said to have been made in."""
    owners = " ".join(thing["owner"] for thing in told["things"])
    return tuple(sorted({*re.findall(r"fixture `(\w+)`", owners), *filter(None, [told.get("fixture")])}))


class Threadleak:
    name = "pytest-threadleak"
    requirements = (*BESIDE, "pytest-threadleak")
    scope = _words(threads="threads", threads_waited="threads")

    def accuse(self, case: Case, ask: Ask) -> set[Accusation] | None:
        outcomes = run_pytest(case, ask, "--threadleak")
        guilty = {nodeid for nodeid, outcome in outcomes.items() if "Failed: Test leaked [" in outcome.text}
        return {Accusation(kind="threads", who=_bare(nodeid)) for nodeid in guilty} if outcomes else None


class Pyleak:
    """Tasks are looked for in the loop that runs the test: those of a loop of the test's own it cannot see."""

    name = "pyleak"
    requirements = (*BESIDE, "pyleak")
    scope = _words(threads="ThreadLeakError", threads_waited="ThreadLeakError", tasks_async="TaskLeakError")

    def accuse(self, case: Case, ask: Ask) -> set[Accusation] | None:
        outcomes = run_pytest(case, ask, plugins=("resources_no_leaks",))
        found = {
            Accusation(kind=kind, who=_bare(nodeid))
            for nodeid, outcome in outcomes.items()
            for kind in re.findall(r"\b(?:Thread|Task)LeakError\b", outcome.text)
        }
        return found if outcomes else None


class Hygiene:
    """Daemon threads it tells only in its summary, and there only when that is verbose; the rest fails tests."""

    name = "pytest-hygiene"
    requirements = (*BESIDE, "pytest-hygiene")
    scope = _words(
        threads="threads",
        threads_waited="threads",
        state="env",
        state_path="syspath",
        state_logging="logging",
        state_cwd="cwd",
    )

    def accuse(self, case: Case, ask: Ask) -> set[Accusation] | None:
        outcomes = run_pytest(case, ask, "--hygiene-strict", "--hygiene-verbose")
        found = {
            Accusation(kind=aspect, who=_bare(nodeid))
            for nodeid, outcome in outcomes.items()
            for aspect in re.findall(r"^ +\[(\w+)\] ", outcome.text, flags=re.MULTILINE)
        }
        who = ""
        for line in _printed(ask).partition("= test hygiene =")[2].splitlines():
            if re.match(r"\S+::\S+$", line):
                who = _bare(line)
            elif told := re.match(r"  (?:LEAK \[(\w+)\]|warn \[(threads)\]) ", line):
                found.add(Accusation(kind=told[1] or told[2], who=who))
        return found if outcomes else None


class Dask:
    """In workers of pytest-xdist it measures only where leaks are to fail tests."""

    name = "dask"
    requirements = (*BESIDE, "distributed")
    scope = _words(fds="fds", sockets="fds", threads="threads", threads_waited="threads", processes="processes")

    def accuse(self, case: Case, ask: Ask) -> set[Accusation] | None:
        outcomes = run_pytest(case, ask, "-L", "all", "--leaks-fail", plugins=("distributed.pytest_resourceleaks",))
        told = re.findall(r"^(\S+::\S+) leaking (\w+): ", _printed(ask), flags=re.MULTILINE)
        return {Accusation(kind=kind, who=_bare(nodeid)) for nodeid, kind in told} if outcomes else None


def all_judges() -> dict[str, Judge]:
    """Every detector by name, in the table's order."""
    judges: tuple[Judge, ...] = (
        Leaktrace("watch"),
        Leaktrace("confirm", "--leaktrace"),
        Threadleak(),
        Pyleak(),
        Hygiene(),
        Dask(),
    )
    return {judge.name: judge for judge in judges}


def _bare(nodeid: str) -> str:
    return key_of(nodeid).rpartition("::")[2] if "::" in nodeid else nodeid


def _printed(ask: Ask) -> str:
    return Path(ask.scratch / "output.txt").read_text(encoding="utf-8", errors="replace")
