"""pytest's plugin in a process that only collects: it tells what it found, and runs nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from leaktrace.files import write_private
from leaktrace.plugin import resolve_options
from leaktrace.plugin.run_folder import base_folder
from leaktrace.replay.collection import Collected
from leaktrace.replay.protocol import REQUEST_VARIABLE, Target, read_request, tail_of
from leaktrace.serialize import encode


ALONE: Mapping[str, object] = {
    "collectonly": True,
    "numprocesses": None,
    "dist": "no",
    "distload": False,
    "tx": [],
    "looponfail": False,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "cacheclear": False,
    "xmlpath": None,
    "htmlpath": None,
    "report_log": None,
    "no_cov": True,
}
"""What would collect elsewhere, in another order, or write over what a real run has left."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Before any plugin acts on the options."""
    request = read_request(Path(os.environ.pop(REQUEST_VARIABLE)))
    for name, value in ALONE.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)
    config.pluginmanager.register(CollectPlugin(Path(request.response)), "leaktrace-collected")
    return (yield)


class CollectPlugin:
    """Tells what was collected."""

    def __init__(self, response: Path) -> None:
        self._response = response
        self._errors: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember what could not be collected."""
        if report.failed:
            self._errors.append(f"{report.nodeid}: {str(report.longrepr).strip().splitlines()[-1]}")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """All plugins have selected and ordered."""
        folder = folder_of(session.config)
        collected = Collected(
            tests=tuple(
                Target(nodeid=item.nodeid, path=str(item.path), tail=tail_of(item.nodeid)) for item in session.items
            ),
            errors=tuple(self._errors),
            folder=folder or "",
            loaded=folder is not None,
        )
        write_private(self._response, json.dumps(encode(collected)).encode())


def folder_of(config: pytest.Config) -> str | None:
    """Where runs keep their journals, "" where they do not; None where leaktrace is not among the plugins."""
    try:
        return str(base_folder(config, resolve_options(config, config.option)) or "")
    except (pytest.UsageError, ValueError):  # its ini keys are not known
        return None
