"""What a child may say, event by event, checked before anything is made of it: its tests may have written the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from leaktrace.probes.model import Counter
from leaktrace.serialize import Bounds, decode, loads


LONGEST_LINE = 32 << 20
_MOST_TASKS = 1 << 31
_MOST_RUNS = 1 << 40
_BOUNDS = Bounds(longest=100_000, most=10_000)
_EVENT = re.compile(rb'"event"\s{0,8}:\s{0,8}"([a-z]{1,20})"')
_TASK = re.compile(rb'"task"\s{0,8}:\s{0,8}([0-9]{1,9})\b')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begin:
    counters: tuple[str, ...]
    warmups: int
    batch_runs: int
    unread: Mapping[str, str]
    defined: Mapping[str, Counter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    values: tuple[int | None, ...]
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rested:
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Preceded:
    tests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Why:
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exhibit:
    exhibit: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Things:
    things: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Screened:
    """`as` is no name in Python; it is checked apart."""

    runs: int
    batch_runs: int = 1
    harmless: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bare:
    event: Literal["judged", "retired", "end"]


_KINDS: Mapping[str, type] = {
    "begin": _Begin,
    "reading": _Reading,
    "rested": _Rested,
    "preceded": _Preceded,
    "spent": _Why,
    "failure": _Why,
    "exhibit": _Exhibit,
    "things": _Things,
    "screened": _Screened,
    "judged": _Bare,
    "retired": _Bare,
    "end": _Bare,
}


def event_of(line: bytes) -> Mapping[str, Any]:
    """The event on one line of an answer; every value in it is of its kind and within bounds.

    Raises:
        ValueError: it is none that is known here.
        FileError: something in it is missing or does not fit.
    """
    event = loads(line)
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise ValueError("an event is an object with a text 'event'")  # noqa: TRY004 - one kind of error for a bad line
    kind = _KINDS.get(event["event"])
    if kind is None:
        raise ValueError(f"unknown event {event['event'][:60]!r}")
    decode(kind, event, bounds=_BOUNDS)
    for name, least, most in (
        ("task", 0, _MOST_TASKS),
        ("warmups", 0, _MOST_RUNS),
        ("batch_runs", 1, _MOST_RUNS),
        ("runs", 0, _MOST_RUNS),
        ("tests", 0, _MOST_RUNS),
    ):
        value = event.get(name, least if name != "task" else None)
        if type(value) is not int or not least <= value < most:
            raise ValueError(f"{name} needs a whole number from {least}")
    if kind is _Screened and event.get("as") not in ("clean", "grown"):
        raise ValueError("a screening finds 'clean' or 'grown'")
    return event


def missing_reading(line: bytes) -> tuple[bool, int | None]:
    """Whether a broken line may have been a reading, and of which task, as far as that can still be seen."""
    begin = line[:10_000]
    event, task = _EVENT.search(begin), _TASK.search(begin)
    return event is None or event[1] == b"reading", None if task is None else int(task[1])
