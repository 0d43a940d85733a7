"""pytest-leaks, in a debug build of CPython 3.11."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from model import Ask, Call, Case

from detectors.running import run_pytest


DEBUG_BUILD = "python3.11-dbg"


class PytestLeaks:
    name = "pytest-leaks (debug build)"
    requirements = ("pytest-leaks",)

    def interpreter(self, python: str) -> str | None:
        """The debug build takes packages built for the same CPython, and no others."""
        return shutil.which(DEBUG_BUILD) if python.startswith("3.11") else None

    def judge(self, case: Case, ask: Ask) -> Mapping[str, Call]:
        calls = {}
        for nodeid, outcome in run_pytest(case, ask, "-R", ":").items():
            found = outcome.sections.get("pytest-leaks")
            leak = None if outcome.failed else found is not None
            calls[nodeid] = Call(leak=leak, verdict=found or outcome.text[-200:])
        return calls
