"""A suite that does harm, run plain and with the plugin where no harm of it can get out."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


FIRST = Path(__file__).with_name("first_process.py")
AS_ROOT = ("unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child")
AS_USER = ("unshare", "--user", "--map-root-user", *AS_ROOT[1:])
OUR_FRAME = re.compile(r"leaktrace/(?:\w+/)*\w+\.py[\":]")
SECTION = re.compile(r"^=+ leaktrace: ", re.MULTILINE)
CASE = re.compile(r"^(LEAK|CACHE|ONE_TIME|STEADY|UNDECIDED|UNREPLAYABLE) .*", re.MULTILINE)


@functools.cache
def namespaces() -> tuple[str, ...] | None:
    """The command that makes namespaces here, where there is one that works."""
    if shutil.which("unshare") is None:
        return None
    for wrapper in (AS_ROOT, AS_USER):
        probe = [*wrapper, "sh", "-c", "test $$ = 1 && mount -t tmpfs -o size=64k none /mnt"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return wrapper
    return None


@dataclass(slots=True, kw_only=True)
class Seen:
    """How a run ended, and what could be seen of it from outside.

    Attributes:
        status: exit status, negative for a signal, None where it did not end in time.
        output: all that was printed.
        left: command lines of the processes that were there two seconds after the end.
        shm: what is left in `/dev/shm`.
        peaks: the peak of resident memory of each process, in bytes.
        journals: the text of each journal, by the name of its file.
        book: the casebook as it was read, or None.
        junit: pytest's own junit file, times and places left out; of two workers, whose order is chance, sorted.
    """

    status: int | None
    output: str
    left: list[str]
    shm: list[str]
    peaks: dict[str, int]
    journals: dict[str, str]
    book: dict[str, Any] | None
    junit: str

    @property
    def pytests(self) -> list[str]:
        """What pytest itself printed last: the counts, and the lines of the short summary."""
        counts = re.findall(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s", self.output, re.MULTILINE)
        return [*counts[-1:], *sorted(re.findall(r"^(?:FAILED|ERROR) .*", self.output, re.MULTILINE))]

    @property
    def ours(self) -> str:
        """Our own section and what follows it."""
        found = SECTION.search(self.output)
        return self.output[found.start() :] if found else ""

    @property
    def cases(self) -> list[str]:
        """The first line of each case."""
        return sorted(re.sub(r"\s+", " ", each.group()) for each in CASE.finditer(self.output))

    @property
    def recorded(self) -> list[str]:
        """The tests in the journals, by name."""
        return sorted(each["id"].partition("::")[2] for each in self.records if each.get("t") == "test")

    @property
    def records(self) -> list[dict[str, Any]]:
        found = []
        for text in self.journals.values():
            for line in text.splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue  # torn
        return found


class Suite:
    """A folder with files, and pytest run in it."""

    def __init__(self, path: Path, wrapper: tuple[str, ...]) -> None:
        self.path, self.wrapper, self.runs = path, wrapper, 0
        self.root, self.tmp = path / "suite", path / "tmp"
        self.write({"tox.ini": "[pytest]\n"})

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text), encoding="utf-8")

    def plain(self, *args: str, **told: Any) -> Seen:
        """Without the plugin."""
        return self._run(*args, **told)

    def run(self, *args: str, book: bool = True, **told: Any) -> Seen:
        """With the plugin; a folder for its temporary files is its own."""
        path = self.path / "book.json"
        path.unlink(missing_ok=True)
        options = ("-p", "leaktrace.plugin", "--leaktrace-limit=1MB", *((f"--leaktrace-json={path}",) if book else ()))
        return self._run(*options, *args, **told)

    def _run(
        self,
        *args: str,
        files: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        limit_s: float = 60.0,
        nofile: int = 0,
        mounts: Sequence[Sequence[str]] = (),
        hit: int | None = None,
    ) -> Seen:
        shutil.rmtree(self.root / ".pytest_cache", ignore_errors=True)
        shutil.rmtree(self.tmp, ignore_errors=True)
        self.tmp.mkdir()
        self.write(files or {})
        self.runs += 1
        told, junit = self.path / f"run-{self.runs}.json", self.path / f"junit-{self.runs}.xml"
        output = self.path / f"output-{self.runs}.txt"
        xdist = ("-p", "xdist.plugin") if "-n2" in args else ()
        told.write_text(
            json.dumps(
                {
                    "command": [sys.executable, "-m", "pytest", *xdist, f"--junitxml={junit}", *args],
                    "cwd": str(self.root),
                    "environ": self._environ(env or {}),
                    "limit_s": limit_s,
                    "nofile": nofile,
                    "mounts": [(str(self.root / place), size) for place, size in mounts],
                    "hit": hit,
                    "output": str(output),
                }
            )
        )
        subprocess.run([*self.wrapper, sys.executable, str(FIRST), str(told)], check=True, timeout=limit_s + 60)
        return self._seen(json.loads(told.with_suffix(".seen").read_text()), output, junit, in_order=not xdist)

    def _seen(self, seen: dict[str, Any], output: Path, junit: Path, *, in_order: bool) -> Seen:
        book = self.path / "book.json"
        journals = {path.name: path.read_text(errors="replace") for path in self.path.rglob("runs/*/*.jsonl")}
        text = junit.read_text(encoding="utf-8", errors="replace") if junit.exists() else ""
        text = re.sub(r' (time|timestamp|hostname)="[^"]*"', "", text)
        return Seen(
            status=seen["status"],
            output=output.read_text(encoding="utf-8", errors="replace"),
            left=seen["left"],
            shm=seen["shm"],
            peaks=seen["peaks"],
            journals=journals | {Path(name).name: text for name, text in seen["contents"].items()},
            book=json.loads(book.read_text()) if book.is_file() and not book.is_symlink() else None,
            junit=text if in_order else "".join(sorted(re.split("(?=<testcase)", text.partition("</testsuite>")[0]))),
        )

    def _environ(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LEAKTRACE_", "COV_"))}
        return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(self.tmp), **more}

    def left_in_tmp(self) -> list[str]:
        """What a run has left in the folder for temporary files, but for what pytest leaves."""
        names = [path.name for path in self.tmp.iterdir()]
        return [name for name in names if not name.startswith("pytest-of-")]


def unharmed(plain: Seen, ours: Seen) -> None:
    """All that pytest does is as it is without the plugin, and nothing of ours is left or seen."""
    assert ours.status == plain.status, ours.output
    assert ours.pytests == plain.pytests, ours.output
    assert ours.junit == plain.junit
    assert not OUR_FRAME.search(ours.output), ours.output
    assert len(ours.left) <= len(plain.left), ours.left
    assert ours.shm == plain.shm


def suite_or_skip(path: Path) -> Suite:
    wrapper = namespaces()
    if wrapper is None:
        pytest.skip("no namespaces can be made here: what this test does would reach other processes")
    return Suite(path, wrapper)
