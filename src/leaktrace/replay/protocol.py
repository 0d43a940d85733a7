"""What goes to and from a child: a request is a JSON file, a share a line on its channel, a response many lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from leaktrace.errors import FileError, ReplayError
from leaktrace.files import read_bounded, write_private
from leaktrace.probes.model import Counter
from leaktrace.serialize import decode, loads


VERSION = 1
REQUEST_VARIABLE = "LEAKTRACE_REPLAY_REQUEST"
MAX_RESPONSE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One test to run: its node id, its file, and the node id's part behind the file.

    A node id's path depends on what was collected with it; file and tail do not, unless a parameter is the time.

    Attributes:
        place: which variant of its function it was, for one whose tail is another at each collection; or -1.
    """

    nodeid: str
    path: str
    tail: str
    place: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One suspect to be run again.

    Attributes:
        ident: its number in the request.
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
        screening: whether a few runs are only to tell whether it is worth a closer look; such tasks share a worker.
        duration_s: how long its test took in the suite.
        heavy: whether what each run keeps is moved out of memory behind it.
        apart: whether even growth is taken apart after a few runs: what holds it may decide, where numbers cannot yet.
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
    screening: bool = False
    duration_s: float = 0.0
    heavy: bool = False
    apart: bool = False


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
class Request:
    """How a base child is to start; what its workers are to do follows through the channel.

    Attributes:
        files: what it collects.
        args, sys_path: the parent's own.
        response: where a child that only collects writes what it found.
        restore: variables of the environment as the tests are to see them.
        temporary: the child's own folder, 0700.
        channel: the descriptor of the socket to the parent, or -1.
        parent: the process that starts it, and with which it ends.
        undo: the folder in which all children of a run save what they are about to change elsewhere.
        plugin: the plugin that does the work.
    """

    files: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    sys_path: tuple[str, ...] = ()
    response: str = ""
    restore: Mapping[str, str | None] = field(default_factory=dict)
    temporary: str = ""
    channel: int = -1
    parent: int = 0
    undo: str = ""
    plugin: str = "leaktrace.child.plugin"

    def write(self, path: Path) -> None:
        """Put the request into a file."""
        write_private(path, json.dumps({"version": VERSION, **asdict(self)}).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one worker is to do.

    Attributes:
        number: tells it from others of the same base.
        tasks: in this request.
        response: the file that takes its responses.
        log: the file that takes what its tests print past pytest.
        kinds: the kinds of leak that are looked for.
        trace: whether what leaks is explained.
        forked: whether a fork carries it out; else the base itself does, and ends.
    """

    number: int
    tasks: tuple[Task, ...]
    response: str
    log: str
    kinds: tuple[str, ...] = ("memory",)
    trace: bool = True
    forked: bool = True


@dataclass(slots=True, kw_only=True)
class Response:
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
        screened: what a screening found, `clean` or `grown`; "" where none was made.
        harmless: the class that took all references that grew, where that harms nobody.
        retired: whether the worker went no further after this task, since it had grown too much.
        gap: whether a line was broken that may have been a reading: later readings are left out then.
        late: whether its child was ended for want of time, before the readings were complete.
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
    screened: str = ""
    harmless: str = ""
    retired: bool = False
    gap: bool = False
    late: bool = False


def read_request(path: Path) -> Request:
    """The request in a file.

    Raises:
        ReplayError: it is none, or of another version.
    """
    try:
        raw = loads(read_bounded(path, MAX_RESPONSE_BYTES))
        if raw.pop("version") != VERSION:
            raise ReplayError(f"{path} is a request of another version; parent and child must be one leaktrace")
        return decode(Request, raw)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, FileError) as exc:
        raise ReplayError(f"{path} holds no replay request: {type(exc).__name__}: {str(exc)[:500]}") from exc


def tail_of(nodeid: str) -> str:
    """What follows the file in a node id."""
    return nodeid.partition("::")[2]


def function_of(tail: str) -> str:
    """The part of a tail that all variants of a function share."""
    return tail.partition("[")[0]


def placed(tasks: Sequence[Task], path_of: Mapping[str, str]) -> list[Task]:
    """The tasks, with the place of each target among the variants of its function, as they were collected."""
    seen: dict[tuple[str, str], int] = {}
    places: dict[str, int] = {}
    for nodeid, path in path_of.items():
        function = (path, function_of(tail_of(nodeid)))
        places[nodeid] = seen[function] = seen.get(function, -1) + 1
    return [
        replace(
            task,
            targets=tuple(replace(each, place=places.get(each.nodeid, -1)) for each in task.targets),
            before=tuple(replace(each, place=places.get(each.nodeid, -1)) for each in task.before),
        )
        for task in tasks
    ]


def targets_of(nodeids: Sequence[str], path_of: Mapping[str, str]) -> tuple[Target, ...]:
    """Targets for node ids whose files are known; the others are left out."""
    return tuple(
        Target(nodeid=nodeid, path=path_of[nodeid], tail=tail_of(nodeid)) for nodeid in nodeids if nodeid in path_of
    )
