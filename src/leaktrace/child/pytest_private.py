"""The few places where pytest has no public name for what we need; each is tested against pytest's newest release."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import _exit, getpid
from typing import Any

import pytest
from _pytest.junitxml import xml_key
from _pytest.runner import runtestprotocol

from leaktrace.child.cpython_quirks import mortal_paths
from leaktrace.child.hypothesis_examples import repeatable
from leaktrace.masking import masked


class QuietRuns:
    """A plugin that runs an item within every other plugin's wrappers and tells none of them of its reports."""

    def __init__(self) -> None:
        self._quiet = False
        self._reports: list[pytest.TestReport] = []
        self._wide: dict[pytest.FixtureDef[Any], None] = {}

    @property
    def wide(self) -> Collection[pytest.FixtureDef[Any]]:
        """Every fixture definition so far that outlives a test."""
        return self._wide.keys()

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Learn of a wider fixture as it is set up."""
        if fixturedef.scope != "function":
            self._wide[fixturedef] = None

    def run(self, item: pytest.Item, nextitem: pytest.Item | pytest.Collector | None) -> list[pytest.TestReport]:
        """Set up, call and tear down an item once more; what is above `nextitem` stays set up.

        A fork of the test that comes back from it ends here: it would repeat the test as if it were the first process.
        """
        self._quiet, pid = True, getpid()
        try:
            with _all_of(item):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        finally:
            self._quiet = False
            reports, self._reports = self._reports, []
            if getpid() != pid:
                _exit(int(failure_of(reports) is not None))
        return reports

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: Any) -> bool | None:
        """Stand in for pytest's own protocol, and for rerun plugins', during a quiet run."""
        if not self._quiet:
            return None
        # Warnings of a repeat were told at the first run; pytest's own catcher, around this one, must not see them.
        with warnings.catch_warnings(record=True):
            self._reports = run_phases(item, nextitem)
        return True


@contextmanager
def _all_of(item: pytest.Item) -> Iterator[None]:
    """What a quiet run of an item takes."""
    with (
        silenced(item.config.pluginmanager),
        unwritten(item.config),
        with_globals(item),
        repeatable(item),
        mortal_paths(),
    ):
        yield


@contextmanager
def with_globals(item: pytest.Item) -> Iterator[None]:
    """Give a doctest its globals back: its runner empties them at the end of each run (doctest.py, `clear_globs`)."""
    names = getattr(getattr(item, "dtest", None), "globs", None)
    if type(names) is not dict:
        yield
        return
    before = dict(names)
    try:
        yield
    finally:
        names.clear()
        names.update(before)


TELLING = frozenset(
    {
        "pytest_exception_interact",
        "pytest_runtest_logfinish",
        "pytest_runtest_logreport",
        "pytest_runtest_logstart",
        "pytest_warning_recorded",
    }
)
"""Hooks that tell of a test, subtests in the middle of a run. Nobody hears of a replay, pytest itself included."""


@contextmanager
def silenced(manager: pytest.PytestPluginManager) -> Iterator[None]:
    """Let no plugin hear of what is run: the calls of telling hooks end where pluggy would begin to execute them."""
    execute = manager._inner_hookexec  # noqa: SLF001 - the place that pluggy's own call monitoring replaces

    def deaf(hook_name: str, methods: Any, kwargs: Any, firstresult: bool) -> object:  # noqa: FBT001 - pluggy's own
        if hook_name in TELLING:
            return None if firstresult else []
        return execute(hook_name, methods, kwargs, firstresult)

    manager._inner_hookexec = deaf  # type: ignore[assignment]  # noqa: SLF001
    try:
        yield
    finally:
        manager._inner_hookexec = execute  # noqa: SLF001


@contextmanager
def unwritten(config: pytest.Config) -> Iterator[None]:
    """Keep the junit file as it is: fixtures of pytest's and Hypothesis's plugin add to it past every hook."""
    xml = config.stash.get(xml_key, None)
    if xml is None:
        yield
        return
    open_ones, nodes, properties = dict(xml.node_reporters), len(xml.node_reporters_ordered), len(xml.global_properties)
    try:
        yield
    finally:
        xml.node_reporters = open_ones
        del xml.node_reporters_ordered[nodes:], xml.global_properties[properties:]


MOST_GLOBALS = 500
"""Globals of a module beyond which it is a library's own front, too many to look at in every test."""


@contextmanager
def with_request(item: pytest.Item) -> Iterator[None]:
    """Give an item of another collector (Sybil's) the request of its first run again: pytest drops it with each run."""
    if hasattr(item, "_initrequest") or not getattr(item, "_request", None):
        yield
        return
    request, arguments = item._request, dict(getattr(item, "funcargs", None) or {})  # type: ignore[attr-defined]  # noqa: SLF001
    names = {name: dict(value) if type(value) is dict else value for name, value in vars(request).items()}
    try:
        yield
    finally:
        vars(request).update(names)
        item._request, item.funcargs = request, arguments  # type: ignore[attr-defined]  # noqa: SLF001


def run_phases(item: pytest.Item, nextitem: pytest.Item | pytest.Collector | None) -> list[pytest.TestReport]:
    """Set up, call and tear down an item once, without `pytest_runtest_logreport`; a fresh request each time.

    `nextitem` may be any node: what is above it stays set up. That it is not an item, pytest does not check.
    """
    with with_request(item):
        return runtestprotocol(item, log=False, nextitem=nextitem)  # type: ignore[arg-type]


