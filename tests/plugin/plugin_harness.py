"""One call states a run: its files, its arguments; it gives back all that can be asked of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from leaktrace.casebook import wire
from leaktrace.casebook.model import Case, Casebook
from leaktrace.recording.journal import read_journal
from leaktrace.recording.model import Recording


LEAN = ("-p", "leaktrace.plugin")
"""Each plugin that is installed beside ours costs every run a third of a second, so most runs load none."""
ONE_LINE = re.compile(r"leaktrace: (?!watch|confirm|hunt)")
RECORDER = '''
"""Writes down every report that reaches the process that reports."""
import json, os
import pytest

keep = open

@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    if "PYTEST_XDIST_WORKER" not in os.environ and "REPORTS" in os.environ:
        with keep(os.environ["REPORTS"], "a") as file:
            file.write(json.dumps([report.nodeid, report.when, report.outcome]) + "\\n")
'''


def known_toml(*rows: Mapping[str, str]) -> str:
    """A table of known leaks in TOML: what JSON makes of a plain text is a text there, too."""
    return "\n".join("\n".join(["[[known]]", *(f"{key} = {json.dumps(row[key])}" for key in row)]) for row in rows)


@dataclass(slots=True, kw_only=True)
class Ran:
    """A run that has ended.

    Attributes:
        ret: exit status.
        text: all that it printed.
        reports: node id, phase and outcome of each report, in their order.
        journals: by worker.
        written: the casebook, where the run was asked for one.
    """

    ret: int
    text: str
    reports: list[tuple[str, str, str]]
    journals: dict[str, Recording] = field(default_factory=dict)
    written: Casebook | None = None

    @property
    def book(self) -> Casebook:
        """The casebook of a run that was asked for one."""
        assert self.written is not None, self.text
        return self.written

    @property
    def report(self) -> str:
        """Our own part of what was printed."""
        lines = self.text.splitlines()
        sections = [i for i, line in enumerate(lines) if "= leaktrace: " in line]
        ours = sections or [i for i, line in enumerate(lines) if ONE_LINE.match(line)]
        return "\n".join(lines[ours[0] :]) if ours else ""

    @property
    def outcomes(self) -> dict[str, str]:
        """The outcome of each test's call, by its name without the file."""
        return {nodeid.partition("::")[2]: outcome for nodeid, when, outcome in self.reports if when == "call"}

    @property
    def verdicts(self) -> dict[str, str]:
        return {
            case.suspect.name.partition("::")[2] or case.suspect.name: case.verdict.value for case in self.book.cases
        }

    @property
    def suspects(self) -> set[str]:
        """Names of those whose memory grew."""
        every = [suspect for suspect in self.book.suspects if suspect.kind == "memory"]
        return {suspect.name.partition("::")[2] or suspect.name for suspect in every}

    def case(self, name: str) -> Case:
        return next(case for case in self.book.cases if case.suspect.name.endswith(name))

    def ended(self) -> list[str]:
        """Names of all tests in the journals."""
        return sorted(nodeid.partition("::")[2] for each in self.journals.values() for nodeid in each.nodeids)


class Example:
    """A folder with files, and pytest run in it as a user would run it."""

    def __init__(self, path: Path, args: tuple[str, ...] = ()) -> None:
        self.path, self.args, self.runs = path, args, 0
        self.plugins: tuple[str, ...] | None = ("-p", "xdist.plugin", *LEAN) if "-n2" in args else LEAN
        self.write({"tox.ini": "[pytest]\n", "plugins/reports_recorder.py": RECORDER})

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text), encoding="utf-8")

    def with_all_plugins(self, *args: str) -> Self:
        """Load what is installed, as it is for a user, ours by its entry point."""
        self.plugins, self.args = None, (*self.args, *args)
        self.write({"tox.ini": "[pytest]\nasyncio_default_fixture_loop_scope = function\n"})
        return self

    def run(
        self,
        *args: str,
        files: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        book: bool = True,
        expect: int | None = None,
        launcher: Sequence[str] = (),
        cwd: str = "",
    ) -> Ran:
        """Write the files, run pytest on them, and read what it left; `expect` is the exit status, `cwd` a folder below."""
        self.write(files or {})
        self.runs += 1
        reports, casebook = self.path / f"reports-{self.runs}.txt", self.path / f"book-{self.runs}.json"
        result = subprocess.run(
            [
                *(launcher or (sys.executable, "-m", "pytest", "-p", "reports_recorder")),
                *(*(self.plugins or ()), *self.args, *args),
                *((f"--leaktrace-json={casebook if cwd else casebook.name}",) if book else ()),
            ],
            cwd=self.path / cwd,
            env=self.environ(REPORTS=str(reports), **(env or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        text = result.stdout.decode("utf-8", "replace")
        if expect is not None:
            assert result.returncode == expect, text
        lines = reports.read_text(encoding="utf-8").splitlines() if reports.exists() else []
        return Ran(
            ret=result.returncode,
            text=text,
            reports=[tuple(json.loads(line)) for line in lines],
            journals=self.journals(),
            written=wire.read(casebook) if casebook.exists() else None,
        )

    def start(
        self, *args: str, files: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start pytest and come back at once; what it prints goes into `output.txt`, and nothing of it is in a pipe."""
        self.write(files or {})
        with (self.path / "output.txt").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "pytest", *(self.plugins or ()), *self.args, *args],
                cwd=self.path,
                env=self.environ(**(env or {})),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def environ(self, **more: str) -> dict[str, str]:
        """Ours without what this very run of pytest has put there."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LEAKTRACE_", "COV_"))}
        found = os.pathsep.join([str(self.path / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])])
        lean = {} if self.plugins is None else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return {**kept, "PYTHONPATH": found, **lean, **more}

    def journals(self) -> dict[str, Recording]:
        """The journals of the newest run, by worker."""
        runs = sorted(self.path.glob("**/runs/*-*-*"), key=lambda folder: folder.stat().st_mtime_ns)
        return {path.stem: read_journal(path) for path in sorted(runs[-1].glob("*.jsonl"))} if runs else {}

    def same(
        self,
        *args: str,
        files: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        expect: int | None = None,
    ) -> Ran:
        """Run without the plugin and with it: outcomes, their order and the exit status must be the same."""
        without = self.run("--no-leaktrace", *args, files=files, env=env, book=False, expect=expect)
        shutil.rmtree(self.path / ".pytest_cache", ignore_errors=True)
        watched = self.run(*args, env=env)
        shown = watched.text + without.text
        assert watched.ret == without.ret, shown
        arrange = sorted if "-n2" in self.args else list
        assert arrange(watched.reports) == arrange(without.reports), shown
        return watched
