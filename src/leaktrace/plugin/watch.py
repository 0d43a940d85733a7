"""The plugin of a process that runs tests: it tells the recorder who begins and who ends."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leaktrace import options as table
from leaktrace.errors import LeaktraceError
from leaktrace.fixture_names import plain_name, where_of
from leaktrace.options import Options
from leaktrace.plugin.frames import FramesPlugin
from leaktrace.recording.model import FixtureAccount, Recording
from leaktrace.recording.recorder import Recorder


MOST_WARNINGS = 1000
MOST_USERS = 40
"""Tests of a wider fixture among which a hunt looks for one that grows by nothing itself."""


class WatchPlugin:
    """Hooks around every test, phase and fixture; whatever fails in here stops the watch, never the suite."""

    def __init__(self, recorder: Recorder, options: Options, rootpath: Path, complain: Callable[[str], None]) -> None:
        self._recorder: Recorder | None = recorder
        self._stopped: Recorder | None = None
        self._recording = recorder.recording
        self._options, self._rootpath, self._complain = options, rootpath, complain
        self._accounts: dict[pytest.FixtureDef[Any], FixtureAccount | None] = {}
        self._fixture_files: dict[str, str] = {}
        self._cleans = False
        self.items: Sequence[pytest.Item] = ()
        self.marked: dict[str, Options] = {}

    def _stop(self, exc: Exception) -> None:
        """A fault of ours: say so once and watch no further."""
        if self._recorder is not None:
            self._stopped, self._recorder = self._recorder, None
            why = f"{type(exc).__name__}: {exc}"
            self._stopped.stopped(why)
            self._complain(f"the watch stopped: {why}")

    def leave(self) -> None:
        """This is a fork of the process that is watched: what it does, and what it has seen so far, is not ours."""
        self._recorder = self._stopped = None

    def _passed_through(self, config: pytest.Config) -> None:
        """An exception goes through one of our wrappers: it must not show in its traceback."""
        if not self._cleans:
            self._cleans = True
            config.pluginmanager.register(FramesPlugin(config), "leaktrace-frames")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Make room for the tests, and read the markers once."""
        self.items = session.items
        is_marked = markings("leaktrace")
        for item in session.items:
            if is_marked(item):
                self.marked[item.nodeid] = marked_options(item, self._options)
        self._tell_of_forks(session)
        try:
            if self._recorder is not None:
                # In a worker, which of them comes first is for the controller to say.
                known = bool(session.items) and not hasattr(session.config, "workerinput")
                self._recorder.collected(len(session.items), session.items[0].nodeid if known else None)
        except Exception as exc:  # noqa: BLE001
            self._stop(exc)

    def _tell_of_forks(self, session: pytest.Session) -> None:
        """What pytest-forked runs in a process of its own is not watched, and that is told."""
        every = getattr(session.config.option, "forked", None)
        if every is None:
            return
        count = len(session.items) if every else sum(map(markings("forked"), session.items))
        if count:
            tests = "1 test runs in a fork of its own" if count == 1 else f"{count} tests run in forks of their own"
            self._complain(f"{tests} (pytest-forked): what they keep is out of reach, and goes with the fork")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Around all tests: pytest goes back to where it started right after them."""
        try:
            return (yield)
        except BaseException:
            self._passed_through(session.config)
            raise
        finally:
            try:
                if self._recorder is not None:
                    self._recorder.tests_over()
            except Exception as exc:  # noqa: BLE001
                self._stop(exc)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Around all that happens to one test, reruns and all fixtures included."""
        nodeid = item.nodeid
        try:
            if self._recorder is not None:
                self._recorder.start(nodeid)
        except Exception as exc:  # noqa: BLE001
            self._stop(exc)
        try:
            return (yield)
        except BaseException:
            self._passed_through(item.config)
            raise
        finally:
            self._end(nodeid, nextitem)

    def _end(self, nodeid: str, nextitem: pytest.Item | None) -> None:
        try:
            if self._recorder is not None:
                own = self.marked.get(nodeid) if self.marked else None
                self._recorder.end(
                    nextitem.nodeid if nextitem is not None else None,
                    limit_bytes=None if own is None else own.limit_bytes,
                )
        except Exception as exc:  # noqa: BLE001
            self._stop(exc)

    def phase_ended(self, call: pytest.CallInfo[None]) -> None:
        """A boundary between the phases of a test."""
        try:
            if self._recorder is not None:
                self._recorder.phase(call.when, failed=call.excinfo is not None)
        except Exception as exc:  # noqa: BLE001
            self._stop(exc)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The outcome, as every other plugin has left it."""
        try:
            if self._recorder is None:
                return
            # A setup that passed begins a rerun anew; of most tests, what the call said is all.
            if (
                report.outcome != "passed"
                or report.when == "call"
                or (report.when == "setup" and self._recorder.outcome_index)
            ):
                self._recorder.outcome(outcome_of(report), report.when or "call")
        except Exception as exc:  # noqa: BLE001
            self._stop(exc)

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, nodeid: str) -> None:
        """A resource that nobody closed, and the collector did: perhaps long after the test that made it."""
        if issubclass(warning_message.category, ResourceWarning) and len(self._recording.warned) < MOST_WARNINGS:
            self._recording.warned.append((nodeid, str(warning_message.message)))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """A fixture's setup; a wider one also gets a boundary right before its own finalizer."""
        account = None
        try:
            if self._recorder is not None:
                if fixturedef not in self._accounts:
                    self._accounts[fixturedef] = self._account(fixturedef, self._recorder)
                account = self._accounts[fixturedef]
                if account is not None:
                    self._recorder.fixture_begin(account)
        except Exception as exc:  # noqa: BLE001
            self._stop(exc)
        try:
            return (yield)
        except BaseException:
            self._passed_through(request.config)
            raise
        finally:
            try:
                if self._recorder is not None and account is not None:
                    self._recorder.fixture_end(account)
                    if account.wide:
                        request.addfinalizer(partial(self._closing, account))
            except Exception as exc:  # noqa: BLE001
                self._stop(exc)

    def _closing(self, account: FixtureAccount) -> None:
        try:
            if self._recorder is not None:
                self._recorder.closing_begin(account)
        except Exception as exc:  # noqa: BLE001
            self._stop(exc)

    @pytest.hookimpl(trylast=True)
    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """A fixture's finalizers have run."""
        try:
            if self._recorder is not None:
                account = self._accounts.get(fixturedef)
                if account is not None and account.wide:
                    self._recorder.closing_end(account)
        except Exception as exc:  # noqa: BLE001
            self._stop(exc)

    def _account(self, fixturedef: pytest.FixtureDef[Any], recorder: Recorder) -> FixtureAccount | None:
        """An account for a wider fixture; what a function-scoped one keeps is its test's, and only a casebook tells."""
        code = getattr(fixturedef.func, "__code__", None)
        self._fixture_files[fixturedef.argname] = getattr(code, "co_filename", "")
        if fixturedef.scope == "function" and not recorder.detailed:
            return None
        return recorder.account(
            name=plain_name(fixturedef.argname), scope=fixturedef.scope, where=where_of(fixturedef.func, self._rootpath)
        )

    def users_of(self, names: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Some of the tests that use each of these fixtures, by its name."""
        users: dict[str, tuple[str, ...]] = {}
        for item in self.items:
            for name in getattr(item, "fixturenames", ()):
                if name in names and self._is_own(name) and len(users.get(name, ())) < MOST_USERS:
                    users[name] = (*users.get(name, ()), item.nodeid)
        return users

    def fixtures_of(self, nodeid: str) -> tuple[str, ...]:
        """Names of the suite's own fixtures that a test uses; those of plugins are every test's."""
        item = next((each for each in self.items if each.nodeid == nodeid), None)
        return tuple(name for name in getattr(item, "fixturenames", ()) if self._is_own(name))

    def _is_own(self, fixture: str) -> bool:
        file = Path(self._fixture_files.get(fixture, ""))
        return file.is_relative_to(self._rootpath) and "site-packages" not in file.parts

    def grown_bytes(self) -> int:
        """What the running test has grown by so far, its teardown included."""
        return 0 if self._recorder is None else self._recorder.grown_bytes()

    def close(self) -> Recording:
        """End the watch and return its recording; pytest's objects are let go, the report must not keep them."""
        self._accounts.clear()
        recorder, self._recorder = self._recorder or self._stopped, None
        if recorder is not None:
            try:
                recorder.finish()
            except Exception as exc:  # noqa: BLE001 - what the watch had seen until then is still to be judged
                self._complain(f"the watch could not end: {type(exc).__name__}: {exc}")
        return self._recording


class PhasePlugin:
    """Where a casebook is asked for, which alone tells the phases of a test: their ends are boundaries, too."""

    def __init__(self, watch: WatchPlugin) -> None:
        self._watch = watch

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Read here, before pytest builds and keeps a report."""
        self._watch.phase_ended(call)


def outcome_of(report: pytest.TestReport) -> str:
    """One of the recording's outcomes for one report."""
    if report.outcome == "passed":
        return "xpassed" if hasattr(report, "wasxfail") else "passed"
    if report.outcome == "failed":
        return "failed" if report.when == "call" else "error"
    if report.outcome == "skipped":
        return "xfailed" if hasattr(report, "wasxfail") else "skipped"
    return "rerun"  # pytest-rerunfailures' own word


def markings(name: str) -> Callable[[pytest.Item], bool]:
    """A function that tells whether an item, or a node above it, bears a marker; each node above is asked once."""
    known: dict[Any, bool] = {None: False}

    def bears(node: Any) -> bool:
        return any(mark.name == name for mark in node.own_markers) or above(node.parent)

    def above(node: Any) -> bool:
        if node not in known:
            known[node] = bears(node)
        return known[node]

    return bears


def marked_options(item: pytest.Item, options: Options) -> Options:
    """The options of a test with markers, the closest winning; a bad keyword or value is a usage error."""
    markers = list(item.iter_markers("leaktrace"))
    if not markers:
        return options
    kwargs: dict[str, object] = {}
    for marker in reversed(markers):
        if marker.args:
            raise pytest.UsageError(
                f"{item.nodeid}: @pytest.mark.leaktrace takes keywords only, got {marker.args[0]!r}; write limit=…"
            )
        kwargs.update(marker.kwargs)
    try:
        return table.with_marker(options, kwargs)
    except LeaktraceError as exc:
        raise pytest.UsageError(f"{item.nodeid}: {exc}") from exc
