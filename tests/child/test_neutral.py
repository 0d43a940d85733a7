"""What is left of other plugins in a child: each specimen lies in a folder `site-packages`, as an installed one does."""

from __future__ import annotations

import argparse
import sys
import textwrap
import types
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from leaktrace.child.neutral import DROPPED, KEPT, SETTINGS, quieten
from leaktrace.child.records import Records
from leaktrace.replay.neutral import NEUTRAL, carried, set_back


pytestmark = pytest.mark.versions


NOTE = """
    import pytest

    def note(text):
        with open("log.txt", "a") as file:
            file.write(text + " ")
"""
TEST = NOTE + "    def test_a(): note('test')\n"


ABSENT = [f"-pno:{name}" for name in ("leaktrace", "randomly", "rerunfailures", "asyncio", "xdist", "timeout")]


class Plugin:
    """Quietens as a child does: when all is configured, and again when all is collected."""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        quieten(config)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        quieten(session.config)


Called: TypeAlias = Callable[..., list[str]]
"""Runs a plugin, and gives back what it noted."""


@pytest.fixture
def called(pytester: pytest.Pytester) -> Called:
    """Run one test with a plugin, installed or the suite's own, and say what it noted."""

    def run(
        plugin: str, *, test: str = TEST, folder: str = "site-packages", name: str = "specimen", conftest: str = ""
    ) -> list[str]:
        site = pytester.path / folder
        site.mkdir(exist_ok=True)
        (site / f"{name}.py").write_text(textwrap.dedent(NOTE) + textwrap.dedent(plugin))
        pytester.syspathinsert(site)
        pytester.makepyfile(test_it=test)
        if conftest:
            pytester.makeconftest(textwrap.dedent(NOTE) + textwrap.dedent(conftest))
        pytester.runpytest_inprocess("-p", name, *ABSENT, plugins=[Plugin()])
        log = pytester.path / "log.txt"
        return log.read_text().split() if log.exists() else []

    return run


RECORDER = """
    def pytest_sessionstart(): note("start")
    def pytest_runtest_setup(item): note("setup")
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(item):
        note("call")
        return (yield)
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(item, call):
        note("made")
        return (yield)
    def pytest_runtest_logreport(report): note("report")
    def pytest_sessionfinish(): note("finish")
    def pytest_unconfigure(): note("end")
"""


def test_an_installed_plugin_that_only_records_is_not_called(called: Called) -> None:
    assert called(RECORDER) == ["test"]


def test_an_installed_plugin_that_offers_a_fixture_still_runs_and_does_not_report(called: Called) -> None:
    plugin = RECORDER + "    @pytest.fixture\n    def offered(): pass\n"

    assert called(plugin) == ["start", "setup", "made", "call", "test", "made", "made"]


def test_an_installed_plugin_that_makes_tests_still_runs(called: Called) -> None:
    plugin = RECORDER + "    def pytest_collect_file(file_path): pass\n"

    assert "setup" in called(plugin)


def test_an_installed_plugin_that_records_nothing_is_left_as_it_is(called: Called) -> None:
    assert called("def pytest_runtest_setup(item): note('seed')\n") == ["seed", "test"]


def test_a_recorder_that_registers_when_it_is_configured_is_found_too(called: Called) -> None:
    plugin = """
    class Recorder:
        def pytest_runtest_setup(self, item): note("setup")
        def pytest_runtest_logreport(self, report): note("report")
    def pytest_configure(config): config.pluginmanager.register(Recorder())
    """

    assert called(plugin) == ["test"]


def test_a_recorder_that_registers_after_collection_began_is_found_too(called: Called) -> None:
    plugin = """
    class Recorder:
        def pytest_runtest_setup(self, item): note("setup")
        def pytest_runtest_logreport(self, report): note("report")
    def pytest_collection(session): session.config.pluginmanager.register(Recorder())
    """

    assert called(plugin) == ["test"]


def test_a_plugin_that_runs_tests_in_its_own_way_does_not(called: Called) -> None:
    plugin = """
    def pytest_runtest_protocol(item, nextitem):
        note("own way")
        return True
    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(session):
        note("around the loop")
        return (yield)
    """

    assert called(plugin) == ["test"]


def test_a_plugin_that_runs_around_a_test_does(called: Called) -> None:
    plugin = """
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(item, nextitem):
        note("around")
        return (yield)
    """

    assert called(plugin) == ["around", "test"]


def test_a_conftest_sees_the_reports_that_it_makes_and_hears_of_no_end(called: Called) -> None:
    conftest = """
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        setattr(item, f"rep_{call.when}", report)
        return report
    @pytest.fixture(autouse=True)
    def seen(request):
        yield
        note(request.node.rep_call.outcome)
    def pytest_runtest_logreport(report): note("report")
    def pytest_sessionfinish(): note("finish")
    def pytest_unconfigure(): note("end")
    def pytest_terminal_summary(): note("summary")
    """

    assert called("", conftest=conftest) == ["test", "passed"]


def test_a_plugin_of_the_suite_s_own_still_runs(called: Called) -> None:
    assert called(RECORDER, folder="helpers") == ["start", "setup", "made", "call", "test", "made", "made"]


def test_an_installed_plugin_s_own_notices_go_unheard_and_its_questions_are_answered(called: Called) -> None:
    plugin = """
    class Spec:
        @pytest.hookspec()
        def pytest_specimen_step(self): ...
        @pytest.hookspec(firstresult=True)
        def pytest_specimen_ask(self): ...
    def pytest_addhooks(pluginmanager): pluginmanager.add_hookspecs(Spec)
    def pytest_specimen_step(): note("heard")
    def pytest_specimen_ask(): return "answer"
    @pytest.fixture
    def step(request):
        request.config.hook.pytest_specimen_step()
        note(request.config.hook.pytest_specimen_ask())
    """
    test = NOTE + "    def test_a(step): note('test')\n"
    conftest = "def pytest_specimen_step(): note('by-the-suite')\n"

    assert called(plugin, test=test, conftest=conftest) == ["by-the-suite", "answer", "test"]


