"""The letters to and from a replay child: an order is a JSON file, an answer a file of JSON lines.

The child appends one event a line as it goes, so that one that dies still leaves what it had read. Letters are read as
untrusted: validated here, never evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from leaktrace.codec import decode, loads
from leaktrace.errors import FileError, ReplayError
from leaktrace.files import lines_of, read_bounded, write_private
from leaktrace.probes.model import Counter
from leaktrace.replay.events import LONGEST_LINE, event_of, missing_reading


VERSION = 1
ORDER_VARIABLE = "LEAKTRACE_REPLAY_ORDER"
MAX_ANSWER_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One test to run: its node id, its file, and the node id's part behind the file.

    A node id's path depends on what was collected with it; file and tail do not.
    """

    nodeid: str
    path: str
    tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One suspect to be run again.

    Attributes:
        ident: its number in the order.
        targets: the tests that make up one run, in turn.
        scope: the scope that ends with each run; wider fixtures live on. A fixture under suspicion must end itself.
        warmups, batch_runs: as in a verdict's record.
        follow_s: time after which a suspect that could be ruled on is followed no further.
        memory_bytes: growth of this process at which it is followed no further.
        kinds: the kinds of leak that it is suspected of; they decide how long it is followed.
        before: tests that are run once, in this order, before the first reading, whatever comes of them.
        references: whether the number of references is counted, too.
        native: whether only the stacks of native allocations are wanted, as memray tells them.
        naming: whether only the things that one run leaves are wanted, with the fixtures that made them.
    """

    ident: int
    targets: tuple[Target, ...]
    scope: str = "function"
    warmups: int = 3
    batch_runs: int = 3
    follow_s: float = 15.0
    memory_bytes: int = 1 << 30
    kinds: tuple[str, ...] = ("memory",)
    before: tuple[Target, ...] = ()
    references: bool = False
    native: bool = False
    naming: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The parent's own settings, which the child takes over.

    Attributes:
        args: pytest's arguments as they were given.
        cwd: where it was started.
        sys_path: as it was when pytest had started.
        environ: likewise; what a test has changed since does not count.
        interpreter: the interpreter and its own flags.
    """

    args: tuple[str, ...]
    cwd: str
    sys_path: tuple[str, ...]
    environ: Mapping[str, str]
    interpreter: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All that one child is to do; `door` is the plugin that does it."""

    tasks: tuple[Task, ...] = ()
    args: tuple[str, ...] = ()
    sys_path: tuple[str, ...] = ()
    answer: str = ""
    kinds: tuple[str, ...] = ("memory",)
    trace: bool = True
    restore: Mapping[str, str | None] = field(default_factory=dict)
    temporary: str = ""
    door: str = "leaktrace.child.plugin"

    def write(self, path: Path) -> None:
        """Put the order into a file."""
        write_private(path, json.dumps({"version": VERSION, **asdict(self)}).encode())


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a child said of one task.

    Attributes:
        readings: one row for each reading: the counters' values by name, None where unread.
        unread: why, by counter name.
        spent: why it stopped before the judge was done, or None.
        failure: why it could not be run, or None; readings taken before may still convict.
        exhibit: what a trace found, as plain values, unopened.
        things: what two further runs left behind, as plain values, by kind; None where nobody looked.
        judged: whether the readings are complete, so that what follows only explains them.
        ended: whether the child came to the end of the task.
        runs: how many runs were made.
        preceded: how many of the tests that come before have been run.
        gap: whether a line was broken that may have been a reading: later readings are left out then.
    """

    ident: int
    counters: tuple[str, ...] = ()
    warmups: int = 0
    batch_runs: int = 1
    readings: list[list[int | None]] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    rested: list[int | None] | None = None
    spent: str | None = None
    failure: str | None = None
    exhibit: Mapping[str, Any] | None = None
    things: Sequence[Mapping[str, Any]] | None = None
    defined: dict[str, Counter] = field(default_factory=dict)
    judged: bool = False
    ended: bool = False
    runs: int = 0
    began: bool = False
    preceded: int = 0
    gap: bool = False


