"""The plugins under xdist: a worker ships what it saw; the controller gathers it, and replays for its local workers."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from leaktrace.plugin.report import ReportPlugin
from leaktrace.plugin.run_folder import WORKER_KEY
from leaktrace.plugin.shared import Shared, confirms
from leaktrace.recording.journal import read_journal
from leaktrace.recording.reader import gap_of


if TYPE_CHECKING:
    from leaktrace.confirm.part import Findings, Part


REMOTE_KEY = f"{WORKER_KEY}_remote"


class WorkerPlugin:
    """Ends a worker's watch and puts its part into what the worker sends last."""

    def __init__(self, config: pytest.Config, shared: Shared) -> None:
        self._config, self._shared = config, shared

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Send what was seen, right before xdist does; a worker on another host replays its own suspects.

        What that takes is imported before anyone else's end of the session: xdist breaks down where a worker that is
        forked there ends for a second time while another one is still at work, so ours must not be the longer for us.
        """
        with self._shared.start.restored():
            import leaktrace.confirm.part  # noqa: F401, PLC0415 - the last test has ended
        yield
        if self._shared.start.is_here:
            self._send(session)

    def _send(self, session: pytest.Session) -> None:
        from leaktrace.confirm.part import findings_to_wire, part_to_wire  # noqa: PLC0415

        output: dict[str, Any] = self._config.workeroutput  # type: ignore[attr-defined]
        try:
            with self._shared.start.restored():
                assert self._shared.watch is not None
                part = self._shared.part(self._shared.watch.close())
                message: dict[str, Any] = {"part": part_to_wire(part)}
                if self._config.workerinput.get(REMOTE_KEY):  # type: ignore[attr-defined]
                    interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
                    message["findings"] = findings_to_wire(self._findings(part, interrupted=interrupted))
                output[WORKER_KEY] = json.dumps(message)
        except Exception as exc:  # noqa: BLE001 - a fault of ours must not break the worker's last message
            output[f"{WORKER_KEY}_error"] = f"{type(exc).__name__}: {exc}"

    def _findings(self, part: Part, *, interrupted: bool) -> Findings:
        from leaktrace.confirm.part import unreplayed  # noqa: PLC0415
        from leaktrace.confirm.steps import confirm  # noqa: PLC0415

        asked = confirms(self._shared.options)
        if asked and not interrupted:
            return confirm([part], self._shared.options, self._shared.context())
        return unreplayed([part], asked=asked)


class ControllerPlugin:
    """Tells the workers where the run's folder is, and takes their parts; a dead worker's is in its journal."""

    def __init__(self, shared: Shared, report: ReportPlugin) -> None:
        self._shared, self._report = shared, report
        report.gather = self.gather  # type: ignore[method-assign]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Before a worker starts."""
        node.workerinput[WORKER_KEY] = str(self._shared.folder)
        node.workerinput[REMOTE_KEY] = not getattr(node.gateway.spec, "popen", False)
        self._shared.workers = max(self._shared.workers, int(node.workerinput.get("workercount", 1)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker has ended, or was found dead."""
        worker = str(node.gateway.id)
        output: dict[str, Any] = getattr(node, "workeroutput", None) or {}
        if f"{WORKER_KEY}_error" in output:
            self._shared.complain(f"worker {worker} could not report: {output[WORKER_KEY + '_error']}")
        try:
            with self._shared.start.restored():
                if WORKER_KEY in output:
                    self._take(worker, json.loads(output[WORKER_KEY]))
                elif not (self._shared.folder / f"{worker}.jsonl").exists():
                    self._shared.complain(f"worker {worker} died ({error}) and left no journal")
        except Exception as exc:  # noqa: BLE001 - what a worker sent must not break the controller's loop
            self._shared.complain(f"worker {worker} sent nothing that could be read: {exc}")

    def _take(self, worker: str, message: Mapping[str, Any]) -> None:
        from leaktrace.confirm.part import findings_from_wire, part_from_wire  # noqa: PLC0415

        self._report.parts.append(part_from_wire(message["part"]))
        if "findings" in message:
            self._report.findings.append(findings_from_wire(message["findings"]))
            self._report.remote.add(worker)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """All workers that will ever report have done so."""
        with self._shared.start.restored():
            self.gather()

    def gather(self) -> None:
        """Read the journals of workers that sent nothing: they died, or the run was interrupted."""
        told = {part.recording.worker for part in self._report.parts}
        for path in sorted(self._shared.folder.glob("*.jsonl")):
            if path.stem in told:
                continue
            try:
                recording = read_journal(path)
                if (gap := gap_of(recording)) is not None:
                    self._shared.complain(gap)
                self._report.parts.append(self._shared.part(recording))
            except Exception as exc:  # noqa: BLE001 - one that cannot be read costs that worker's part
                self._shared.complain(f"the journal of worker {path.stem} cannot be read: {exc}")
