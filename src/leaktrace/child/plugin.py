"""pytest's plugin inside a base child: collect what the parent names, and serve it instead of running tests.

The child parses the parent's own arguments, so that every plugin and setting is as it was; what selects, distributes,
reports or stops early is then set back to pytest's defaults, wherever it came from.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from leaktrace.child.jobs import Jobs
from leaktrace.child.serve import Channel, serve
from leaktrace.replay.letters import ORDER_VARIABLE, Order, Target, read_order, tail_of
from leaktrace.seam import QuietRuns


NEUTRAL: Mapping[str, object] = {
    # selection
    "keyword": "",
    "markexpr": "",
    "deselect": None,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    # distribution and repetition
    "numprocesses": None,
    "dist": "no",
    "distload": False,
    "tx": [],
    "looponfail": False,
    "reruns": 0,
    # coverage and reports
    "no_cov": True,
    "xmlpath": None,
    "htmlpath": None,
    "report_log": None,
    "json_report": False,
    "pastebin": None,
    "durations": None,
    "verbose": 0,
    # stopping early, and not running at all
    "maxfail": 0,
    "usepdb": False,
    "trace": False,
    "collectonly": False,
    "setuponly": False,
    "setupplan": False,
    "setupshow": False,
    "cacheclear": False,
    "memray": False,
}
RUN_STATE_PLUGINS = ("lfplugin", "nfplugin", "stepwiseplugin")
"""Plugins that write into the parent's cache which tests failed last."""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before coverage would start."""
    known = early_config.known_args_namespace
    known.no_cov, known.cov_source = True, []


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Set the parent's options back, before any plugin acts on them."""
    order = read_order(Path(os.environ.pop(ORDER_VARIABLE)))
    for name, value in NEUTRAL.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)
    config.option.basetemp = Path(order.temporary) / "t" / "t"  # never the parent's own, it is wiped
    Path(order.temporary, "t").mkdir(mode=0o700, exist_ok=True)
    config.args = list(order.files)
    config.option.pyargs = False
    config.pluginmanager.register(BasePlugin(order), "leaktrace-base")
    return (yield)


class BasePlugin:
    """Replaces the run loop by the parent's requests."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._channel = Channel(order.channel)
        self._items: dict[tuple[str, str], pytest.Item] = {}
        self._errors: list[str] = []
        self._quiet = QuietRuns()
        self._threads: Sequence[threading.Thread] = ()

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Leave the parent's cache of failed tests alone."""
        config.pluginmanager.register(self._quiet, "leaktrace-quiet")
        for name in RUN_STATE_PLUGINS:
            plugin = config.pluginmanager.get_plugin(name)
            if plugin is not None:
                config.pluginmanager.unregister(plugin)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Note what other plugins have started (pytest-rerunfailures runs a server): no test's work is done there."""
        self._threads = threading.enumerate()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember why a file could not be collected."""
        if report.failed:
            self._errors.append(str(report.longrepr).strip().splitlines()[-1])

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
        serve(self._channel, Path(self._order.temporary), jobs.carry_out)
        return True

    def _why_missing(self, targets: Sequence[Target]) -> str:
        why = f"the child collected no test {targets[0].nodeid}"
        if self._errors:
            why += f": {self._errors[0]}"
        return why

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Nobody finishes a session in a child: what others would write is the parent's affair."""
        os._exit(0)
        yield None
