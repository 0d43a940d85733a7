"""leaktrace itself, read back from its casebook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from model import Ask, Call, Case

from detectors.running import PLUGINS, key_of, run_to_the_end


REPOSITORY = PLUGINS.parents[2]
FLAGS = {"hunt": "--leaktrace-hunt", "confirm": "--leaktrace"}


class Leaktrace:
    requirements = ("pytest-xdist", "pytest-randomly", "-e", str(REPOSITORY))

    def __init__(self, *, mode: str) -> None:
        self.name = f"leaktrace {mode}"
        self.flag = FLAGS[mode]

    def interpreter(self, python: str) -> str | None:
        return python

    def judge(self, case: Case, ask: Ask) -> Mapping[str, Call]:
        book = ask.scratch / "casebook.json"
        command = [str(ask.python), "-m", "pytest", "-q", self.flag, f"--leaktrace-json={book}"]
        command += ask.arguments or ("-p", "no:randomly")
        command.append(case.file.name)
        run_to_the_end(command, cwd=case.file.parent, env=dict(ask.env), ask=ask)
        return calls_of(json.loads(book.read_text(encoding="utf-8"))) if book.exists() else {}


def calls_of(book: Mapping[str, object]) -> dict[str, Call]:
    """The casebook's word on each test: tests without a case are said to be clean."""
    calls = {key_of(test["nodeid"]): Call(leak=False, verdict="") for test in book["tests"]}
    cases: dict[str, list[dict]] = {}
    for case in book["cases"]:
        if case["subject"] != "group":
            cases.setdefault(key_of(case["nodeid"]), []).append(case)
    for nodeid, mine in cases.items():
        guilty = [case for case in mine if case["verdict"] == "LEAK"]
        told = guilty or mine
        calls[nodeid] = Call(
            leak=bool(guilty),
            verdict=", ".join(dict.fromkeys(f"{case['verdict']}: {case['reason']}" for case in told)),
            name=next(filter(None, map(_name, guilty)), None),
            kinds=tuple(dict.fromkeys(case["kind"] for case in guilty)),
            lines=tuple(dict.fromkeys(_lines(guilty))),
            per_run={k: v["estimate"] for case in guilty for k, v in case["per_run"].items() if "estimate" in v},
        )
    return calls


def _name(case: dict) -> str | None:
    """The holder; of a resource that no Python object need hold, the resource itself."""
    if case["holder"]:
        # An honest "unknown" is no name, right or wrong.
        return None if case["holder"]["name"] == "held by C code" else case["holder"]["name"]
    return next((f"{thing['noun']} {thing['name']} {thing['detail']}" for thing in case.get("things") or []), None)


def _lines(cases: list[dict]) -> list[str]:
    sites = [f"{Path(site['file']).name}:{site['line']}" for case in cases for site in case["sites"]]
    return sites + [Path(thing["where"]).name for case in cases for thing in case.get("things") or [] if thing["where"]]
