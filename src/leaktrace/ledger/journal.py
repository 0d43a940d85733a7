"""The ledger's crash-proof file: one JSON line a record, one `write(2)` a line, so that a kill loses one test at most.

Records, by `t`: `run` (version, counters, who), `collected`, `test`, `fixture` (a wider fixture's setup or closing),
`unread` (a counter given up, and why), `end`. A journal without `end` belongs to a process that died; its last line
may be torn.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from leaktrace.errors import FileError
from leaktrace.ledger.model import OUTCOMES, PHASES, FixtureAccount, Ledger
from leaktrace.pristine import dumps, os
from leaktrace.probes.descriptor import keep_high
from leaktrace.probes.model import BLOCKS, HEAP_BYTES, PEAK_RSS_BYTES, RSS_BYTES, USS_BYTES, Counter, Thing, Unread


if TYPE_CHECKING:
    from leaktrace.ledger.spans import Settlement

VERSION = 2
MAX_BYTES = 1 << 30
RUN_ID = re.compile(r"\d{8}-\d{6}-\d+")
"""A run's folder: date, time, process. The folder that the user names may hold others, not ours to remove."""
KNOWN = {counter.name: counter for counter in (RSS_BYTES, HEAP_BYTES, BLOCKS)}


class Journal:
    """An append-only file of records; a failing write disables it and is told once through `complain`."""

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self.path = path
        self._complain = complain
        self._write = os.write
        self._fd = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = self._open()
        except OSError as exc:
            complain(f"no journal is kept: {path} cannot be written ({exc})")

    def _open(self) -> int:
        return keep_high(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))

    def write(self, line: str) -> None:
        """Append one record, given as a line of JSON without its newline."""
        if self._fd < 0:
            return
        data = line.encode() + b"\n"
        try:
            self._write(self._fd, data)
        except OSError:
            # A test closed our descriptor: open the file again, once for each time.
            try:
                self._fd = self._open()
                self._write(self._fd, data)
            except OSError as exc:
                self._fd = -1
                self._complain(f"the journal {self.path} ends here ({exc})")

    def record(self, t: str, **fields: object) -> None:
        """Append one record of a rare kind; tests' own records are written as text, which is cheaper."""
        self.write(dumps({"t": t, **fields}))

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1


