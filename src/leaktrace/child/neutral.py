"""What is left of other plugins in a child: all that tests need to run, and nothing that records, reports or ends.

The rule goes by the kind of a hook, and by what a plugin does besides; the few plugins that it would judge wrongly are
in tables, each with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from leaktrace.child.pytest_private import TELLING
from leaktrace.pristine import sys


ENDING = frozenset(
    {
        "pytest_assertion_pass",
        "pytest_internalerror",
        "pytest_keyboard_interrupt",
        "pytest_report_collectionfinish",
        "pytest_report_from_serializable",
        "pytest_report_header",
        "pytest_report_teststatus",
        "pytest_report_to_serializable",
        "pytest_sessionfinish",
        "pytest_terminal_summary",
        "pytest_unconfigure",
    }
)
"""Hooks of the session's report and end: a child has neither. Pytest's own are kept, they take fixtures down."""
SHAPING = frozenset(
    {
        "pytest_addhooks",
        "pytest_addoption",
        "pytest_assertrepr_compare",
        "pytest_collect_directory",
        "pytest_collect_file",
        "pytest_generate_tests",
        "pytest_ignore_collect",
        "pytest_make_parametrize_id",
        "pytest_markeval_namespace",
        "pytest_plugin_registered",
        "pytest_pycollect_makeitem",
        "pytest_pycollect_makemodule",
    }
)
"""What is kept even of a plugin that only records: the same tests must come out of it, under the same names."""
RECORDING = frozenset(
    {"pytest_runtest_logreport", "pytest_runtest_makereport", "pytest_sessionfinish", "pytest_terminal_summary"}
)
MAKING = frozenset(
    {
        "pytest_collect_directory",
        "pytest_collect_file",
        "pytest_fixture_setup",
        "pytest_generate_tests",
        "pytest_pycollect_makeitem",
        "pytest_pycollect_makemodule",
        "pytest_pyfunc_call",
    }
)
"""What a plugin implements, not as a wrapper, that makes tests or runs them."""

KEPT: Mapping[str, str] = {
    "_hypothesis_pytestplugin": "records statistics, but its wrapper of the call tells Hypothesis which test runs",
}
"""Plugins, by module, that look like recorders and are needed."""
DROPPED: Mapping[str, str] = {
    "pytest_monitor.pytest_monitor": "offers fixtures and calls tests, all of it only to measure them",
    "pytest_timeout": "exact counting slows tests down, and they must not fail for it; each run has a bound of ours",
}
"""Plugins, by module, that do not look like recorders and are not needed, or do harm."""
SETTINGS: tuple[tuple[str, str, object, str], ...] = (
    ("pytest_monitor.pytest_monitor", "PYTEST_MONITORING_ENABLED", False, "its fixtures ask for it alone"),
    ("pytest_codspeed.plugin", "is_codspeed_enabled", False, "it is enabled by a variable of the environment, too"),
)
"""Switches on a plugin: its module, the attribute's name, the value, and why no option does it."""
RUN_STATE = ("lfplugin", "nfplugin", "stepwiseplugin")
"""Pytest's own plugins that write into the parent's cache which tests failed last."""


SERVERS: tuple[tuple[str, str, str], ...] = (
    (
        "pytest_rerunfailures",
        "flaky(reruns=1, reruns_delay=2): mark test to re-run up to 'reruns' times.",
        "beside xdist it runs a server in a thread, with which no fork is safe",
    ),
)
"""Plugins that must not even be configured: the module, the marker that they would declare, and why."""


class Origin(Enum):
    """Where a plugin comes from: ours, pytest's own, installed, or the suite's."""

    OURS = "ours"
    PYTEST = "pytest"
    INSTALLED = "installed"
    SUITE = "suite"


def forestall(config: pytest.Config) -> None:
    """Take out, before the configuration, the plugins that would start what a child must not have."""
    for name, marker, _why in SERVERS:
        for plugin in config.pluginmanager.get_plugins():
            if module_of(plugin) == name:
                config.pluginmanager.unregister(plugin)
                config.addinivalue_line("markers", marker)