def tear_down(session: pytest.Session, nextitem: pytest.Item | None) -> None:
    """Tear down all that `nextitem` does not need."""
    session._setupstate.teardown_exact(nextitem)  # noqa: SLF001


def kept_instance(item: pytest.Item) -> object | None:
    """The instance of a test's class that pytest keeps until the session ends; each further run replaces it."""
    return vars(item).get("_instance")


def namespaces_of(item: pytest.Item) -> list[Mapping[str, object]]:
    """The globals of a test's module, and of the modules that it names there, but for the interpreter's own."""
    module = getattr(item, "module", None)
    if not isinstance(module, types.ModuleType):
        return []
    named = [value for value in vars(module).values() if type(value) is types.ModuleType]
    foreign = [each for each in named if each.__name__.partition(".")[0] not in sys.stdlib_module_names]
    return [vars(each) for each in (module, *foreign) if len(vars(each)) <= MOST_GLOBALS]


def forget_run(item: pytest.Item, properties: int) -> None:
    """Drop what pytest keeps on the item of each run: captured output, and properties that the test recorded."""
    item._report_sections.clear()  # noqa: SLF001
    del item.user_properties[properties:]


def forget_ends(session: pytest.Session) -> None:
    """Drop what pytest 8.0 and 8.1 give a node at each use of a wider fixture: one more call of the fixture's end.

    Later ones do it once, as the fixture is set up; that one is left, so the end comes in their order.
    """
    for ends, _why in session._setupstate.stack.values():  # noqa: SLF001
        whose = [_ending(end) for end in ends]
        for place in reversed(range(len(ends))):
            if whose.index(whose[place]) < place:
                del ends[place]


def _ending(end: object) -> int:
    """The identity of the fixture that a call ends, or else that of the call."""
    definition = getattr(end.func, "__self__", None) if type(end) is partial else None
    return id(definition if isinstance(definition, pytest.FixtureDef) else end)


def rebuild(table: dict[Any, Any]) -> None:
    """Give a dict the size that what is in it needs, whatever has come and gone before.

    A dict makes itself a larger or a smaller table once enough keys have come and gone, as plugins have them do in an
    item's stash at each run: that was growth of the second run, and from CPython 3.14 on a swing at every fifth, which
    hid a small leak.
    """
    entries = list(table.items())
    table.clear()
    table.update(entries)


class Footprint:
    """What pytest keeps of each run of an item, and takes back after it."""

    def __init__(self, item: pytest.Item, wide: Collection[pytest.FixtureDef[Any]]) -> None:
        self._item = item
        self._properties = len(item.user_properties)
        self._lists = FinalizerLists(wide)

    def erase(self) -> None:
        """Call after each run of the item."""
        forget_run(self._item, self._properties)
        self._lists.trim()
        forget_ends(self._item.session)
        rebuild(self._item.stash._storage)  # noqa: SLF001
        rebuild(self._item.session._setupstate.stack)  # noqa: SLF001


class FinalizerLists:
    """Undoes what pytest adds to wider fixtures at each repeat of a test.

    Each function fixture that uses a wider one appends a finalizer to it, which stays until the wider one ends: about
    ten blocks a run for `tmp_path`. Those of fixtures that have ended already do nothing, so they can go.
    """

    def __init__(self, wide: Collection[pytest.FixtureDef[Any]]) -> None:
        self._wide = wide
        self._kept: dict[int, tuple[object, int]] = {}

    def trim(self) -> None:
        """Call after each run: the first call remembers, later ones cut back to what was remembered."""
        for definition in self._wide:
            if definition.cached_result is None:
                continue
            finalizers: list[object] = definition._finalizers  # type: ignore[assignment]  # noqa: SLF001
            known = self._kept.get(id(definition))
            if known is None or known[0] is not definition.cached_result:
                self._kept[id(definition)] = (definition.cached_result, len(finalizers))
            elif len(finalizers) > known[1]:
                del finalizers[known[1] :]


def repeat(quiet: QuietRuns, item: pytest.Item, nextitem: pytest.Item | pytest.Collector | None) -> str | None:
    """Run an item once more; why it did not pass, or None.

    It has a second try: a test that fails now and then (a race, a slow machine) can be repeated all the same.
    """
    why = failure_of(quiet.run(item, nextitem))
    return why if why is None else failure_of(quiet.run(item, nextitem))


def failure_of(reports: list[pytest.TestReport]) -> str | None:
    """Why a run did not pass, in one line with secrets masked (it goes into files), or None when it did."""
    report = next((each for each in reports if not each.passed or hasattr(each, "wasxfail")), None)
    if report is None:
        return None if reports else "it was not run: another plugin took it"
    if hasattr(report, "wasxfail"):
        return "it is expected to fail (xfail)"
    if report.skipped:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return f"it was skipped: {masked(text)}"
    told = str(report.longrepr).strip().splitlines() or ["no reason given"]
    lines = [line for line in told if line.startswith("E ")]
    return f"{report.when} failed: {masked(lines[0][1:].strip() if lines else told[-1])}"
