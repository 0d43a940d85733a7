"""pytest-memray's `limit_leaks` on every test."""

from __future__ import annotations

import re
from collections.abc import Mapping

from model import Ask, Call, Case

from detectors.running import run_pytest


class LimitLeaks:
    requirements = ("pytest-memray",)

    def __init__(self, *, limit: str) -> None:
        self.name = f"pytest-memray limit_leaks {limit}"
        self.limit = limit

    def interpreter(self, python: str) -> str | None:
        return python

    def judge(self, case: Case, ask: Ask) -> Mapping[str, Call]:
        flags = ("--memray", "--hide-memray-summary", "--native", "--stacks=30")
        outcomes = run_pytest(case, ask, *flags, plugins=("accuracy_limit_leaks",), ACCURACY_LIMIT=self.limit)
        calls = {}
        for nodeid, outcome in outcomes.items():
            found = outcome.sections.get("memray-leaked-memory")
            lines = tuple(dict.fromkeys(re.findall(r"([\w.-]+\.py:\d+)", found or "")))
            leak = None if outcome.failed and found is None else found is not None
            calls[nodeid] = Call(leak=leak, verdict="limit_leaks" if found else outcome.text[-200:], lines=lines)
        return calls
