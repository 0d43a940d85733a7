"""Which tests must run before another one to make it leak: trials in children, each with fewer of them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from leaktrace.bisection.ddmin import shrinking
from leaktrace.bisection.trial_cache import Trial, Trials
from leaktrace.casebook.cases import after_others, case_of, evidence
from leaktrace.casebook.model import Case
from leaktrace.errors import FileError, ReplayError
from leaktrace.options import KINDS
from leaktrace.probes.model import HEAP_BYTES
from leaktrace.probes.resources import DEAR_KINDS
from leaktrace.recording.journal import read_journal
from leaktrace.recording.runs import RUN_ID
from leaktrace.replay.collection import Collected
from leaktrace.replay.pool import Bounds, Pool
from leaktrace.replay.protocol import Response, Target, Task, tail_of
from leaktrace.replay.scheduler import replay
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.judge import judge_kinds
from leaktrace.verdict.model import Verdict


FIRST_RUN = "first run"
"""The symptom of a test that grows once, at its first run after others, and not again."""
FOLLOWED = tuple(kind for kind in KINDS if kind not in DEAR_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisected:
    """How a bisection ended.

    Attributes:
        outcome: `found`; `alone`: no other test is needed; `gone`: not even all of them bring it back; `failed`.
        before: the smallest part of the predecessors that brings it back.
        whole: whether none of them can be spared; False where the budget ran out.
        symptom: what comes back, in one sentence, or why it could not be seen.
        case: the test replayed after them, with its trace; None where it does not leak on each run.
        children: how many were started.
        known: how many were not, because an earlier call had made the same trial.
    """

    outcome: Literal["found", "alone", "gone", "failed"]
    before: tuple[Target, ...] = ()
    whole: bool = True
    symptom: str = ""
    case: Case | None = None
    children: int = 0
    known: int = 0


class OutOfTimeError(Exception):
    """The budget ran out during a trial."""


def find_target(collected: Collected, asked: str, cwd: Path) -> Target:
    """The collected test that a user asks for, by its node id or by a path from where the command was started.

    Raises:
        ReplayError: there is none.
    """
    file = (cwd / asked.partition("::")[0]).resolve()
    for target in collected.tests:
        if target.nodeid == asked or (tail_of(asked) == target.tail and Path(target.path).resolve() == file):
            return target
    why = f"; {collected.errors[0]}" if collected.errors else ""
    raise ReplayError(f"no test {asked} is collected among {len(collected.tests)}{why}: write it as pytest does")


def predecessors(collected: Collected, target: Target, *, as_collected: bool = False) -> tuple[list[Target], str]:
    """The tests before one, in the order of the newest run that had any before it, else in that of collection.

    Returns them with a word on whose order that is. Tests that are not collected any more are left out.
    """
    known = {each.nodeid: each for each in collected.tests}
    if not as_collected and collected.folder:
        for journal in _journals(Path(collected.folder) / "runs"):
            with suppress(FileError):
                recording = read_journal(journal)
                if target.nodeid in recording.nodeids[1:]:
                    names = dict.fromkeys(recording.nodeids[: recording.nodeids.index(target.nodeid, 1)])
                    found = [known[name] for name in names if name in known and name != target.nodeid]
                    return found, f"as in the run {journal.parent.name} ({journal.stem})"
    return list(collected.tests[: collected.tests.index(target)]), "in the order of collection"


def _journals(runs: Path) -> list[Path]:
    """Journals of all workers, those of the newest run first."""
    with suppress(OSError):
        folders = sorted((each for each in runs.iterdir() if RUN_ID.fullmatch(each.name)), reverse=True)
        return [journal for folder in folders for journal in sorted(folder.glob("*.jsonl"))]
    return []


class Bisection:
    """Trials of one test.

    Args:
        target: the test.
        pool: the children that carry out the trials.
        bounds: time for each step, and for all together.
        limit_bytes: growth of a first run above which it counts.
        trials: what is known from earlier calls; what is seen now is added.
        told: called before each child with a sentence on it.
    """

    def __init__(
        self,
        target: Target,
        pool: Pool,
        bounds: Bounds,
        *,
        limit_bytes: int,
        trials: Trials | None = None,
        told: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target, self._pool, self._bounds = target, pool, bounds
        self._limit_bytes, self._told, self._clock = limit_bytes, told, clock
        self._trials = Trials() if trials is None else trials
        self._began, self._children, self._known = clock(), 0, 0

    def find(self, before: Sequence[Target]) -> Bisected:
        """The smallest part of `before` that makes the test leak as it does after all of them.

        Raises:
            ReplayError: no child can be started.
        """
        try:
            alone = self._trial(())
            whole = self._trial(tuple(before)) if before else Trial()
        except OutOfTimeError:
            return self._end("failed", symptom="the budget ran out before there was anything to compare")
        failure = alone.failure or whole.failure
        if failure is not None:
            return self._end("failed", symptom=failure)
        name = difference(alone, whole)
        if name is None:
            same = next(iter(alone.symptoms.values()), None)
            return self._end("gone") if same is None else self._end("alone", symptom=same)
        best, ended = tuple(before), False
        with suppress(OutOfTimeError):
            for smaller in shrinking(before, lambda part: name in self._trial(part).symptoms):
                best = smaller
            ended = True
        case = None if name == FIRST_RUN else self._explained(best, name)
        return self._end("found", before=best, whole=ended, symptom=whole.symptoms[name], case=case)

    def _end(self, outcome: Literal["found", "alone", "gone", "failed"], **found: object) -> Bisected:
        return replace(Bisected(outcome=outcome, children=self._children, known=self._known), **found)  # type: ignore[arg-type]  # fields by name

    def _trial(self, before: tuple[Target, ...]) -> Trial:
        """One child, unless it is known what it would show: the test after these.

        Raises:
            OutOfTimeError: the budget ran out.
        """
        known = self._trials.of(before)
        if known is not None:
            self._known += 1
            return known
        others = f"after {len(before)} other test{'s' if len(before) > 1 else ''}" if before else "alone"
        self._told(f"trial {self._children + 1}: {self._target.nodeid} {others}")
        budget_s = self._bounds.budget_s
        left_s = None if budget_s is None else budget_s - (self._clock() - self._began)
        if left_s is not None and left_s <= 0:
            raise OutOfTimeError
        response = self._ask(before, replace(self._bounds, budget_s=left_s), trace=False)
        if response is None or (budget_s is not None and self._clock() - self._began > budget_s):
            raise OutOfTimeError
        trial = trial_of(response, limit_bytes=self._limit_bytes)
        self._trials.keep(before, trial)
        return trial

    def _explained(self, before: tuple[Target, ...], kind: str) -> Case:
        """The case, with what keeps it alive; one more child, whatever is left of the budget, unless it is known."""
        known = self._trials.case(before, kind)
        if known is not None:
            self._known += 1
            return known
        self._told(f"trial {self._children + 1}: what keeps it alive")
        response = self._ask(before, replace(self._bounds, budget_s=None), trace=True)
        name = self._target.nodeid
        why = "it leaks after other tests"
        suspect = Suspect(subject="test", name=name, kind=kind, counter="", grew_by=0, why=why, nodeids=(name,))
        names = tuple(each.nodeid for each in before)
        case = case_of(suspect, response, limit_bytes=self._limit_bytes)
        case = after_others(case, names, reproduction(before, name))
        self._trials.keep_case(before, case)
        return case

    def _ask(self, before: tuple[Target, ...], bounds: Bounds, *, trace: bool) -> Response | None:
        self._children += 1
        task = Task(ident=0, targets=(self._target,), kinds=FOLLOWED, before=before)
        outcome = replay([task], self._pool, bounds, kinds=FOLLOWED, trace=trace)
        return outcome.responses.get(0)


def trial_of(response: Response, *, limit_bytes: int) -> Trial:
    """What a response shows; pure."""
    record = evidence(response)
    if record is None:
        return Trial(failure=response.failure)
    rulings = judge_kinds(record)
    symptoms = {kind: ruling.reason for kind, ruling in rulings.items() if ruling.verdict is Verdict.LEAK}
    first = _first_growth(response)
    if first > limit_bytes:
        symptoms[FIRST_RUN] = f"its first run keeps {first:,} bytes, and those that follow do not"
    return Trial(symptoms=symptoms)


def difference(alone: Trial, whole: Trial) -> str | None:
    """The symptom that the other tests bring about, or None; a leak on each run says more than what came once."""
    new = [name for name in whole.symptoms if name not in alone.symptoms]
    leaks = [name for name in new if name != FIRST_RUN]
    if leaks:
        return leaks[0]
    # A test that leaks alone needs no other, though its first run after others may take more.
    return FIRST_RUN if FIRST_RUN in new and not alone.symptoms else None


def reproduction(before: Sequence[Target], name: str) -> str:
    """A command that runs a test after those others, in this order, and hunts among them."""
    return "pytest --leaktrace-hunt " + shlex.join([*(each.nodeid for each in before), name])


def _first_growth(response: Response) -> int:
    """By how much the heap grew at the first run; 0 where it cannot be read."""
    if HEAP_BYTES.name not in response.counters or len(response.readings) < 2:  # noqa: PLR2004 - before it and after
        return 0
    column = response.counters.index(HEAP_BYTES.name)
    first, second = response.readings[0][column], response.readings[1][column]
    return 0 if first is None or second is None else second - first