def read_order(path: Path) -> Order:
    """The order in a file.

    Raises:
        ReplayError: it is none, or of another version.
    """
    try:
        raw = loads(read_bounded(path, MAX_ANSWER_BYTES))
        if raw.pop("version") != VERSION:
            raise ReplayError(f"{path} is an order of another version; parent and child must be one leaktrace")
        return decode(Order, raw)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, FileError) as exc:
        raise ReplayError(f"{path} holds no replay order: {type(exc).__name__}: {str(exc)[:500]}") from exc


def read_answers(path: Path) -> dict[int, Answer]:
    """What a child has said so far, by task; a broken line costs itself alone, and a torn last one is not there yet.

    Raises:
        ReplayError: the file is too large.
    """
    answers: dict[int, Answer] = {}
    before: bytes | None = b""
    try:
        for line in lines_of(path, MAX_ANSWER_BYTES, LONGEST_LINE):
            _take_line(answers, before)
            before = line
        if before and not _is_broken(before):
            _take_line(answers, before)
    except FileNotFoundError:
        return answers
    except OSError as exc:
        raise ReplayError(f"the answer {path} cannot be read: {exc}") from exc
    return answers


def _is_broken(line: bytes) -> bool:
    try:
        event_of(line)
    except (ValueError, FileError):
        return True
    return False


def _take_line(answers: dict[int, Answer], line: bytes | None) -> None:
    if line == b"":
        return
    try:
        _take(answers, event_of(b"5" if line is None else line))  # one without end is no event
    except (ValueError, FileError):
        mark_gap(answers, line or b"")


def mark_gap(answers: Mapping[int, Answer], line: bytes) -> None:
    """A line is broken: where it may have been a reading, those that follow do not join those before it."""
    possible, about = missing_reading(line)
    running = [answer for answer in answers.values() if answer.began and not (answer.judged or answer.ended)]
    for answer in running:
        if possible and about in (None, answer.ident):
            answer.gap = True


def _take(answers: dict[int, Answer], event: Mapping[str, Any]) -> None:  # noqa: C901 - one branch a kind
    ident = event["task"]
    answer = answers.setdefault(ident, Answer(ident=ident))
    kind = event["event"]
    if kind == "begin":
        answer.began = True
        answer.counters = tuple(str(name) for name in event["counters"])
        answer.warmups, answer.batch_runs = int(event["warmups"]), int(event["batch_runs"])
        answer.unread.update({str(name): str(why) for name, why in event["unread"].items()})
        answer.defined.update({name: decode(Counter, each, at=name) for name, each in event.get("defined", {}).items()})
    elif kind == "reading":
        if not answer.gap:
            answer.readings.append(_row(answer, event))
            answer.runs = int(event["runs"])
    elif kind == "rested":
        answer.rested = _row(answer, event)
    elif kind == "preceded":
        answer.preceded = int(event["tests"])
    elif kind in ("spent", "failure"):
        setattr(answer, kind, str(event["why"]))
    elif kind == "exhibit":
        answer.exhibit = dict(event["exhibit"])
    elif kind == "judged":
        answer.judged = True
    elif kind == "things":
        answer.things = [dict(each) for each in event["things"]]
    elif kind == "end":
        answer.ended = True
    else:
        raise ValueError(f"unknown event {kind!r}")


def _row(answer: Answer, event: Mapping[str, Any]) -> list[int | None]:
    row = [None if value is None else int(value) for value in event["values"]]
    if len(row) != len(answer.counters):
        raise ValueError(f"{len(row)} values for {len(answer.counters)} counters")
    return row


def tail_of(nodeid: str) -> str:
    """What follows the file in a node id."""
    return nodeid.partition("::")[2]


def targets_of(nodeids: Sequence[str], path_of: Mapping[str, str]) -> tuple[Target, ...]:
    """Targets for node ids whose files are known; the others are left out."""
    return tuple(
        Target(nodeid=nodeid, path=path_of[nodeid], tail=tail_of(nodeid)) for nodeid in nodeids if nodeid in path_of
    )
