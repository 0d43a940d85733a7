"""Reads a journal into a recording: what is torn or broken is skipped and counted, and nothing in it is trusted."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leaktrace.errors import FileError
from leaktrace.files import lines_of
from leaktrace.probes.model import BLOCKS, HEAP_BYTES, PEAK_RSS_BYTES, RSS_BYTES, USS_BYTES, Counter, Thing, Unread
from leaktrace.recording.journal import MAX_BYTES, VERSION
from leaktrace.recording.model import OUTCOMES, PHASES, FixtureAccount, Recording
from leaktrace.recording.spans import Settlement
from leaktrace.serialize import LONGEST, NUMBER_BOUND, Bounds, decode, loads


KNOWN = {counter.name: counter for counter in (RSS_BYTES, HEAP_BYTES, BLOCKS)}
LONGEST_LINE = 16 << 20
_MOST_COUNTERS = 256
_MOST_NAMES = 10_000
_OF_THINGS = Bounds(longest=LONGEST, most=100_000)
_ASIDE = (b'{"t": "fixture"', b'{"t": "unread"')
"""Records that are written while a test runs: one that is torn does not tell that the test has ended."""


def read(path: Path) -> Recording:
    """The recording that a journal tells, as far as it goes.

    A record that is torn or broken is left out and counted in `torn`; `complete` is False when the journal has no end,
    and `running` then names the test that was running, where nothing is missing that could say otherwise.

    Raises:
        FileError: the file cannot be read, is too large, is no journal or is of a newer version.
    """
    reader: _Reader | None = None
    try:
        for line in lines_of(path, MAX_BYTES, LONGEST_LINE):
            if reader is not None and line != b"":
                reader.take_line(line)
            elif line != b"":
                reader = _first(path, line)
    except OSError as exc:
        raise FileError(f"the journal {path} cannot be read: {exc}", slug="journal") from exc
    if reader is None:
        raise FileError(f"{path} holds no journal: its first line is missing or torn", slug="journal")
    return reader.done()


def _first(path: Path, line: bytes | None) -> _Reader:
    try:
        return _Reader(loads(line or b""))
    except FileError as exc:
        raise FileError(f"{path}: {exc}", slug="journal") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        why = f"{path} holds no journal: its first line is missing or torn"
        raise FileError(why, slug="journal") from exc


def things_of(data: Sequence[Any]) -> tuple[Thing, ...]:
    """Things from plain values.

    Raises:
        ValueError: they do not fit.
    """
    if not isinstance(data, list) or len(data) > (_OF_THINGS.most or 0):
        raise ValueError("things need a list that is not too long")
    try:
        return tuple(decode(Thing, each, at="things", bounds=_OF_THINGS) for each in data)
    except FileError as exc:
        raise ValueError(str(exc)) from exc


def gap_of(recording: Recording) -> str | None:
    """What is missing in a recording that was read from a journal, in one sentence; None where nothing is."""
    said = []
    if recording.stopped is not None:
        said.append(f"its watch stopped: {recording.stopped}")
    if recording.lost:
        said.append(f"{recording.lost} or more records could not be written")
    if recording.torn:
        said.append(f"{recording.torn} records are torn or broken")
    return f"the journal of {recording.worker} has gaps: {'; '.join(said)}" if said else None


class _Reader:
    """Builds a recording, record by record; `last` follows the counters, so that the accounts add up.

    A record is taken whole or not at all: whatever may be wrong with it is found before the recording is touched.
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        if record.get("t") != "run":
            raise ValueError("a journal begins with a record 'run'")
        version = _whole(record["v"])
        if version > VERSION:
            raise FileError(
                f"the journal is of version {version}, this leaktrace reads up to {VERSION}: update pytest-leaktrace",
                slug="journal",
            )
        names = [_text(name) for name in _list(record["counters"], _MOST_COUNTERS)]
        first = {_text(name): _whole(value) for name, value in record["first"].items()}
        counters = tuple(KNOWN.get(name) or Counter(name=name, unit="count", kind=name) for name in names)
        zeros = [0] * len(counters)
        self.recording = Recording(
            counters=counters,
            worker=_text(record["worker"]),
            pid=_whole(record["pid"]),
            first=dict(first),
            harness=array("q", zeros),
            collection=array("q", zeros),
            complete=False,
        )
        self._has_gap = record.get("whole") is False
        self.last = [first.get(counter.name, 0) for counter in counters]
        self._lent = list(zeros)  # by the running test's wider fixtures, told before the test itself
        self._fixtures: dict[tuple[str, str, str], FixtureAccount] = {}
        self._rows: list[int] = []  # as the writer counted: those of lost records are missing
        self._row = 0

    def take_line(self, line: bytes | None) -> None:
        """One more line; one that is broken is counted, and what it may have said is not known."""
        try:
            self.take(loads(b"" if line is None else line))  # one without end is as broken as an empty one
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            self.recording.torn += 1
            broken = line or b""
            if not broken.startswith(_ASIDE):
                self.recording.running = None
            self._row += broken.startswith(b'{"t":"test"')

    def take(self, record: Mapping[str, Any]) -> None:
        """One more record; of a kind that is not known, none."""
        kind, recording = record["t"], self.recording
        if kind == "test":
            self._test(record)
        elif kind == "fixture":
            self._fixture(record)
        elif kind == "collected":
            following, reached = _name(record.get("next")), self._numbers(record, "at")
            self._credit(recording.collection, reached)
            recording.running = following
        elif kind == "unread":
            name, why = _text(record["counter"]), _text(record["why"])
            recording.unread[name] = why
        elif kind == "lost":
            recording.lost += _count(record["records"])
            recording.running = None
        elif kind == "stopped":
            recording.stopped, recording.running = _text(record["why"]), None
        elif kind == "end":
            self._end(record)

    def _end(self, record: Mapping[str, Any]) -> None:
        """Things that their tests left and that the end of the run did not find any more are gone."""
        recording, reached = self.recording, self._numbers(record, "at")
        place = {row: i for i, row in enumerate(self._rows)}
        gone = {_count(row): things_of(things) for row, things in _list(record.get("gone", []), LONGEST)}
        self._credit(recording.harness, reached)
        recording.complete, recording.running = True, None
        for row, lost in gone.items():
            if row not in place:
                continue
            kept = tuple(thing for thing in recording.things.pop(place[row], ()) if thing not in lost)
            recording.gone[place[row]] = lost
            if kept:
                recording.things[place[row]] = kept

    def done(self) -> Recording:
        """The recording, with the last values known."""
        recording = self.recording
        if self._has_gap:
            recording.running = None
            recording.lost = max(1, recording.lost)
        for i, counter in enumerate(recording.counters):
            self.last[i] += self._lent[i]
            why = recording.unread.get(counter.name)
            recording.last[counter.name] = self.last[i] if why is None else Unread(counter=counter.name, why=why)
            if why is not None:
                recording.first.setdefault(counter.name, Unread(counter=counter.name, why=why))
        highest = max((recording.cells[row * recording.width + 2] for row in range(len(recording))), default=0)
        recording.peak_rss_bytes = highest or Unread(
            counter=PEAK_RSS_BYTES.name, why=recording.unread.get(PEAK_RSS_BYTES.name, "no test had ended")
        )
        return recording

    def _numbers(self, record: Mapping[str, Any], part: str) -> array[int]:
        numbers = array("q", [_whole(value) for value in _list(record[part], _MOST_COUNTERS)])
        if len(numbers) != len(self.recording.counters):
            raise ValueError(f"{part} has {len(numbers)} numbers for {len(self.recording.counters)} counters")
        return numbers

    def _credit(self, into: array[int], reached: Sequence[int]) -> None:
        into[:] = array("q", [had + value - last for had, value, last in zip(into, reached, self.last, strict=True)])
        self.last[:] = reached

    def _test(self, record: Mapping[str, Any]) -> None:
        recording, row, n = self.recording, len(self.recording), len(self.recording.counters)
        # What has not moved is left out.
        start = self._numbers(record, "start") if "start" in record else None
        phases = [self._numbers(record, part) if part in record else array("q", [0] * n) for part in PHASES]
        head = array("q", [OUTCOMES.index(record["o"]), _count(record["us"]), _count(record["peak"])])
        settlement = _settlement(record["settled"]) if "settled" in record else None
        imports = tuple(_text(name) for name in _list(record.get("imports", []), _MOST_NAMES))
        things = things_of(record["things"]) if "things" in record else None
        nodeid, following = _text(record["id"]), _name(record.get("next"))
        written = _count(record.get("row", self._row))
        cells = (head, array("q", self.last) if start is None else start, *phases)
        if start is not None:
            self._credit(recording.harness, start)
        recording.nodeids.append(nodeid)
        for numbers in cells:
            recording.cells.extend(numbers)
        for i in range(n):
            self.last[i] += self._lent[i] + sum(phase[i] for phase in phases)
            self._lent[i] = 0
        self._rows.append(written)
        self._row = written + 1
        recording.running = following
        if imports:
            recording.imports[row] = imports
        if things is not None:
            recording.things[row] = things
        if settlement is not None:
            recording.settlements[row] = settlement

    def _fixture(self, record: Mapping[str, Any]) -> None:
        name, scope, where = _text(record["name"]), _text(record["scope"]), _text(record["where"])
        numbers, user = self._numbers(record, "by"), _text(record.get("user", ""))
        setting_up = {"setup": True, "closing": False}[record["event"]]
        known = self._fixtures.get((name, scope, where))
        account = known or FixtureAccount(name=name, scope=scope, where=where, width=len(numbers), first_user=user)
        if setting_up:
            lent, held = _sum(account.lent, numbers), _sum(account.open, numbers)
            account.lent, account.open = lent, held
            account.setups += 1
            self._lent = [had + value for had, value in zip(self._lent, numbers, strict=True)]
        else:
            account.kept = _sum(account.kept, numbers)
            account.closings += 1
            self.last = [
                last - held + value for last, held, value in zip(self.last, account.open, numbers, strict=True)
            ]
            account.open = array("q", [0] * len(numbers))
        if known is None:
            self._fixtures[name, scope, where] = account
            self.recording.fixtures.append(account)


def _sum(one: Sequence[int], other: Sequence[int]) -> array[int]:
    return array("q", [a + b for a, b in zip(one, other, strict=True)])


def _settlement(settled: Mapping[str, Any]) -> Settlement:
    uss = settled["uss_bytes"]
    return Settlement(
        raw={_text(name): _whole(value) for name, value in settled["raw"].items()},
        garbage_bytes=_whole(settled["garbage_bytes"]),
        uss_bytes=Unread(counter=USS_BYTES.name, why="not read in this run") if uss is None else _whole(uss),
    )


def _whole(value: object) -> int:
    if type(value) is not int or not -NUMBER_BOUND < value < NUMBER_BOUND:
        raise ValueError("a number needs 64 bits at most")
    return value


def _count(value: object) -> int:
    number = _whole(value)
    if number < 0:
        raise ValueError("a count is not below 0")
    return number


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError("a text was wanted, and not a longer one than any of ours")
    return value


def _name(value: object) -> str | None:
    return None if value is None else _text(value)


def _list(value: object, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"a list of at most {most} was wanted")
    return value
