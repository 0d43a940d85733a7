"""pytest's door inside a replay child: collect the suspects alone, run each as often as the judge wants, tell.

The child parses the parent's own arguments, so that every plugin and setting is as it was; what selects, distributes,
reports or stops early is then set back to pytest's defaults here, wherever it came from.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from leaktrace.child.explain import follow_native, name_left, trace
from leaktrace.child.neutral import Records, quieten
from leaktrace.probes.guest import guests
from leaktrace.probes.memory import BlocksProbe, HeapProbe, RssProbe
from leaktrace.probes.model import Probe, Unread
from leaktrace.probes.objects import RefsProbe
from leaktrace.probes.origins import Origins
from leaktrace.probes.resources import DEAR_KINDS, probes_of_kinds
from leaktrace.replay.left import RUNS
from leaktrace.replay.letters import ORDER_VARIABLE, Order, Target, Task, read_order, tail_of
from leaktrace.replay.measure import Readings, RunFailed, Tell, measure, rehearse
from leaktrace.replay.neutral import set_back
from leaktrace.replay.rest import Row, rest
from leaktrace.replay.steady import deactivate_opcache
from leaktrace.seam import Footprint, QuietRuns, forget_run, namespaces_of, repeat, tear_down
from leaktrace.verdict.evidence import record_of
from leaktrace.verdict.judge import group_of, judge_kinds
from leaktrace.verdict.model import Ruling, Verdict


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before coverage would start."""
    deactivate_opcache()
    set_back(early_config.known_args_namespace)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Set the parent's options back, before any plugin acts on them."""
    order = read_order(Path(os.environ.pop(ORDER_VARIABLE)))
    set_back(config.option)
    config.option.basetemp = Path(order.temporary) / "t"  # never the parent's own, it is wiped
    files = dict.fromkeys(target.path for task in order.tasks for target in (*task.before, *task.targets))
    config.args = list(files)
    config.option.pyargs = False
    config.pluginmanager.register(ReplayDoor(order), "leaktrace-replay")
    return (yield)


