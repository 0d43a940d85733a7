"""What comes after pytest: replays, verdicts, the report of a confirming run, its exit status.

pytest's own summary, its junit file, and every other plugin's session finish and unconfigure are out by then, so that
an interruption, a time-out of CI or a fault in here costs nothing but our own part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from leaktrace.options import Mode
from leaktrace.plugin.interruptions import Interruptions
from leaktrace.plugin.report import ReportPlugin, flush, write_section
from leaktrace.words import count, escaped


if TYPE_CHECKING:
    from leaktrace.confirm.part import Findings, Part


WIDTH = 80
SHOWN = 20
FINISHED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
"""Ends of a session after which there is something to replay; an interrupted one is over for the user."""


def after_pytest(plugin: ReportPlugin, status: int) -> int:
    """Replay, judge and report; the exit status of the whole, which is pytest's own unless a leak fails the run."""
    try:
        with Interruptions() as interruptions:
            return _after(plugin, status, interruptions)
    except KeyboardInterrupt:
        plugin.say("leaktrace: interrupted three times: what was judged until then is not reported")
        return status
    finally:
        plugin.shared.drop()


def _after(plugin: ReportPlugin, status: int, interruptions: Interruptions) -> int:
    plugin.gather()
    plugin.shared.look_for_journal()
    if not plugin.parts:
        for text in plugin.shared.warnings:
            plugin.say(f"leaktrace: warning: {text}")
        return status
    found = _unjudged(plugin)
    if status in FINISHED:
        _announce(plugin, found)
        try:
            found = _confirmed(plugin, interruptions)
        except KeyboardInterrupt:
            plugin.shared.complain("interrupted twice: what the replays had judged until then is not judged")
        except Exception as exc:  # noqa: BLE001 - the suspects are known all the same
            plugin.shared.complain(f"the suspects could not be replayed: {type(exc).__name__}: {exc}")
    if interruptions.by:
        found = replace(found, warnings=(*found.warnings, f"the replays were interrupted by {interruptions.by}"))
    plugin.bind(found)
    plugin.shared.remember(found)
    if status == pytest.ExitCode.OK:
        plugin.match()
    reporter = plugin.terminal()
    if reporter is not None:
        plugin.write(reporter)
        plugin.write_status()
        flush(reporter)
    return int(pytest.ExitCode.TESTS_FAILED) if plugin.failed_on else status


def _unjudged(plugin: ReportPlugin) -> Findings:
    """What there is to judge: it stays so where no replay comes to its end."""
    from leaktrace.confirm.part import unreplayed  # noqa: PLC0415
    from leaktrace.confirm.steps import screenable  # noqa: PLC0415 - only where there is something to confirm

    shared, parts = plugin.shared, _local(plugin)
    found = unreplayed(parts, asked=True)
    tests = screenable(parts) if shared.options.mode is Mode.HUNT else ()
    known = {each.key for each in found.unjudged}
    earlier = tuple(each for each in shared.resumed if each.key not in known)
    names = (each.name for each in earlier)
    return replace(found, left_out=(*found.left_out, *names, *tests), unjudged=(*found.unjudged, *earlier))


def _local(plugin: ReportPlugin) -> list[Part]:
    """The parts of processes that ran on this host; those of others come with their verdicts."""
    return [part for part in plugin.parts if part.recording.worker not in plugin.remote]


def _confirmed(plugin: ReportPlugin, interruptions: Interruptions) -> Findings:
    from leaktrace.confirm.steps import confirm  # noqa: PLC0415

    progress = _Progress(plugin.terminal())
    try:
        interruptions.replaying = True
        return confirm(
            _local(plugin),
            plugin.shared.options,
            plugin.shared.context(),
            stopped=interruptions.stopped,
            progress=progress,
        )
    finally:
        interruptions.replaying = False
        progress.clear()


def _announce(plugin: ReportPlugin, found: Findings) -> None:
    """What the watch has seen, before the first replay: a kill during the replays must not take that along."""
    from leaktrace.report.terminal import leaked  # noqa: PLC0415
    from leaktrace.suspects.accuse import ranked  # noqa: PLC0415

    reporter = plugin.terminal()
    suspects = [each for each in ranked(found.suspects) if each.kind != "state"]
    if reporter is None or not suspects:
        return
    lines = [line for each in suspects[:SHOWN] for line in leaked(each)]
    if len(suspects) > SHOWN:
        lines.append(f"and {len(suspects) - SHOWN} more")
    write_section(reporter, f"leaktrace: {count(len(suspects), 'suspect')}, to be replayed", lines)
    flush(reporter)


class _Progress:
    """One line that is written over, where the output is a terminal."""

    def __init__(self, reporter: Any) -> None:
        self._reporter = reporter if reporter is not None and reporter.isatty else None

    def __call__(self, doing: str, done: int, count: int, name: str) -> None:
        """Show what is being done now."""
        if self._reporter is not None:
            text = f"leaktrace: {doing} {min(done + 1, count)} of {count}: {name}"
            self._reporter.rewrite(escaped(text)[:WIDTH], erase=True)

    def clear(self) -> None:
        """Leave nothing."""
        if self._reporter is not None:
            self._reporter.rewrite("", erase=True)
