"""The fifteen-line conftest that many a project has: two RSS readings a test, and a threshold."""

from __future__ import annotations

from collections.abc import Mapping

from model import Ask, Call, Case

from detectors.running import run_pytest


class ConftestRss:
    name = "conftest, RSS > 10 MB"
    requirements: tuple[str, ...] = ()

    def interpreter(self, python: str) -> str | None:
        return python

    def judge(self, case: Case, ask: Ask) -> Mapping[str, Call]:
        outcomes = run_pytest(case, ask, "-s", plugins=("accuracy_rss",))
        printed = (ask.scratch / "output.txt").read_text(encoding="utf-8", errors="replace")
        guilty = {nodeid for nodeid in outcomes if f"MB in {nodeid}\n" in printed}
        return {nodeid: Call(leak=nodeid in guilty) for nodeid in outcomes}