class ReplayDoor:
    """Replaces the run loop by the order's tasks."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._answer = Path(order.answer).open("ab", buffering=0)  # noqa: SIM115 - closed when the process ends
        self._items: dict[tuple[str, str], pytest.Item] = {}
        self._collect_errors: list[str] = []
        self._quiet = QuietRuns()
        self._rehearsed = False
        self._plugins_threads: list[threading.Thread] = []

    def _tell(self, task: Task) -> Callable[[str, Mapping[str, object]], None]:
        def tell(event: str, fields: Mapping[str, object]) -> None:
            line = json.dumps({"event": event, "task": task.ident, **fields})
            self._answer.write(line.encode() + b"\n")

        return tell

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Leave of other plugins what tests need; a part of them registers only when tests are collected."""
        config.pluginmanager.register(self._quiet, "leaktrace-quiet")
        quieten(config)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """See `pytest_configure`."""
        quieten(session.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Note what other plugins have started (pytest-rerunfailures runs a server): no test's work is done there."""
        self._plugins_threads = threading.enumerate()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember why a file could not be collected."""
        if report.failed:
            self._collect_errors.append(str(report.longrepr).strip().splitlines()[-1])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Keep exactly the ordered tests, whatever other plugins select or shuffle."""
        wanted = {(each.path, each.tail) for task in self._order.tasks for each in (*task.before, *task.targets)}
        for item in items:
            key = (str(item.path), tail_of(item.nodeid))
            if key in wanted:
                self._items.setdefault(key, item)
        result = yield
        items[:] = list(self._items.values())
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Every task in turn."""
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        for number, task in enumerate(self._order.tasks):
            behind = [
                self._items.get((t.path, t.tail)) for later in self._order.tasks[number + 1 :] for t in later.targets
            ]
            self._task(session, task, next((item for item in behind if item is not None), None), terminal)
        return True

    def _task(self, session: pytest.Session, task: Task, following: pytest.Item | None, terminal: Any) -> None:
        tell = self._tell(task)
        items = self._found(task.targets)
        if not items:
            tell("failure", {"why": self._not_collected(task.targets)})
            tell("end", {})
            return
        self._precede([*self._found(task.before), items[0]], tell)
        again = Repeat(self._quiet, items, task.scope, terminal)
        if task.native:
            follow_native(again.run, tell, items, warmups=task.warmups)
            tell("end", {})
            return
        if task.naming:
            self._name(task, again, task.kinds, items, runs=1)
            tell("end", {})
            return
        kinds = (set(self._order.kinds) - DEAR_KINDS) | set(task.kinds)
        references = (RefsProbe(),) if task.references else ()
        for probe in references:
            probe.refresh(namespaces_of(items[0]))
        own = (RssProbe(), HeapProbe(), BlocksProbe(), *references)
        probes, unread = readable((*own, *self._probes(kinds, session.config)))
        suspected = {group_of(kind) for kind in task.kinds}

        def wants_more(readings: Readings, spent: str | None) -> int:
            rulings = judge_kinds(self._record(task, readings, spent))
            return max((ruling.more for kind, ruling in rulings.items() if kind in suspected), default=0)

        if not self._rehearsed:
            rehearse(probes, wants_more)
            self._rehearsed = True
        readings = measure(task, again.run, probes, wants_more, tell, unread=unread)
        if readings.taken > task.warmups + 1:
            accused = self._rested(task, readings, tell)
            if self._order.trace:
                tell("judged", {})
                self._explain(task, again, accused, items)
        try:
            tear_down(session, following)
        except Exception as exc:  # noqa: BLE001 - a fixture's own fault at its end; the readings stand
            tell("spent", {"why": f"teardown failed: {exc!r}"})
        tell("end", {})

    def _found(self, targets: Sequence[Target]) -> list[pytest.Item]:
        """The items of those targets that were collected."""
        return [item for target in targets if (item := self._items.get((target.path, target.tail))) is not None]

    def _precede(self, items: Sequence[pytest.Item], tell: Callable[[str, Mapping[str, object]], None]) -> None:
        """Run all but the last once, as the suite does; a failure there is the suite's own affair."""
        for number, (item, following) in enumerate(itertools.pairwise(items), 1):
            self._quiet.run(item, following)
            forget_run(item, 0)
            tell("preceded", {"tests": number})

    @staticmethod
    def _probes(kinds: Collection[str], config: pytest.Config, origins: Origins | None = None) -> list[Probe]:
        """Ours and others' probes of these kinds, made anew: nothing of the task before is in them."""
        own = probes_of_kinds(kinds, origins=origins)
        given = guests(
            config.hook.pytest_leaktrace_probes(config=config), [p.counter.name for p in own], lambda _: None
        )
        return [*own, *(guest for guest in given if guest.counter.kind in kinds)]

    def _rested(self, task: Task, readings: Readings, tell: Tell) -> dict[str, Ruling]:
        """What is accused after the last run, less what goes by itself when the test's own servers get some time.

        Where threads are accused there is no need to wait for what they do.
        """

        def accused(row: Row | None) -> dict[str, Ruling]:
            rulings = judge_kinds(self._record(task, readings, "runs", rested=row))
            return {kind: ruling for kind, ruling in rulings.items() if _accused(ruling)}

        at_once = accused(None)
        if not at_once or "threads" in at_once:
            return at_once
        return accused(rest(readings, lambda row: bool(accused(row)), tell, idle=self._plugins_threads))

    def _explain(self, task: Task, repeat: Repeat, grown: dict[str, Ruling], items: Sequence[pytest.Item]) -> None:
        """Name the things that stay, then say what keeps memory alive: that empties the holder at its end."""
        memory = grown.pop("memory", None)
        if grown:
            self._name(task, repeat, grown, items)
        if memory is not None and "memory" in {group_of(kind) for kind in task.kinds}:
            trace(repeat.run, self._tell(task), items, memory)

    def _name(
        self, task: Task, repeat: Repeat, kinds: Collection[str], items: Sequence[pytest.Item], *, runs: int = RUNS
    ) -> None:
        config = items[0].config
        name_left(repeat.run, self._tell(task), config, lambda origins: self._probes(kinds, config, origins), runs=runs)

    def _record(self, task: Task, readings: Readings, spent: str | None, rested: Row | None = None) -> Any:
        return record_of(
            [probe.counter.name for probe in readings.probes],
            [readings.row(number) for number in range(readings.taken)],
            warmups=task.warmups,
            batch_runs=task.batch_runs,
            unread=readings.unread,
            spent=spent,
            known={probe.counter.name: probe.counter for probe in readings.probes},
            rested=rested,
        )

    def _not_collected(self, targets: Sequence[Target]) -> str:
        why = f"the child collected no test {targets[0].nodeid}"
        if self._collect_errors:
            why += f": {self._collect_errors[0]}"
        return why


def _accused(ruling: Ruling) -> bool:
    return ruling.verdict in (Verdict.LEAK, Verdict.UNDECIDED)


class Repeat:
    """Runs the tests of one task in turn, each set up afresh, and leaves nothing of pytest's own behind."""

    def __init__(self, quiet: QuietRuns, items: Sequence[pytest.Item], scope: str, terminal: Any) -> None:
        self._quiet, self._items, self._terminal = quiet, items, terminal
        self._next = [self._after(number, scope) for number in range(len(items))]
        self._footprints = [Footprint(item, quiet.wide) for item in items]
        self._records = Records(items[0].config, items)

    def _after(self, number: int, scope: str) -> pytest.Item | pytest.Collector | None:
        """What stays set up after an item: all above it, or less where a wider fixture has to end with each run."""
        item = self._items[number]
        if scope == "function" and len(self._items) > 1:
            return self._items[(number + 1) % len(self._items)]
        if scope == "session":
            return None
        levels: Mapping[str, type[pytest.Collector]] = {
            "class": pytest.Class,
            "module": pytest.Module,
            "package": pytest.Package,
        }
        node = item.getparent(levels[scope]) if scope in levels else item
        return (node or item).parent

    def run(self) -> None:
        """One run of the task.

        Raises:
            RunFailed: a test did not pass.
        """
        for item, after, footprint in zip(self._items, self._next, self._footprints, strict=True):
            why = repeat(self._quiet, item, after)
            footprint.erase()
            self._records.trim()
            if self._terminal is not None:
                self._terminal.stats.clear()  # what other plugins told it
            if why is not None:
                raise RunFailed(why)


def readable(probes: Sequence[Probe]) -> tuple[list[Probe], dict[str, str]]:
    """The probes that can be read in this process, and why the others cannot."""
    unread: dict[str, str] = {}
    for probe in probes:
        value = probe.read()
        if isinstance(value, Unread):
            unread[value.counter] = value.why
    return [probe for probe in probes if probe.counter.name not in unread], unread
