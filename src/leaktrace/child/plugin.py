"""pytest's plugin inside a base child: collect what the parent names, and serve it instead of running tests.

The child parses the parent's own arguments, so that every plugin and setting is as it was; what selects, distributes,
reports or stops early is then set back to pytest's defaults, wherever it came from.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from leaktrace.child.jobs import Jobs
from leaktrace.child.neutral import forestall, quieten
from leaktrace.child.pytest_private import QuietRuns
from leaktrace.child.serve import Channel, serve
from leaktrace.masking import masked
from leaktrace.pristine import os, threading
from leaktrace.replay.neutral import set_back
from leaktrace.replay.protocol import REQUEST_VARIABLE, Request, Target, read_request, tail_of


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before coverage would start."""
    set_back(early_config.known_args_namespace)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Set the parent's options back, before any plugin acts on them."""
    request = read_request(Path(os.environ.pop(REQUEST_VARIABLE)))
    set_back(config.option)
    forestall(config)
    config.option.basetemp = Path(request.temporary) / "t" / "t"  # never the parent's own, it is wiped
    Path(request.temporary, "t").mkdir(mode=0o700, exist_ok=True)
    config.args = list(request.files)
    config.option.pyargs = False
    config.pluginmanager.register(BasePlugin(request), "leaktrace-base")
    return (yield)


class BasePlugin:
    """Replaces the run loop by the parent's requests."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._channel = Channel(request.channel)
        self._items: dict[tuple[str, str], pytest.Item] = {}
        self._errors: list[str] = []
        self._quiet = QuietRuns()
        self._threads: Sequence[threading.Thread] = ()

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Leave of other plugins what tests need; a part of them registers only when tests are collected."""
        config.pluginmanager.register(self._quiet, "leaktrace-quiet")
        quieten(config)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """See `pytest_configure`."""
        quieten(session.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Note what other plugins have started (pytest-rerunfailures runs a server): no test's work is done there."""
        self._threads = threading.enumerate()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember why a file could not be collected."""
        if report.failed:
            self._errors.append(masked(str(report.longrepr).strip().splitlines()[-1]))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Keep every test, whatever other plugins select or shuffle."""
        for item in items:
            self._items.setdefault((str(item.path), tail_of(item.nodeid)), item)
        result = yield
        items[:] = list(self._items.values())
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Serve, instead of running tests."""
        jobs = Jobs(session, self._quiet, self._items, idle=self._threads, why_missing=self._why_missing)
        serve(self._channel, Path(self._request.temporary), jobs.carry_out, unread=jobs.prepare())
        return True

    def _why_missing(self, targets: Sequence[Target]) -> str:
        why = f"the child collected no test {targets[0].nodeid}"
        if self._errors:
            why += f": {self._errors[0]}"
        return why

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, object, object]:
        """Nobody finishes a session in a child: what others would write is the parent's affair."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(int(exitstatus))  # noqa: SLF001 - it is public
        yield None
