"""Which plugins a process registers, and what they share: the run's folder, its settings, its complaints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leaktrace import pristine
from leaktrace.files import read_bounded, remove_tree
from leaktrace.options import Mode, Options, Source, refused
from leaktrace.output import check_folder, check_output
from leaktrace.plugin.run_folder import base_folder, run_folder
from leaktrace.plugin.start_state import Start
from leaktrace.plugin.watch import PhasePlugin, WatchPlugin
from leaktrace.recording.factory import open_recorder
from leaktrace.recording.journal import Journal
from leaktrace.snapshot import Snapshot


if TYPE_CHECKING:  # what only a report or a hunt needs stays out of the process until then
    from leaktrace.confirm.part import Context, Findings, Part
    from leaktrace.explain.known_leaks import KnownLeak
    from leaktrace.recording.model import Recording
    from leaktrace.suspects.model import Suspect


SNAPSHOT = pytest.StashKey[Snapshot]()
MAX_KNOWN_BYTES = 1 << 20


@dataclass(slots=True, eq=False, repr=False)  # what is not needed is not made: every session waits for it
class Shared:
    """What the plugins of one process have in common.

    Attributes:
        folder: this run's journals, requests and responses.
        temporary: whether that folder goes when the run has ended well.
        workers: how many processes run tests.
    """

    options: Options
    folder: Path
    start: Start
    temporary: bool = False
    worker: str = "main"
    workers: int = 1
    warnings: list[str] = field(default_factory=list)
    started_at: float = field(default_factory=time.time)
    known: tuple[KnownLeak, ...] = ()
    watch: WatchPlugin | None = None
    resumed: Sequence[Suspect] = ()
    base: Path | None = None
    place: str = field(init=False)
    """The folder as text: a suite may have patched pathlib by the time when it is looked for."""

    def __post_init__(self) -> None:
        self.place = str(self.folder)

    def complain(self, text: str) -> None:
        """Keep a warning for the report; one that was given already is not repeated."""
        if text not in self.warnings:
            self.warnings.append(text)

    def part(self, recording: Recording) -> Part:
        """What a process saw, judged as far as a watch can."""
        from leaktrace.confirm.part import examine, limits_of  # noqa: PLC0415 - at the end of a run

        watch = self.watch
        return examine(
            recording,
            self.options,
            limits_of(self.options, watch.marked if watch is not None else {}, self.workers),
            paths={item.nodeid: str(item.path) for item in (watch.items if watch is not None else ())},
            warnings=self.warnings if self.worker != "main" else (),
            fixtures=watch.fixtures_of if watch is not None else lambda _nodeid: (),
            users=watch.users_of if watch is not None else lambda _names: {},
        )

    def look_for_journal(self) -> str | None:
        """Complain of a folder that has been removed since the last test, with the journal in it; returns the words."""
        if self.temporary or any("journal" in each for each in self.warnings):
            return None
        with suppress(OSError):
            pristine.os.stat(self.place)
            return None
        warning = f"the journal is gone: {self.place} was removed after the last test"
        self.complain(warning)
        return warning

    def drop(self) -> None:
        """Remove the run's folder where it is a temporary one: nobody would find it, and nobody else removes it."""
        if self.temporary:
            remove_tree(self.folder)

    def context(self) -> Context:
        """What the conductor must know to replay suspects."""
        from leaktrace.confirm.part import Context  # noqa: PLC0415
        from leaktrace.replay.base import interpreter  # noqa: PLC0415
        from leaktrace.replay.protocol import Settings  # noqa: PLC0415 - at the end of a run

        start, environ = self.start, dict(self.start.environ)
        if self.watch is None:  # a controller, whose workers' tests find these
            environ |= {"PYTEST_XDIST_WORKER": "gw0", "PYTEST_XDIST_WORKER_COUNT": str(self.workers)}
        return Context(
            folder=self.folder / f"replay-{self.worker}",
            settings=Settings(
                args=start.args,
                cwd=start.cwd,
                sys_path=start.sys_path,
                environ=environ,
                interpreter=interpreter(),
            ),
            beside=self.workers - 1 if self.watch is not None else 0,
            jobs=self.workers if self.watch is None else 1,  # tests that ran side by side can do so again
            known=self.known,
            resumed=tuple(self.resumed),
        )

    def remember(self, found: Findings) -> None:
        """Note what was not judged, for a run with `--leaktrace-resume`."""
        from leaktrace.plugin.resume import write_unjudged  # noqa: PLC0415 - at the end of a run

        if self.base is not None:
            write_unjudged(self.base, found, self.complain)


def keep(config: pytest.Config) -> None:
    """Keep the standard library's names as they are before any conftest is imported."""
    config.stash[SNAPSHOT] = Snapshot()


