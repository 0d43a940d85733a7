"""Reads what a child answers: it appends one event a line as it goes, so that one that dies leaves what it had read.

The lines are read as untrusted: validated, never evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from leaktrace.errors import FileError
from leaktrace.probes.model import Counter
from leaktrace.replay.events import LONGEST_LINE, event_of, missing_reading
from leaktrace.replay.protocol import MAX_RESPONSE_BYTES, Response
from leaktrace.serialize import decode


READ_BYTES = 1 << 18


class ResponseReader:
    """A growing file of responses, read as far as it goes; a broken record costs itself alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._rest = b""
        self.by_task: dict[int, Response] = {}
        self.broken: list[str] = []
        """What was wrong with each record that was left out."""

    def take(self) -> bool:
        """Read what has come since; returns whether anything has."""
        before = self._read
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(self._read)
            # A reader makes room for all that it is asked for, which is a lot where address space is short.
            while new := file.read(min(READ_BYTES, MAX_RESPONSE_BYTES - self._read)):
                self._add(new)
        return self._read > before

    def _add(self, new: bytes) -> None:
        self._read += len(new)
        *lines, rest = (self._rest + new).split(b"\n")
        self._rest = rest[: LONGEST_LINE + 1]
        for line in lines:
            if line:
                self._line(line)

    def _line(self, line: bytes) -> None:
        try:
            _take(self.by_task, event_of(line if len(line) <= LONGEST_LINE else b"5"))  # which is no event
        except (ValueError, FileError) as exc:
            mark_gap(self.by_task, line)
            self.broken.append(f"{type(exc).__name__}: {exc}")


def read_responses(path: Path) -> dict[int, Response]:
    """What a child has said so far, by task; a torn last line is not there yet."""
    responses = ResponseReader(path)
    responses.take()
    return responses.by_task


def mark_gap(responses: Mapping[int, Response], line: bytes) -> None:
    """A line is broken: where it may have been a reading, those that follow do not join those before it."""
    possible, about = missing_reading(line)
    running = [
        response for response in responses.values() if response.began and not (response.judged or response.ended)
    ]
    for response in running:
        if possible and about in (None, response.ident):
            response.gap = True


def _take(responses: dict[int, Response], event: Mapping[str, Any]) -> None:  # noqa: C901, PLR0912 - one branch a kind
    ident = event["task"]
    response = responses.setdefault(ident, Response(ident=ident))
    kind = event["event"]
    if kind == "begin":
        response.began = True
        response.counters = tuple(str(name) for name in event["counters"])
        response.warmups, response.batch_runs = int(event["warmups"]), int(event["batch_runs"])
        response.unread.update({str(name): str(why) for name, why in event["unread"].items()})
        response.defined.update(
            {name: decode(Counter, each, at=name) for name, each in event.get("defined", {}).items()}
        )
    elif kind == "reading":
        if not response.gap:
            response.readings.append(_row(response, event))
            response.runs = int(event["runs"])
    elif kind == "rested":
        response.rested = _row(response, event)
    elif kind == "preceded":
        response.preceded = int(event["tests"])
    elif kind in ("spent", "failure"):
        setattr(response, kind, str(event["why"]))
    elif kind == "exhibit":
        response.exhibit = dict(event["exhibit"])
    elif kind == "judged":
        response.judged = True
    elif kind == "things":
        response.things = [dict(each) for each in event["things"]]
    elif kind == "screened":
        response.screened, response.harmless = str(event["as"]), str(event.get("harmless", ""))
        response.runs, response.batch_runs = int(event["runs"]), int(event.get("batch_runs", response.batch_runs))
        response.ended = True
    elif kind == "retired":
        response.retired = True
    elif kind == "end":
        response.ended = True
    else:
        raise ValueError(f"unknown event {kind!r}")


def _row(response: Response, event: Mapping[str, Any]) -> list[int | None]:
    row = [None if value is None else int(value) for value in event["values"]]
    if len(row) != len(response.counters):
        raise ValueError(f"{len(row)} values for {len(response.counters)} counters")
    return row
