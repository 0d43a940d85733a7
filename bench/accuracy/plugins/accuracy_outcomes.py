"""pytest plugin: writes each test's outcome and report sections to the file named by ACCURACY_OUTCOMES."""

from __future__ import annotations

import json
import os
from pathlib import Path


class Outcomes:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict[str, object]] = {}

    def pytest_runtest_logreport(self, report) -> None:
        mine = self.found.setdefault(report.nodeid, {"failed": False, "text": "", "sections": {}})
        if report.failed:
            mine["failed"] = True
            mine["text"] = str(report.longrepr)[-20_000:]
        mine["sections"].update({title: text[:20_000] for title, text in report.sections})

    def pytest_sessionfinish(self) -> None:
        self.path.write_text(json.dumps(self.found), encoding="utf-8")


def pytest_configure(config) -> None:
    if hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist reports to the process that writes
    config.pluginmanager.register(Outcomes(Path(os.environ["ACCURACY_OUTCOMES"])), "accuracy-outcomes-recorder")
