"""What a worker does with a share of tasks: run, measure until the judge has heard enough, explain what leaks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence

import pytest

from leaktrace.child import caches, gaps
from leaktrace.child.explain import follow_native, name_left, tell_kept, trace
from leaktrace.child.idle import Row, rest
from leaktrace.child.leftovers import RUNS
from leaktrace.child.measure import Tell, measure, record
from leaktrace.child.parking import ParkedRssProbe, Parking
from leaktrace.child.pytest_private import QuietRuns, forget_run, namespaces_of, tear_down
from leaktrace.child.readings import Readings, readable
from leaktrace.child.repeat import Repeat
from leaktrace.child.responses import ResponseFile
from leaktrace.child.screening import Screening
from leaktrace.masking import masked
from leaktrace.pristine import threading, time
from leaktrace.probes.memory import BlocksProbe, HeapProbe, RssProbe
from leaktrace.probes.model import BLOCKS, HEAP_BYTES, Probe
from leaktrace.probes.objects import RefsProbe
from leaktrace.probes.origins import Origins
from leaktrace.probes.resources import DEAR_KINDS, probes_of_kinds
from leaktrace.probes.settle import collect
from leaktrace.probes.third_party import third_party
from leaktrace.replay.protocol import Share, Target, Task, function_of
from leaktrace.verdict.judge import group_of, grows_evenly, is_suspicious, judge_kinds, still_grows
from leaktrace.verdict.model import Record, Ruling


LARGE_BYTES = 1_000_000
"""What came once, and is worth to be named where pytest keeps it."""

Run = Callable[[], None]
Items = Mapping[tuple[str, str], pytest.Item]


class Jobs:
    """Carries out shares.

    Args:
        session: pytest's own, with everything collected.
        quiet: runs items so that no other plugin hears of it.
        items: all that was collected, by file and by what follows it in the node id.
        idle: threads that were there before collection.
        why_missing: says why a test was not collected.
    """

    def __init__(
        self,
        session: pytest.Session,
        quiet: QuietRuns,
        items: Items,
        *,
        idle: Sequence[threading.Thread],
        why_missing: Callable[[Sequence[Target]], str],
    ) -> None:
        self._session, self._quiet, self._items, self._why_missing = session, quiet, items, why_missing
        self._idle = idle
        self._kinds: Sequence[str] = ("memory",)
        self._trace = True
        self._fillers: list[object] = []
        self._collected_s: float | None = None

    def prepare(self) -> dict[str, str]:
        """Do in the base what each of its workers would do first: make what readings make, and quicken the readings.

        Returns:
            Why a counter of memory cannot be read in replays, by its name.
        """
        unread = Screening(self._session, self._quiet).dry_run()
        caches.empty(thoroughly=True)
        since = time.perf_counter()
        collect()
        self._collected_s = time.perf_counter() - since
        self._fillers = gaps.fill()
        if HEAP_BYTES.name not in unread:
            unread.pop(BLOCKS.name, None)  # they are in malloc's bytes, and counted there
        return unread

    def carry_out(self, share: Share) -> None:
        """Every task of a share in turn."""
        self._kinds, self._trace = share.kinds, share.trace
        responses = ResponseFile(share.response)
        screening = Screening(self._session, self._quiet, collected_s=self._collected_s)
        for number, task in enumerate(share.tasks):
            tell, items = responses.to(task), self._found(task.targets)
            if not items:
                tell("failure", {"why": self._why_missing(task.targets)})
            elif task.screening:
                later = (self._item(target) for each in share.tasks[number + 1 :] for target in each.targets)
                if not screening.screen(task, items[0], next((item for item in later if item is not None), None), tell):
                    return  # it has outgrown its bound: another worker goes on
                continue
            else:
                self._task(task, items, tell)
            tell("end", {})

    def _found(self, targets: Sequence[Target]) -> list[pytest.Item]:
        """The items of those targets that were collected."""
        return [item for target in targets if (item := self._item(target)) is not None]

    def _item(self, target: Target) -> pytest.Item | None:
        """The very item; of one whose name is another at each collection, the variant that stands in its place."""
        found = self._items.get((target.path, target.tail))
        if found is not None or target.place < 0 or "[" not in target.tail:
            return found
        function = function_of(target.tail)
        variants = [
            item for (path, tail), item in self._items.items() if (path, function_of(tail)) == (target.path, function)
        ]
        return variants[target.place] if target.place < len(variants) else None

    def _task(self, task: Task, items: Sequence[pytest.Item], tell: Tell) -> None:
        self._precede([*self._found(task.before), items[0]], tell)
        parking = Parking() if task.heavy else None
        run = Repeat(self._quiet, items, task.scope).run
        run = run if parking is None else parking.after(run)
        if task.native:
            follow_native(run, tell, items, warmups=task.warmups)
        elif task.naming:
            self._name(run, task.kinds, items, tell, runs=1)
        else:
            self._measure(task, run, RssProbe() if parking is None else ParkedRssProbe(parking), items, tell)

    def _measure(self, task: Task, run: Run, rss: Probe, items: Sequence[pytest.Item], tell: Tell) -> None:
        """Follow a task until the judge has seen enough, then explain what is accused."""
        kinds = (set(self._kinds) - DEAR_KINDS) | set(task.kinds)
        references = (RefsProbe(),) if task.references else ()
        for probe in references:
            probe.refresh(namespaces_of(items[0]))
        own = (rss, HeapProbe(), BlocksProbe(), *references)
        probes, unread = readable((*own, *self._probes(kinds)))
        suspected = {group_of(kind) for kind in task.kinds}

        def wants_more(readings: Readings, spent: str | None) -> int:
            record = _record(task, readings, spent)
            if task.apart and self._trace and grows_evenly(record):
                return 0
            rulings = judge_kinds(record)
            return max((ruling.more for kind, ruling in rulings.items() if kind in suspected), default=0)

        readings, explained = measure(task, run, probes, wants_more, tell, unread=unread), False
        if readings.taken > task.warmups + 1:
            accused = self._rested(task, readings, tell)
            if self._trace:
                tell("judged", {})
                explained = bool(accused)
                self._explain(task, run, accused, items, tell)
                once_bytes = readings.grown(HEAP_BYTES.name)
                if not explained and len(items) == 1 and once_bytes >= LARGE_BYTES:
                    tell_kept(tell, items[0], once_bytes=once_bytes)
        try:
            if not explained:  # plugins learn from a teardown's next item that all ends here
                self._quiet.run(items[-1], None)
            tear_down(self._session, None)
        except Exception as exc:  # noqa: BLE001 - a fixture's own fault at its end; the readings stand
            tell("spent", {"why": f"teardown failed: {masked(repr(exc))}"})

    def _precede(self, items: Sequence[pytest.Item], tell: Tell) -> None:
        """Run all but the last once, as the suite does; a failure there is the suite's own affair."""
        for number, (item, following) in enumerate(itertools.pairwise(items), 1):
            self._quiet.run(item, following)
            forget_run(item, 0)
            tell("preceded", {"tests": number})

    def _probes(self, kinds: Collection[str], origins: Origins | None = None) -> list[Probe]:
        """Ours and others' probes of these kinds."""
        config = self._session.config
        own = probes_of_kinds(kinds, origins=origins)
        given = third_party(
            config.hook.pytest_leaktrace_probes(config=config), [p.counter.name for p in own], lambda _: None
        )
        return [*own, *(each for each in given if each.counter.kind in kinds)]

    def _rested(self, task: Task, readings: Readings, tell: Tell) -> dict[str, Ruling]:
        """What is accused after the last run, less what goes by itself when the test's own servers get some time.

        Where threads are accused there is no need to wait for what they do.
        """

        def accused(row: Row | None) -> dict[str, Ruling]:
            record = _record(task, readings, "runs", rested=row)
            rulings = judge_kinds(record)
            return {
                kind: ruling for kind, ruling in rulings.items() if is_suspicious(ruling) or still_grows(record, ruling)
            }

        at_once = accused(None)
        if not at_once or "threads" in at_once:
            return at_once
        return accused(rest(readings, lambda row: bool(accused(row)), tell, idle=self._idle))

    def _explain(
        self, task: Task, run: Run, grown: dict[str, Ruling], items: Sequence[pytest.Item], tell: Tell
    ) -> None:
        """Name the things that stay, then say what keeps memory alive: that empties the holder at its end."""
        memory = grown.pop("memory", None)
        if grown:
            self._name(run, grown, items, tell)
        if memory is not None and "memory" in {group_of(kind) for kind in task.kinds}:
            trace(run, tell, items, memory)

    def _name(
        self,
        run: Run,
        kinds: Collection[str],
        items: Sequence[pytest.Item],
        tell: Tell,
        *,
        runs: int = RUNS,
    ) -> None:
        name_left(run, tell, items[0].config, lambda origins: self._probes(kinds, origins), runs=runs)


def _record(task: Task, readings: Readings, spent: str | None, rested: Row | None = None) -> Record:
    return record(readings, warmups=task.warmups, batch_runs=task.batch_runs, spent=spent, rested=rested)