def read_journal(path: Path) -> Ledger:
    """The ledger that a journal tells, as far as it goes.

    A torn last line is expected and left out; `complete` is False when the journal has no end, and `running` then
    names the test that was running, where the journal knows.

    Raises:
        FileError: the file is no journal, is of a newer version, or a record before the last line is broken.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"{path} is over {MAX_BYTES >> 20} MiB; a journal of that size is not read", slug="journal")
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise FileError(f"the journal {path} cannot be read: {exc}", slug="journal") from exc
    reader: _Reader | None = None
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            record = json.loads(line)
            if reader is None:
                reader = _Reader(record)
            else:
                reader.take(record)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
            if number == len(lines) - 1:
                break  # torn by a kill: the split leaves an empty last piece when the line is whole
            raise FileError(f"line {number + 1} of the journal {path} is broken: {exc!r}", slug="journal") from exc
    if reader is None:
        raise FileError(f"{path} holds no journal: its first line is missing or torn", slug="journal")
    return reader.done()


def things_of(data: Sequence[Any]) -> tuple[Thing, ...]:
    """Things from plain values.

    Raises:
        ValueError: they do not fit.
    """
    from leaktrace.codec import decode  # noqa: PLC0415 - a journal is written in every run, and read in few

    try:
        return tuple(decode(Thing, each, at="things") for each in data)
    except FileError as exc:
        raise ValueError(str(exc)) from exc


class _Reader:
    """Builds a ledger, record by record; `last` follows the counters, so that the accounts add up."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        if record.get("t") != "run":
            raise ValueError("a journal begins with a record 'run'")
        if int(record["v"]) > VERSION:
            raise FileError(
                f"the journal is of version {record['v']}, this leaktrace reads up to {VERSION}: "
                "update pytest-leaktrace",
                slug="journal",
            )
        counters = tuple(
            KNOWN.get(name) or Counter(name=str(name), unit="count", kind=str(name)) for name in record["counters"]
        )
        first = {str(name): int(value) for name, value in record["first"].items()}
        zeros = [0] * len(counters)
        self.ledger = Ledger(
            counters=counters,
            worker=str(record["worker"]),
            pid=int(record["pid"]),
            first=dict(first),
            harness=array("q", zeros),
            collection=array("q", zeros),
            complete=False,
        )
        self.last = array("q", [first.get(counter.name, 0) for counter in counters])
        self._lent = array("q", zeros)  # by the running test's wider fixtures, told before the test itself
        self._fixtures: dict[tuple[str, str, str], FixtureAccount] = {}

    def take(self, record: Mapping[str, Any]) -> None:
        """One more record; of a kind that is not known, none."""
        kind, ledger = record["t"], self.ledger
        if kind == "test":
            self._test(record)
        elif kind == "fixture":
            self._fixture(record)
        elif kind == "collected":
            ledger.running = record.get("next")
            self._credit(ledger.collection, self._numbers(record, "at"))
        elif kind == "unread":
            ledger.unread[str(record["counter"])] = str(record["why"])
        elif kind == "end":
            ledger.complete, ledger.running = True, None
            self._credit(ledger.harness, self._numbers(record, "at"))
            self._gone({int(row): things_of(things) for row, things in record.get("gone", ())})

    def _gone(self, gone: Mapping[int, tuple[Thing, ...]]) -> None:
        """Things that their tests left and that the end of the run did not find any more."""
        things = self.ledger.things
        self.ledger.gone.update(gone)
        for row, lost in gone.items():
            kept = tuple(thing for thing in things.pop(row, ()) if thing not in lost)
            if kept:
                things[row] = kept

    def done(self) -> Ledger:
        """The ledger, with the last values known."""
        ledger = self.ledger
        for i, counter in enumerate(ledger.counters):
            self.last[i] += self._lent[i]
            why = ledger.unread.get(counter.name)
            ledger.last[counter.name] = self.last[i] if why is None else Unread(counter=counter.name, why=why)
            if why is not None:
                ledger.first.setdefault(counter.name, Unread(counter=counter.name, why=why))
        highest = max((ledger.cells[row * ledger.width + 2] for row in range(len(ledger))), default=0)
        ledger.peak_rss_bytes = highest or Unread(
            counter=PEAK_RSS_BYTES.name, why=ledger.unread.get(PEAK_RSS_BYTES.name, "no test had ended")
        )
        return ledger

    def _numbers(self, record: Mapping[str, Any], part: str) -> array[int]:
        numbers = array("q", [int(value) for value in record[part]])
        if len(numbers) != len(self.ledger.counters):
            raise ValueError(f"{part} has {len(numbers)} numbers for {len(self.ledger.counters)} counters")
        return numbers

    def _credit(self, into: array[int], reached: array[int]) -> None:
        for i, value in enumerate(reached):
            into[i] += value - self.last[i]
        self.last[:] = reached

    def _test(self, record: Mapping[str, Any]) -> None:
        ledger, row, n = self.ledger, len(self.ledger), len(self.ledger.counters)
        # What has not moved is left out.
        start = self._numbers(record, "start") if "start" in record else self.last
        phases = [self._numbers(record, part) if part in record else array("q", [0] * n) for part in PHASES]
        head = array("q", [OUTCOMES.index(record["o"]), int(record["us"]), int(record["peak"])])
        settlement = _settlement(record["settled"]) if "settled" in record else None
        imports = tuple(str(name) for name in record.get("imports", ()))
        ledger.nodeids.append(str(record["id"]))
        for numbers in (head, start, *phases):
            ledger.cells.extend(numbers)
        if start is not self.last:
            self._credit(ledger.harness, start)
        for i in range(n):
            self.last[i] += self._lent[i] + sum(phase[i] for phase in phases)
            self._lent[i] = 0
        ledger.running = record.get("next")
        if imports:
            ledger.imports[row] = imports
        if "things" in record:
            ledger.things[row] = things_of(record["things"])
        if settlement is not None:
            ledger.settlements[row] = settlement

    def _fixture(self, record: Mapping[str, Any]) -> None:
        key = (str(record["name"]), str(record["scope"]), str(record["where"]))
        numbers = self._numbers(record, "by")
        account = self._fixtures.get(key)
        if account is None:
            name, scope, where = key
            account = FixtureAccount(
                name=name, scope=scope, where=where, width=len(numbers), first_user=str(record.get("user", ""))
            )
            self._fixtures[key] = account
            self.ledger.fixtures.append(account)
        if record["event"] == "setup":
            account.setups += 1
            columns: tuple[array[int], ...] = (account.lent, account.open, self._lent)
        else:
            account.closings += 1
            for i in range(len(numbers)):
                self.last[i] -= account.open[i]
                account.open[i] = 0
            columns = (account.kept, self.last)
        for column in columns:
            for i, value in enumerate(numbers):
                column[i] += value


def _settlement(settled: Mapping[str, Any]) -> Settlement:
    from leaktrace.ledger.spans import Settlement  # noqa: PLC0415 - see things_of

    uss = settled["uss_bytes"]
    return Settlement(
        raw={str(name): int(value) for name, value in settled["raw"].items()},
        garbage_bytes=int(settled["garbage_bytes"]),
        uss_bytes=Unread(counter=USS_BYTES.name, why="not read in this run") if uss is None else int(uss),
    )


def prune(runs: Path, keep: int) -> None:
    """Remove the oldest folders of runs beyond `keep`; ids sort by time; what is not named so is left alone.

    So is a run whose process still lives: several may share a folder, and one that replays needs its letters.
    """
    with contextlib.suppress(OSError):
        ours = sorted(entry for entry in runs.iterdir() if entry.is_dir() and RUN_ID.fullmatch(entry.name))
        for folder in ours[: max(0, len(ours) - keep)]:
            if not psutil.pid_exists(int(folder.name.rpartition("-")[2])):
                shutil.rmtree(folder, ignore_errors=True)
