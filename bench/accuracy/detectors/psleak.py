"""psleak, each test's body wrapped by hand (a plugin does the wrapping)."""

from __future__ import annotations

from collections.abc import Mapping

from model import Ask, Call, Case

from detectors.running import run_pytest


KINDS = {
    "UnclosedFdError": "fds",
    "UnclosedNativeThreadError": "threads",
    "UnclosedPythonThreadError": "threads",
    "UncollectableGarbageError": "objects",
    "MemoryLeakError": "memory",
}


class Psleak:
    name = "psleak"
    requirements = ("psleak",)

    def interpreter(self, python: str) -> str | None:
        return python

    def judge(self, case: Case, ask: Ask) -> Mapping[str, Call]:
        few = {} if case.group == "specimens" else {"ACCURACY_PSLEAK_FEW": "1"}
        outcomes = run_pytest(case, ask, plugins=("accuracy_psleak",), PYTHONMALLOC="malloc", **few)
        calls = {}
        for nodeid, outcome in outcomes.items():
            kinds = tuple(kind for error, kind in KINDS.items() if error in outcome.text)
            leak = None if outcome.failed and not kinds else bool(kinds)
            calls[nodeid] = Call(leak=leak, kinds=kinds, verdict=outcome.text[-200:])
        return calls
