"""xdist's doors: a worker judges its own suspects and ships its part; the controller gathers the parts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leaktrace.ledger.journal import read_journal
from leaktrace.ledger.reader import gap_of
from leaktrace.plugin.doors import WORKER_KEY, Shared, confirms
from leaktrace.plugin.report import ReportDoor
from leaktrace.session import Part, conclude, part_from_wire, part_to_wire


class WorkerDoor:
    """Ends a worker's watch and puts its part into what the worker sends last."""

    def __init__(self, config: pytest.Config, shared: Shared) -> None:
        self._config, self._shared = config, shared

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Replay here, where the tests ran: hosts may differ."""
        try:
            with self._shared.start.restored():
                part = self._part(interrupted=session.exitstatus == pytest.ExitCode.INTERRUPTED)
                self._config.workeroutput[WORKER_KEY] = json.dumps(part_to_wire(part))  # type: ignore[attr-defined]
        except Exception as exc:  # noqa: BLE001 - a fault of ours must not break the worker's last message
            self._config.workeroutput[WORKER_KEY + "_error"] = f"{type(exc).__name__}: {exc}"  # type: ignore[attr-defined]

    def _part(self, *, interrupted: bool) -> Part:
        shared = self._shared
        assert shared.watch is not None
        return conclude(
            shared.watch.close(),
            shared.options,
            shared.context(),
            replaying=confirms(shared.options) and not interrupted,
            warnings=shared.warnings,
        )


class ControllerDoor:
    """Tells the workers where the run's folder is, and takes their parts; a dead worker's is in its journal."""

    def __init__(self, shared: Shared, report: ReportDoor) -> None:
        self._shared, self._report = shared, report

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Before a worker starts."""
        node.workerinput[WORKER_KEY] = str(self._shared.folder)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker has ended, or was found dead."""
        worker = str(node.gateway.id)
        output: dict[str, Any] = getattr(node, "workeroutput", None) or {}
        if f"{WORKER_KEY}_error" in output:
            self._shared.complain(f"worker {worker} could not report: {output[WORKER_KEY + '_error']}")
        try:
            if WORKER_KEY in output:
                self._report.parts.append(part_from_wire(json.loads(output[WORKER_KEY])))
            else:
                self._from_journal(worker, error)
        except Exception as exc:  # noqa: BLE001 - what a worker sent must not break the controller's loop
            self._shared.complain(f"worker {worker} sent nothing that could be read: {exc}")

    def _from_journal(self, worker: str, error: object) -> None:
        path = self._shared.folder / f"{worker}.jsonl"
        if not path.exists():
            self._shared.complain(f"worker {worker} died ({error}) and left no journal")
            return
        ledger = read_journal(path)
        if (gap := gap_of(ledger)) is not None:
            self._shared.complain(gap)
        if not any(part.ledger.worker == worker for part in self._report.parts):
            self._report.parts.append(_judged(ledger, self._shared))


def _judged(ledger: Any, shared: Shared) -> Part:
    """A dead worker's suspects, as far as its journal tells; nobody is left to replay them."""
    return conclude(ledger, shared.options, shared.context(), replaying=False)
