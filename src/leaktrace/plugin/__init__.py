"""The pytest plugin: hooks that say who is at work, and hand over.

Which plugins are registered depends on the process: one that runs tests watches; one that reports (the only process, or
xdist's controller) prints; a worker ships what it found. A replay child opens none of them (see
`leaktrace.child.plugin`).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pluggy
import pytest


if TYPE_CHECKING:
    from leaktrace.options import Options


MARKER = "leaktrace(limit=SIZE, off=False, reason=TEXT): growth that this test may keep, or off=True to leave it out."
CHILD_PLUGIN = "leaktrace.child.plugin"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the option table."""
    spare(pluginmanager)
    from leaktrace import options as table  # noqa: PLC0415 - not before pytest has been told to spare it

    group = parser.getgroup("leaktrace", "leaktrace: find the tests that leak, and say what keeps the leak alive")
    table.declare(group.addoption, parser.addini)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare what others may tell us."""
    from leaktrace.plugin import hookspecs  # noqa: PLC0415 - where plugins are loaded early, options come first

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before the first line of the suite is run: keep the standard library as it is, and bind what the watch needs.

    A conftest that patches or replaces modules when it is imported does not reach us either.
    """
    if early_config.pluginmanager.hasplugin(CHILD_PLUGIN) or _is_off(early_config):
        return
    from leaktrace.plugin import shared  # noqa: PLC0415 - nothing is kept where leaktrace is off

    shared.keep(early_config)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, pluggy.Result[Any], None]:
    """Around all of pytest: what only children can tell is found out once it has finished and said all.

    A wrapper of the old style: an exception that ends pytest does not come through it, and shows no frame of ours.
    """
    outcome = yield
    report = config.pluginmanager.get_plugin("leaktrace-report")
    if report is None:
        return
    if outcome.exception is None:
        outcome.force_result(report.after(outcome.get_result()))
    else:  # a hook behind the last test has failed, or pytest itself: the interpreter will show how
        report.broken_down(outcome.exception)
        outcome.force_exception(outcome.exception)  # which has kept the traceback as it was


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Resolve the options and register the plugins that this process needs."""
    config.addinivalue_line("markers", MARKER)
    if config.pluginmanager.hasplugin(CHILD_PLUGIN):
        return
    options = resolve_options(config, config.option)
    if options.mode.value == "off" or config.option.collectonly:
        return
    try:
        # Nothing of all that is needed when leaktrace is off.
        from leaktrace.plugin.shared import register_plugins  # noqa: PLC0415

        register_plugins(config, options)
    except (pytest.UsageError, pytest.exit.Exception):
        raise
    except Exception as exc:  # noqa: BLE001 - whatever fails here, files that can be opened say: the suite runs
        for name, plugin in config.pluginmanager.list_name_plugin():
            if name.startswith("leaktrace-"):
                config.pluginmanager.unregister(plugin)
        from leaktrace.words import escaped  # noqa: PLC0415 - see above

        why = f"leaktrace: warning: nothing is watched in this run: {type(exc).__name__}: {exc}"
        config.pluginmanager.register(Excuse(escaped(why)), "leaktrace-excuse")


class Excuse:
    """Says, at both ends of a run, why there is no watch."""

    def __init__(self, why: str) -> None:
        self._why = why

    def pytest_report_header(self) -> str:
        """Say it before the first test."""
        return self._why

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say it where the report would be."""
        terminalreporter.write_line(self._why)


def _is_off(early_config: pytest.Config) -> bool:
    """Whether there is nothing to do; a bad option is told when pytest is configured."""
    with suppress(pytest.UsageError):
        return resolve_options(early_config, early_config.known_args_namespace).mode.value == "off"
    return True


def resolve_options(config: pytest.Config, given: argparse.Namespace) -> Options:
    """This run's options; a bad value is pytest's own usage error."""
    from leaktrace import options as table  # noqa: PLC0415 - see pytest_addoption
    from leaktrace.errors import LeaktraceError  # noqa: PLC0415

    try:
        return table.resolve(
            command_line=vars(given),
            ini=config.getini,
            ini_name=config.inipath.name if config.inipath else None,
            environ=os.environ,
        )
    except LeaktraceError as exc:
        raise pytest.UsageError(f"leaktrace: {exc}") from exc


def spare(manager: pytest.PytestPluginManager) -> None:
    """Keep pytest from rewriting the asserts of our modules, of which there are none to rewrite.

    It would parse and compile each of them anew wherever it cannot write its own bytecode files: half a second. That
    its hook remembers what to rewrite under these names is not promised; without them all is as slow as it was.
    """
    hook = getattr(manager, "rewrite_hook", None)
    marked, cache = getattr(hook, "_must_rewrite", None), getattr(hook, "_marked_for_rewrite_cache", None)
    if isinstance(marked, set) and isinstance(cache, dict):
        for name in [each for each in marked if each.partition(".")[0] == "leaktrace"]:
            marked.discard(name)
        for name in [each for each in cache if each.partition(".")[0] == "leaktrace"]:
            del cache[name]