def register_plugins(config: pytest.Config, options: Options) -> None:
    """Register the plugins that this process needs: of the only process, of an xdist controller, or of a worker."""
    # Who is named by a conftest's `pytest_plugins` comes too late to be asked before.
    start = Start(config, config.stash.get(SNAPSHOT, None) or Snapshot())
    given = config.hook.pytest_leaktrace_probes(config=config)
    with start.restored():
        _register(config, options, start, given)


def _register(config: pytest.Config, options: Options, start: Start, given: Sequence[Any]) -> None:
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker_input is None:
        check_paths(config, options)
    warnings: list[str] = []
    known = _known(config, options)
    folder, temporary = run_folder(config, options, worker_input, warnings.append)
    shared = Shared(
        options=options,
        folder=folder,
        temporary=temporary,
        start=start,
        warnings=warnings,
        known=known,
    )
    register = config.pluginmanager.register
    if options.resume:
        _resume(config, shared)
    if worker_input is not None:
        from leaktrace.plugin.xdist import WorkerPlugin  # noqa: PLC0415 - only under xdist

        shared.worker, shared.workers = str(worker_input["workerid"]), int(worker_input["workercount"])
        _watch(config, shared, given)
        register(WorkerPlugin(config, shared), "leaktrace-worker")
        return
    from leaktrace.plugin.report import GrowthPlugin, ReportPlugin  # noqa: PLC0415 - a worker reports nothing

    shared.base = None if temporary else shared.folder.parent.parent
    report = ReportPlugin(config, shared)
    register(report, "leaktrace-report")
    # By its hooks, not by its name: `-p xdist.plugin` has another.
    if config.getoption("dist", "no") != "no" and hasattr(config.hook, "pytest_testnodedown"):
        from leaktrace.plugin.xdist import ControllerPlugin  # noqa: PLC0415 - only under xdist

        register(ControllerPlugin(shared, report), "leaktrace-controller")
    else:
        _watch(config, shared, given)
        if config.option.verbose > 0 and shared.watch is not None:
            register(GrowthPlugin(config, shared.watch), "leaktrace-growth")


def _resume(config: pytest.Config, shared: Shared) -> None:
    from leaktrace.errors import FileError  # noqa: PLC0415 - only where it is asked for
    from leaktrace.plugin.resume import ResumePlugin, Unjudged, read_unjudged  # noqa: PLC0415

    try:
        base = base_folder(config, shared.options)
        left = Unjudged() if base is None else read_unjudged(base)
    except FileError as exc:
        raise pytest.UsageError(f"leaktrace: {exc}") from exc
    shared.resumed = left.suspects
    config.pluginmanager.register(ResumePlugin(left), "leaktrace-resume")


def _known(config: pytest.Config, options: Options) -> tuple[KnownLeak, ...]:
    """The user's own table of known leaks; a path in an ini file begins at that file's folder."""
    if options.known_path is None:
        return ()
    from leaktrace.errors import FileError  # noqa: PLC0415 - only for who has one
    from leaktrace.explain.known_leaks import table  # noqa: PLC0415

    base = config.invocation_params.dir
    if options.origin.get("known_path") is Source.INI and config.inipath is not None:
        base = config.inipath.parent
    path = Path(base, options.known_path)
    try:
        text = read_bounded(path, MAX_KNOWN_BYTES).decode("utf-8")
        return table(text, is_json=path.suffix.lower() == ".json")
    except (OSError, ValueError, FileError) as exc:
        raise pytest.UsageError(f"leaktrace: the known leaks in {path} cannot be read: {exc}") from exc


def _watch(config: pytest.Config, shared: Shared, given: Sequence[Any]) -> None:
    journal = Journal(shared.folder / f"{shared.worker}.jsonl", shared.complain)
    recorder = open_recorder(shared.options, journal, shared.worker, shared.complain, given=given)
    shared.watch = WatchPlugin(recorder, shared.options, config.rootpath, shared.complain)
    config.pluginmanager.register(shared.watch, "leaktrace-watch")
    if recorder.detailed:
        config.pluginmanager.register(PhasePlugin(shared.watch), "leaktrace-phases")


def check_paths(config: pytest.Config, options: Options) -> None:
    """Whether what the user wants to be written can be; nothing is made or changed to find out.

    Raises:
        pytest.UsageError: it cannot.
    """
    for what, check in (("file", check_output), ("folder", check_folder)):
        for name, path in options.written(what).items():
            try:
                check(Path(config.invocation_params.dir, path))
            except OSError as exc:
                why = exc.strerror or str(exc)
                raise pytest.UsageError(f"leaktrace: {refused(options, name, why)}") from exc


def confirms(options: Options) -> bool:
    """Whether suspects are replayed in this mode."""
    return options.mode in (Mode.CONFIRM, Mode.HUNT)