def test_a_plugin_in_the_table_of_those_dropped_is_not_called(called: Called) -> None:
    assert called("def pytest_runtest_setup(item): note('setup')\n", name="pytest_timeout") == ["test"]


def test_each_exception_has_a_reason() -> None:
    assert all([*DROPPED.values(), *KEPT.values(), *(row[-1] for row in SETTINGS)])


RUNNERS = {
    "pytest-asyncio": "@pytest.mark.asyncio\nasync def test_a(): note('ran')\n",
    "anyio": (
        "@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n@pytest.mark.anyio\nasync def test_a(): note('ran')\n"
    ),
    "hypothesis": (
        "from hypothesis import given, settings, strategies as st\n"
        "@settings(max_examples=1, database=None)\n"
        "@given(st.just(1))\n"
        "def test_a(one): note('ran')\n"
    ),
    "rerunfailures": "@pytest.mark.flaky(reruns=2)\ndef test_a():\n    note('ran')\n    assert 0\n",
    "timeout": "import time\n@pytest.mark.timeout(0.01)\ndef test_a():\n    time.sleep(0.1)\n    note('ran')\n",
    "unittest": "import unittest\nclass TestA(unittest.TestCase):\n    def test_a(self): note('ran')\n",
}


@pytest.mark.parametrize("test", RUNNERS.values(), ids=RUNNERS)
def test_a_test_is_run_once_by_the_plugin_that_can(pytester: pytest.Pytester, test: str) -> None:
    plugin = "import pytest\nfrom leaktrace.child.neutral import quieten\n"
    plugin += "@pytest.hookimpl(trylast=True)\ndef pytest_configure(config): quieten(config)\n"
    plugin += "@pytest.hookimpl(trylast=True)\ndef pytest_collection_finish(session): quieten(session.config)\n"
    pytester.makepyfile(replayed=plugin, test_it=textwrap.dedent(NOTE) + test)

    pytester.runpytest_subprocess("-p", "replayed", "-p", "no:leaktrace", "test_it.py")

    assert (pytester.path / "log.txt").read_text().split() == ["ran"]


def test_what_failed_last_is_not_written(called: Called, pytester: pytest.Pytester) -> None:
    called("", test="def test_a(): assert 0\n")

    assert not list(pytester.path.glob(".pytest_cache/v/cache/lastfailed"))


def test_options_that_nobody_declared_stay_undeclared() -> None:
    options = argparse.Namespace(keyword="not slow", numprocesses=4, tx=["popen"], mine="kept")

    set_back(options)

    assert vars(options) == {"keyword": "", "numprocesses": None, "tx": [], "mine": "kept"}


def test_a_list_that_is_set_back_is_no_other_run_s() -> None:
    first, second = argparse.Namespace(tx=["popen"]), argparse.Namespace(tx=["popen"])
    set_back(first)
    first.tx.append("ssh")
    set_back(second)

    assert second.tx == NEUTRAL["tx"] == []


def test_the_seed_that_the_parent_drew_is_carried_on() -> None:
    assert carried(argparse.Namespace(randomly_seed=1234)) == ("--randomly-seed=1234",)
    assert carried(argparse.Namespace(randomly_seed="default")) == ()
    assert carried(argparse.Namespace()) == ()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An object of an installed plugin's."""
    module = types.ModuleType("specimen_records")
    module.__file__ = "/somewhere/site-packages/specimen_records.py"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return type("Session", (), {"__module__": module.__name__})()


def test_what_a_plugin_gathers_of_each_run_is_taken_back_after_it(pytester: pytest.Pytester, installed: Any) -> None:
    installed.results, installed.by_name, installed.seen = ["first"], {"a": 1}, {1}
    config = pytester.parseconfig()
    config._specimen_session = installed  # type: ignore[attr-defined]  # as plugins do
    records = Records(config)
    records.trim()

    installed.results.append("second")
    installed.by_name["b"] = 2
    installed.seen.add(2)
    records.trim()

    assert (installed.results, installed.by_name, installed.seen) == (["first"], {"a": 1}, {1})


@pytest.mark.skipif(not hasattr(pytest, "register_fixture"), reason="made by pytest 9.1")
def test_a_fixture_that_is_made_for_each_run_of_a_test_is_taken_back(request: pytest.FixtureRequest) -> None:
    item = request.node
    records = Records(request.config, [item])
    pytest.register_fixture(name="step", func=lambda: 1, node=item)
    records.trim()
    pytest.register_fixture(name="step", func=lambda: 2, node=item)
    records.trim()

    assert len(item.session._fixturemanager.getfixturedefs("step", item)) == 1


def test_a_list_of_equal_numbers_is_cut_back_to_its_length(pytester: pytest.Pytester, installed: Any) -> None:
    installed.times = [1]
    config = pytester.parseconfig()
    config._specimen_session = installed  # type: ignore[attr-defined]  # as plugins do
    records = Records(config)
    records.trim()
    installed.times += [1, 1]
    records.trim()

    assert installed.times == [1]


def test_what_the_suite_s_own_objects_gather_is_left_alone(pytester: pytest.Pytester) -> None:
    class Own:
        def __init__(self) -> None:
            self.kept: list[object] = []

    config = pytester.parseconfig()
    config._own = own = Own()  # type: ignore[attr-defined]  # as plugins do
    records = Records(config)
    records.trim()
    own.kept.append("a leak")
    records.trim()

    assert own.kept == ["a leak"]
