"""The door of the process that reports: the header, the growth beside a test's name, the report, the exit status."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leaktrace import options as table
from leaktrace.errors import LeaktraceError
from leaktrace.ledger.model import Ledger, is_uneventful
from leaktrace.options import Mode
from leaktrace.plugin.doors import Shared, confirms
from leaktrace.plugin.leftover import ExitGuard
from leaktrace.plugin.watch import WatchDoor
from leaktrace.words import escaped


if TYPE_CHECKING:
    from leaktrace.casebook.model import Casebook
    from leaktrace.session import Part


PEAKS = 5
WIDTH = 80
SHOWN_BYTES = 50_000
"""Growth from which `-v` shows it beside a test: what would round to 0.0 MB is left out."""


class GrowthDoor:
    """With `-v`: a test's growth beside its name, once its teardown has been reported."""

    def __init__(self, config: pytest.Config, watch: WatchDoor) -> None:
        self._config, self._watch = config, watch

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The line of a test is whole; ours goes behind it."""
        if report.when == "teardown":
            grown = self._watch.grown_bytes()
            reporter = self._config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None and abs(grown) >= SHOWN_BYTES:
                reporter.write(f" [{grown / 1e6:+.1f} MB]")


class ReportDoor:
    """Gathers the parts of all processes and reports once."""

    def __init__(self, config: pytest.Config, shared: Shared) -> None:
        self._config, self._shared = config, shared
        self.parts: list[Part] = []
        self._book: Casebook | None = None
        self._failed_on: list[str] = []
        self._well: int | None = None
        self._exit_status = 0
        self._written = True
        self._guard = ExitGuard()

    def pytest_report_header(self) -> str:
        """The settings in force, with their sources."""
        return table.describe(self._shared.options)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge what was seen here, bind it with what the workers sent, and decide the exit status."""
        try:
            with self._shared.start.restored():
                self._conclude(interrupted=session.exitstatus == pytest.ExitCode.INTERRUPTED)
        except Exception as exc:  # noqa: BLE001 - a fault of ours must not turn a run red
            self._shared.complain(f"the report failed: {type(exc).__name__}: {exc}")
        if self._book is not None:
            from leaktrace.session import matched  # noqa: PLC0415

            if session.exitstatus == pytest.ExitCode.OK:
                self._failed_on = matched(self._book, self._shared.options)
            if self._failed_on:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._exit_status = int(session.exitstatus)

    def _conclude(self, *, interrupted: bool) -> None:
        shared = self._shared
        ledger = shared.watch.close() if shared.watch is not None else None
        if ledger is not None and self._is_all_well(ledger):
            self._well = len(ledger)
            return
        # The last test has ended: from here on the rooms that judge and report may be loaded.
        from leaktrace.casebook import wire  # noqa: PLC0415
        from leaktrace.session import bind, conclude  # noqa: PLC0415

        if ledger is not None:
            part = conclude(
                ledger,
                shared.options,
                shared.context(),
                replaying=confirms(shared.options) and not interrupted,
                progress=self._progress,
            )
            self._clear_progress()
            self.parts.append(part)
        if not self.parts:
            return
        path = shared.options.json_path
        self._book = bind(
            self.parts,
            shared.options,
            started_at=shared.started_at,
            duration_s=time.time() - shared.started_at,
            warnings=shared.warnings,
            whole=path is not None,
        )
        if path is not None:
            target = Path(self._config.invocation_params.dir, path)
            try:
                wire.write(self._book, target)
            except (OSError, LeaktraceError) as exc:
                self._written = False
                text = f"the casebook could not be written to {target}: {exc}"
                self._book = replace(self._book, warnings=(*self._book.warnings, text))

    def _is_all_well(self, ledger: Ledger) -> bool:
        """Whether one line will say it all, so that nothing has to be judged."""
        shared = self._shared
        asked = shared.options.json_path is not None or shared.options.mode is not Mode.WATCH
        marked = shared.watch is not None and bool(shared.watch.marked)
        return not (asked or marked or shared.warnings) and is_uneventful(ledger, shared.options.limit_bytes)

    def _progress(self, done: int, count: int, name: str) -> None:
        reporter = self._terminal()
        if reporter is not None and reporter.isatty:
            text = escaped(f"leaktrace: replaying {min(done + 1, count)} of {count}: {name}")
            reporter.rewrite(text[:WIDTH], erase=True)

    def _clear_progress(self) -> None:
        reporter = self._terminal()
        if reporter is not None and reporter.isatty:
            reporter.rewrite("", erase=True)

    def _terminal(self) -> Any:
        return self._config.pluginmanager.get_plugin("terminalreporter")

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The report, or one line when all is well."""
        try:
            with self._shared.start.restored():
                self._write(terminalreporter)
        except Exception as exc:  # noqa: BLE001
            terminalreporter.write_line(escaped(f"leaktrace: the report failed: {type(exc).__name__}: {exc}"))

    def _write(self, reporter: Any) -> None:
        loud = self._config.option.verbose > -2  # noqa: PLR2004 - -qq asks for silence
        if self._well is not None:
            from leaktrace.report.words import all_well  # noqa: PLC0415 - only at the end

            if self._well and loud:
                reporter.write_line(all_well(self._well, self._shared.options.limit_bytes))
            return
        from leaktrace.report import terminal  # noqa: PLC0415

        book = self._book
        if book is None:
            for text in self._shared.warnings:
                reporter.write_line(escaped(f"leaktrace: warning: {text}"))
            return
        tests = sum(len(part.ledger) for part in self.parts)
        if terminal.is_quiet(book):
            if tests and loud:
                reporter.write_line(terminal.one_line(book, tests))
            return
        reporter.section(terminal.title(book), sep="=")
        for line in self._lines(book):
            reporter.write_line(line)

    def _lines(self, book: Casebook) -> Iterator[str]:
        from leaktrace.casebook.accounts import merged_peaks  # noqa: PLC0415
        from leaktrace.report import terminal  # noqa: PLC0415

        yield from terminal.lines(book, merged_peaks([part.ledger for part in self.parts], PEAKS))
        if self._shared.options.json_path is not None and self._written:
            yield escaped(f"casebook: {self._shared.options.json_path}")

    def pytest_unconfigure(self) -> None:
        """The last line says so when the exit status is ours."""
        reporter = self._terminal()
        if self._failed_on and reporter is not None:
            reporter.write_line(f"leaktrace: exit status 1, by --leaktrace-fail-on={','.join(self._failed_on)}")
        self._shared.drop()
        if confirms(self._shared.options):
            self._guard.arm(self._exit_status)
