from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import os
import re
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, cast
from unittest import mock

import pytest

from leaktrace.probes.model import NamingProbe, Unread
from leaktrace.probes.state.probe import Snapshot, StateProbe


@pytest.fixture
def probe() -> StateProbe:
    return StateProbe()


def changes(before: Snapshot) -> dict[tuple[str, str], str]:
    after = StateProbe.snapshot()
    return {(thing.noun, thing.name): thing.detail for _key, thing in StateProbe.deviations(before, after)}


@pytest.fixture
def before() -> Snapshot:
    return StateProbe.snapshot()


def test_it_is_a_naming_probe(probe: StateProbe) -> None:
    assert isinstance(probe, NamingProbe)


def test_nothing_done_is_nothing_changed(before: Snapshot, probe: StateProbe) -> None:
    assert changes(before) == {}
    assert probe.read() == 0
    assert probe.inventory() == {}


def test_a_changed_variable_is_named_without_its_value(before: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")

    assert changes(before) == {("environment variable", "TOKEN"): "added"}


def test_pytests_own_variables_are_ignored(
    before: Snapshot, probe: StateProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "another")
    monkeypatch.setenv("PYTEST_VERSION", "0")

    assert changes(before) == {}
    assert probe.read() == 0


def test_a_deviation_is_counted_until_it_is_undone(probe: StateProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAKED", "1")
    during = probe.read()
    monkeypatch.delenv("LEAKED")

    assert (during, probe.read()) == (1, 0)


def test_the_working_directory_is_told(tmp_path: Path, before: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Path.cwd()
    monkeypatch.chdir(tmp_path)

    assert changes(before) == {("working directory", ""): f"was {old}, now {tmp_path}"}


def test_a_deleted_working_directory_is_no_failure(
    probe: StateProbe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    assert not isinstance(probe.read(), Unread)


def test_a_path_entry_is_told(before: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, "/srv/plugins"])

    assert changes(before) == {("sys.path entry", "/srv/plugins"): "added"}


def test_a_replaced_module_is_told_and_an_imported_one_is_not(
    before: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "colorsys_of_nobody", types.ModuleType("colorsys_of_nobody"))
    monkeypatch.setitem(sys.modules, "json", types.ModuleType("json"))

    assert changes(before) == {("module", "json"): "replaced in sys.modules"}


def test_a_meta_path_finder_is_told(before: Snapshot, probe: StateProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        pass

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])

    ((noun, name),) = changes(before)
    assert noun == "sys.meta_path finder"
    assert name.endswith("Finder")
    assert probe.read() == 1


def test_a_log_handler_and_a_level_are_told(before: Snapshot) -> None:
    logger = logging.getLogger("shop.orders")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        found = changes(before)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)

    assert found == {
        ("log handler", "shop.orders: logging.NullHandler"): "added",
        ("log level of logger", "shop.orders"): "added: DEBUG",
    }
    assert changes(before) == {}


def test_a_warnings_filter_is_told(before: Snapshot) -> None:
    # Below pytest's `catch_warnings`, `filterwarnings` may change a context's filters only (from CPython 3.14 on).
    added = ("ignore", re.compile("old"), DeprecationWarning, None, 0)
    filters = cast("list[object]", warnings.filters)
    filters.insert(0, added)
    try:
        found = changes(before)
    finally:
        filters.remove(added)

    assert found == {("warnings filter", "ignore:old::DeprecationWarning:0"): "added"}


def test_a_signal_handler_is_told(before: Snapshot) -> None:
    old = signal.signal(signal.SIGUSR1, on_signal)
    try:
        found = changes(before)
    finally:
        signal.signal(signal.SIGUSR1, old)

    assert found == {("signal handler", "SIGUSR1"): f"added: {__name__}.on_signal"}


def on_signal(number: int, frame: FrameType | None) -> None:
    pass


def test_the_umask_is_told_without_setting_it(before: Snapshot) -> None:
    old = os.umask(0o077)
    try:
        found = changes(before)
    finally:
        os.umask(old)

    assert found == {("umask", ""): f"was {old:04o}, now 0077"}


def test_an_atexit_callback_is_counted(before: Snapshot) -> None:
    atexit.register(on_signal, 0, None)
    try:
        ((noun, _),) = changes(before)
    finally:
        atexit.unregister(on_signal)

    assert noun == "atexit callbacks"


def test_a_thread_hook_is_told(before: Snapshot, probe: StateProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", on_signal)

    assert ("hook", "threading.excepthook") in changes(before)
    assert probe.read() == 1


def test_a_patch_left_active_is_told(before: Snapshot, probe: StateProbe) -> None:
    patcher = mock.patch("colorsys.rgb_to_hsv")
    patcher.start()
    try:
        found = changes(before)
        count = probe.read()
    finally:
        patcher.stop()

    assert found == {("mock patch", "colorsys.rgb_to_hsv"): "added"}
    assert (count, probe.read()) == (1, 0)


def test_a_dictionary_left_patched_is_told_with_its_entries(before: Snapshot) -> None:
    patcher = mock.patch.dict(os.environ, {"SHOP_MODE": "test"})
    patcher.start()
    try:
        found = changes(before)
    finally:
        patcher.stop()

    assert found == {("mock patch", "dictionary os.environ"): "added", ("environment variable", "SHOP_MODE"): "added"}


def test_an_event_loop_policy_is_told_only_where_asyncio_would_not_warn(before: Snapshot) -> None:
    if sys.version_info >= (3, 14):
        pytest.skip("policies are deprecated")

    class Policy(asyncio.DefaultEventLoopPolicy):
        pass

    asyncio.set_event_loop_policy(Policy())
    try:
        ((noun, _),) = changes(before)
    finally:
        asyncio.set_event_loop_policy(None)

    assert noun == "event loop policy"


def test_a_hostile_logger_costs_only_its_own_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile(logging.Logger):
        @property
        def disabled(self) -> bool:
            raise RuntimeError("no")

        @disabled.setter
        def disabled(self, value: bool) -> None:
            pass

    monkeypatch.setitem(logging.root.manager.loggerDict, "hostile", Hostile("hostile"))

    facts = StateProbe.snapshot().facts
    assert facts["state (logging)", "", None] == "cannot be read: RuntimeError('no')"
    assert ("working directory", "", None) in facts


def named_logger() -> Iterator[None]:
    logging.getLogger("leaktrace.test.level").setLevel(logging.INFO)
    yield
    logging.getLogger("leaktrace.test.level").setLevel(logging.NOTSET)


def recursion_limit() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 1)
    yield
    sys.setrecursionlimit(limit)


def thresholds() -> Iterator[None]:
    given = gc.get_threshold()
    gc.set_threshold(given[0] + 1, *given[1:])
    yield
    gc.set_threshold(*given)


def interrupts() -> Iterator[None]:
    handler = signal.signal(signal.SIGINT, lambda *_: None)  # which is nobody's default
    yield
    signal.signal(signal.SIGINT, handler)


def display_hook() -> Iterator[None]:
    sys.displayhook = print
    yield
    sys.displayhook = sys.__displayhook__


@pytest.mark.parametrize("change", [named_logger, recursion_limit, thresholds, interrupts, display_hook])
def test_what_is_changed_often_is_seen_at_once_and_not_when_something_else_is_changed_later(
    change: Callable[[], Any], probe: StateProbe
) -> None:
    logging.getLogger("leaktrace.test.level")
    before = probe.read()
    changing = change()
    next(changing)

    after = probe.read()
    next(changing, None)

    assert (before, after, probe.read()) == (0, 1, 0)


def test_another_entry_of_a_name_that_is_there_is_told_as_added() -> None:
    logger = logging.getLogger("leaktrace.test.twice")
    handlers = [logging.NullHandler(), logging.NullHandler()]
    logger.addHandler(handlers[0])
    once = StateProbe.snapshot()
    logger.addHandler(handlers[1])

    told = changes(once)
    for handler in handlers:
        logger.removeHandler(handler)

    assert told == {("log handler", "leaktrace.test.twice: logging.NullHandler"): "added"}