def quieten(config: pytest.Config) -> None:
    """Take all out of the hooks that a child has no use for; call it again when further plugins may have registered."""
    manager = config.pluginmanager
    for name in RUN_STATE:
        if manager.hasplugin(name):
            manager.unregister(name=name)
    origins = Origins(manager)
    for _name, plugin in manager.list_name_plugin():
        if plugin is None:  # blocked
            continue
        _switch(plugin)
        origin = origins.of(plugin)
        if origin is Origin.OURS:
            continue
        callers = manager.get_hookcallers(plugin) or []
        recorder = origin is Origin.INSTALLED and is_recorder(plugin, callers)
        for caller in callers:
            if not is_kept(caller, plugin, origin, recorder=recorder):
                _silence(caller, plugin)


def is_kept(caller: Any, plugin: object, origin: Origin, *, recorder: bool) -> bool:
    """Whether a plugin's implementations of a hook are called in a child.

    An installed plugin that stands in for pytest's own loop or protocol runs tests again, elsewhere, or each in a
    process of its own.
    """
    name = caller.name
    if name in TELLING:
        return False
    if origin is Origin.PYTEST or caller.is_historic():
        return True
    if name in ENDING or origin is Origin.SUITE:
        return name not in ENDING
    if recorder:
        return name in SHAPING
    stands_in = name == "pytest_runtestloop" or (name == "pytest_runtest_protocol" and not _is_wrapper(caller, plugin))
    return not stands_in and not _is_notice(caller)


def is_recorder(plugin: object, callers: Iterable[Any]) -> bool:
    """Whether an installed plugin only records: it hears of results, offers no fixture, makes no tests, runs none."""
    name = module_of(plugin)
    if name in DROPPED:
        return True
    if name in KEPT or _offers_fixtures(plugin):
        return False
    named = {caller.name: caller for caller in callers}
    makes = any(not _is_wrapper(named[each], plugin) for each in MAKING & named.keys())
    return bool(RECORDING & named.keys()) and not makes


def module_of(plugin: object) -> str:
    """The name of the module that a plugin is, or that its class comes from."""
    return plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__


class Origins:
    """Tells installed plugins from the suite's own: by entry points, and by the folder that their code lies in."""

    def __init__(self, manager: pytest.PytestPluginManager) -> None:
        self._installed = {_root(module_of(plugin)) for plugin, _ in manager.list_plugin_distinfo()}

    def of(self, plugin: object) -> Origin:
        """Where it comes from."""
        module = module_of(plugin)
        root = _root(module)
        if root == "leaktrace":
            return Origin.OURS
        if root in ("_pytest", "pytest", "pluggy"):
            return Origin.PYTEST
        file = getattr(sys.modules.get(module), "__file__", None) or getattr(plugin, "__file__", None) or ""
        installed = root in self._installed or not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)
        return Origin.INSTALLED if installed else Origin.SUITE


def _root(module: str) -> str:
    return module.partition(".")[0]


def _is_wrapper(caller: Any, plugin: object) -> bool:
    own = [each for each in caller.get_hookimpls() if each.plugin is plugin]
    return all(each.wrapper or each.hookwrapper for each in own)


def _is_notice(caller: Any) -> bool:
    """Whether a hook is another plugin's own, and asks for no answer: it tells, as pytest-bdd does of each step."""
    spec = caller.spec
    if spec is None or spec.opts.get("firstresult"):
        return False
    namespace = spec.namespace.__name__ if isinstance(spec.namespace, ModuleType) else spec.namespace.__module__
    return _root(namespace) not in ("_pytest", "leaktrace")


def _offers_fixtures(plugin: object) -> bool:
    """Whether a fixture is defined in it; pytest has no public name for what the decorator makes, now or before 8.4."""
    if isinstance(plugin, ModuleType):
        values = list(vars(plugin).values())
    else:
        values = [each for cls in type(plugin).__mro__ for each in vars(cls).values()]
    return any(
        type(each).__name__ == "FixtureFunctionDefinition" or hasattr(each, "_pytestfixturefunction")
        for each in values
        if type(each).__module__ in ("_pytest.fixtures", "builtins")
    )


def _switch(plugin: object) -> None:
    module = module_of(plugin)
    for name, attribute, value, _why in SETTINGS:
        if module == name and hasattr(plugin, attribute):
            setattr(plugin, attribute, value)


def _silence(caller: Any, plugin: object) -> None:
    """Take a plugin's implementations out of one hook: pluggy can only unregister from all, and takes one at a time."""
    while any(each.plugin is plugin for each in caller.get_hookimpls()):
        caller._remove_plugin(plugin)  # noqa: SLF001 - what `unregister` calls for each hook
