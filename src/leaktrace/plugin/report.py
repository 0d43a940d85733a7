"""The plugin of the process that reports: the header, the growth beside a test's name, the watch's report.

What only children can tell comes after pytest has finished altogether: see `leaktrace.plugin.after`.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leaktrace import options as table
from leaktrace.errors import LeaktraceError
from leaktrace.options import Mode
from leaktrace.plugin.frames import without_ours
from leaktrace.plugin.outlet import Outlet
from leaktrace.plugin.shared import Shared, confirms
from leaktrace.plugin.watch import WatchPlugin
from leaktrace.recording.model import Recording, is_uneventful
from leaktrace.words import escaped


if TYPE_CHECKING:
    from leaktrace.casebook.model import Casebook
    from leaktrace.confirm.part import Findings, Part
    from leaktrace.plugin.interruptions import Interruptions


PEAKS = 5
SHOWN_BYTES = 50_000
"""Growth from which `-v` shows it beside a test: what would round to 0.0 MB is left out."""


class GrowthPlugin:
    """With `-v`: a test's growth beside its name, once its teardown has been reported."""

    def __init__(self, config: pytest.Config, watch: WatchPlugin) -> None:
        self._config, self._watch = config, watch

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The line of a test is whole; ours goes behind it."""
        if report.when == "teardown":
            grown = self._watch.grown_bytes()
            reporter = self._config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None and abs(grown) >= SHOWN_BYTES:
                reporter.write(f" [{grown / 1e6:+.1f} MB]")


class ReportPlugin:
    """Gathers the parts of all processes, and reports what a watch alone has seen."""

    def __init__(self, config: pytest.Config, shared: Shared) -> None:
        self._config, self.shared = config, shared
        self.parts: list[Part] = []
        self.findings: list[Findings] = []
        """What workers on other hosts have found."""
        self.remote: set[str] = set()
        """The workers that were on other hosts."""
        self.book: Casebook | None = None
        self.failed_on: list[str] = []
        self._outlet = Outlet()
        self._hurried: Interruptions | None = None
        self._well: int | None = None
        self._written = True

    def gather(self) -> None:
        """Take in what has not come by itself; only a controller has others to ask."""

    def pytest_report_header(self) -> str:
        """The settings in force, with their sources."""
        return table.describe(self.shared.options)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """The watch ends; where nothing is to be replayed, what it saw is judged.

        That takes a moment: who hits Ctrl-C for a second time in it, or later than pytest alone would have ended, is
        not to lose pytest's own summary to us.
        """
        if session.exitstatus == pytest.ExitCode.INTERRUPTED:
            from leaktrace.plugin.interruptions import Interruptions  # noqa: PLC0415 - few runs are interrupted

            self._hurried = Interruptions((signal.SIGINT,)).__enter__()
        try:
            with self.shared.start.restored():
                self._end_watch()
                if session.exitstatus == pytest.ExitCode.OK and not confirms(self.shared.options):
                    self.match()
        except Exception as exc:  # noqa: BLE001 - a fault of ours must not turn a run red
            self.shared.complain(f"the report failed: {type(exc).__name__}: {exc}")
        if self.failed_on:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def match(self) -> None:
        """Find out which words of `--leaktrace-fail-on` the casebook meets."""
        if self.book is not None:
            from leaktrace.confirm.part import matched  # noqa: PLC0415 - see _end_watch

            self.failed_on = matched(self.book, self.shared.options)

    def _end_watch(self) -> None:
        shared = self.shared
        recording = shared.watch.close() if shared.watch is not None else None
        if recording is not None and self._is_all_well(recording):
            self._well = len(recording)
            return
        # The last test has ended: from here on what judges and reports may be loaded.
        from leaktrace.confirm.part import unreplayed  # noqa: PLC0415

        if recording is not None:
            self.parts.append(shared.part(recording))
        if self.parts and not confirms(shared.options):
            self.bind(unreplayed(self.parts))

    def bind(self, found: Findings) -> None:
        """Make the casebook, and write it where one was asked for."""
        from leaktrace.casebook import wire  # noqa: PLC0415
        from leaktrace.confirm.part import bind, joined  # noqa: PLC0415

        shared, path = self.shared, self.shared.options.json_path
        self.book = bind(
            self.parts,
            joined([*self.findings, found]),
            shared.options,
            started_at=shared.started_at,
            duration_s=time.time() - shared.started_at,
            warnings=shared.warnings,
            whole=path is not None,
        )
        if path is not None:
            target = Path(self._config.invocation_params.dir, path)
            try:
                wire.write(self.book, target)
            except (OSError, LeaktraceError) as exc:
                self._written = False
                text = f"the casebook could not be written to {target}: {exc}"
                self.book = replace(self.book, warnings=(*self.book.warnings, text))

    def _is_all_well(self, recording: Recording) -> bool:
        """Whether one line will say it all, so that nothing has to be judged."""
        shared = self.shared
        asked = bool(shared.options.written("file")) or shared.options.mode is not Mode.WATCH
        marked = shared.watch is not None and bool(shared.watch.marked)
        return not (asked or marked or shared.warnings) and is_uneventful(recording, shared.options.limit_bytes)

    def terminal(self) -> Any:
        """Pytest's terminal reporter, or another plugin's in its place; None where nobody would read what it prints."""
        if not self._outlet.is_there():
            return None
        return self._config.pluginmanager.get_plugin("terminalreporter")

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The watch's report, or one line when all is well; nothing yet where suspects are to be replayed."""
        self._outlet.learn()
        if confirms(self.shared.options):
            return
        try:
            with self.shared.start.restored():
                self.write(terminalreporter)
        except Exception as exc:  # noqa: BLE001
            terminalreporter.write_line(escaped(f"leaktrace: the report failed: {type(exc).__name__}: {exc}"))

    def write(self, reporter: Any) -> None:
        """Write the report."""
        loud = self._config.option.verbose > -2  # noqa: PLR2004 - -qq asks for silence
        from leaktrace.report.quiet import all_well  # noqa: PLC0415 - only at the end

        if self._well is not None:
            if self._well and loud:
                reporter.write_line(all_well(self._well, self.shared.options.limit_bytes))
            return
        from leaktrace.report import story  # noqa: PLC0415

        book = self.book
        if book is None:
            for text in self.shared.warnings:
                reporter.write_line(escaped(f"leaktrace: warning: {text}"))
            return
        tests = sum(len(part.recording) for part in self.parts)
        if story.is_quiet(book):
            if tests and loud:
                reporter.write_line(all_well(tests, book.limit_bytes))
            return
        write_section(reporter, story.title(book), list(self._lines(book)))

    def _lines(self, book: Casebook) -> Iterator[str]:
        from leaktrace.casebook.accounts import merged_peaks  # noqa: PLC0415
        from leaktrace.report import terminal  # noqa: PLC0415

        yield from terminal.lines(book, merged_peaks([part.recording for part in self.parts], PEAKS))
        if self.shared.options.json_path is not None and self._written:
            yield f"casebook: {self.shared.options.json_path}"

    def pytest_unconfigure(self) -> None:
        """The last line says so when the exit status is ours."""
        if not confirms(self.shared.options):
            self.write_status()
            self.shared.drop()

    def after(self, status: int) -> int:
        """Once pytest has finished: replay, judge and report where that is wanted; the exit status of the whole."""
        if not self.shared.start.is_here:
            return status  # a test's fork that went on running pytest judges nothing
        try:
            return self._after(status) if confirms(self.shared.options) else self._after_watch(status)
        finally:
            self._let_interrupt()

    def _after_watch(self, status: int) -> int:
        """The report is out: what has become of the journal since then is still to be told."""
        with suppress(Exception):
            if (warning := self.shared.look_for_journal()) is not None:
                with self.shared.start.restored():  # a millisecond, which few runs need
                    self.say(f"leaktrace: warning: {warning}")
        return status

    def _after(self, status: int) -> int:
        try:
            with self.shared.start.restored():
                from leaktrace.plugin.after import after_pytest  # noqa: PLC0415 - nothing of it is needed before

                return after_pytest(self, status)
        except Exception as exc:  # noqa: BLE001 - a fault of ours costs our report
            self.say(f"leaktrace: the report failed: {type(exc).__name__}: {exc}")
        return status

    def broken_down(self, exc: BaseException) -> None:
        """Pytest ends by an exception: take our frames out of it, and say what the watch has seen."""
        with suppress(Exception):  # it is shown as it is
            without_ours(exc)
        if self.parts and isinstance(exc, Exception):
            self.after(int(pytest.ExitCode.INTERNAL_ERROR))
        self._let_interrupt()

    def _let_interrupt(self) -> None:
        if self._hurried is not None:
            self._hurried.__exit__()
            self._hurried = None

    def say(self, text: str) -> None:
        """One line, whatever else may have failed."""
        with suppress(Exception):  # the output itself may be closed
            reporter = self.terminal()
            if reporter is not None:
                reporter.write_line(escaped(text))
                flush(reporter)

    def write_status(self) -> None:
        """Say so where the exit status is ours."""
        reporter = self.terminal()
        if self.failed_on and reporter is not None:
            reporter.write_line(f"leaktrace: exit status 1, by --leaktrace-fail-on={','.join(self.failed_on)}")


def write_section(reporter: Any, title: str, lines: Sequence[str]) -> None:
    """A section as pytest's own, with a rule above; nothing in it moves a cursor, whoever made its lines."""
    reporter.section(escaped(title), sep="=")
    for line in lines:
        reporter.write_line(escaped(line))


def flush(reporter: Any) -> None:
    """Let out what was written, where the reporter keeps it: a kill may come next."""
    out = getattr(reporter, "flush", None)
    if out is not None:
        out()
