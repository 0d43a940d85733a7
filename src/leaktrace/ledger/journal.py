"""The ledger's crash-proof file: one JSON line a record, one `write(2)` a line, so that a kill loses one test at most.

Records, by `t`: `run` (version, counters, who), `collected`, `test`, `fixture` (a wider fixture's setup or closing),
`end`. A journal without `end` belongs to a process that died; its last line may be torn.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from leaktrace.errors import FileError
from leaktrace.ledger.model import OUTCOMES, PHASES, FixtureAccount, Ledger, Settlement
from leaktrace.probes.descriptor import keep_high
from leaktrace.probes.model import BLOCKS, HEAP_BYTES, RSS_BYTES, USS_BYTES, Counter, Unread


VERSION = 1
MAX_BYTES = 1 << 30
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
        data = line.encode("utf-8", "surrogateescape") + b"\n"
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
        self.write(json.dumps({"t": t, **fields}))

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
    ledger: Ledger | None = None
    fixtures: dict[str, FixtureAccount] = {}
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            record = json.loads(line)
            if ledger is None:
                ledger = _opened(record)
            else:
                _apply(ledger, fixtures, record)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            if number == len(lines) - 1:
                break  # torn by a kill: the split leaves an empty last piece when the line is whole
            raise FileError(f"line {number + 1} of the journal {path} is broken: {exc!r}", slug="journal") from exc
    if ledger is None:
        raise FileError(f"{path} holds no journal: its first line is missing or torn", slug="journal")
    return ledger


def _opened(record: Mapping[str, Any]) -> Ledger:
    if record.get("t") != "run":
        raise ValueError("a journal begins with a record 'run'")
    if int(record["v"]) > VERSION:
        raise FileError(
            f"the journal is of version {record['v']}, this leaktrace reads up to {VERSION}: update pytest-leaktrace",
            slug="journal",
        )
    counters = tuple(
        KNOWN.get(name) or Counter(name=str(name), unit="count", kind=str(name)) for name in record["counters"]
    )
    zeros = [0] * len(counters)
    return Ledger(
        counters=counters,
        worker=str(record["worker"]),
        pid=int(record["pid"]),
        first={str(k): int(v) for k, v in record["first"].items()},
        harness=array("q", zeros),
        collection=array("q", zeros),
        complete=False,
    )


def _apply(ledger: Ledger, fixtures: dict[str, FixtureAccount], record: Mapping[str, Any]) -> None:
    kind = record["t"]
    if kind == "test":
        _apply_test(ledger, record)
    elif kind == "fixture":
        _apply_fixture(ledger, fixtures, record)
    elif kind == "collected":
        ledger.running = record.get("next")
    elif kind == "end":
        ledger.complete, ledger.running = True, None
        ledger.unread.update({str(k): str(v) for k, v in record.get("unread", {}).items()})


def _apply_test(ledger: Ledger, record: Mapping[str, Any]) -> None:
    row, n = len(ledger), len(ledger.counters)
    cells = [OUTCOMES.index(record["o"]), int(record["us"]), int(record["peak"])]
    for part in ("start", *PHASES):
        numbers = [int(v) for v in record[part]]
        if len(numbers) != n:
            raise ValueError(f"{part} has {len(numbers)} numbers for {n} counters")
        cells += numbers
    ledger.nodeids.append(str(record["id"]))
    ledger.cells.extend(cells)
    # Between two tests lies the harness: what the next start does not share with this end.
    end = {c.name: cells[3 + i] + sum(cells[3 + n * k + i] for k in (1, 2, 3)) for i, c in enumerate(ledger.counters)}
    ledger.last = dict(end)
    peak = ledger.peak_rss_bytes
    ledger.peak_rss_bytes = max(peak if isinstance(peak, int) else 0, cells[2])
    ledger.running = record.get("next")
    if "imports" in record:
        ledger.imports[row] = tuple(str(name) for name in record["imports"])
    if "settled" in record:
        settled = record["settled"]
        ledger.settlements[row] = Settlement(
            raw={str(k): int(v) for k, v in settled["raw"].items()},
            garbage_bytes=int(settled["garbage_bytes"]),
            uss_bytes=(
                Unread(counter=USS_BYTES.name, why="not read in this run")
                if settled["uss_bytes"] is None
                else int(settled["uss_bytes"])
            ),
        )


def _apply_fixture(ledger: Ledger, fixtures: dict[str, FixtureAccount], record: Mapping[str, Any]) -> None:
    key = f"{record['name']} {record['scope']} {record['where']}"
    account = fixtures.get(key)
    if account is None:
        account = FixtureAccount(
            name=str(record["name"]),
            scope=str(record["scope"]),
            where=str(record["where"]),
            width=len(ledger.counters),
            first_user=str(record.get("user", "")),
        )
        fixtures[key] = account
        ledger.fixtures.append(account)
    numbers = array("q", [int(v) for v in record["by"]])
    if record["event"] == "setup":
        account.setups += 1
        into = (account.lent, account.open)
    else:
        account.closings += 1
        into = (account.kept,)
        account.open = array("q", [0] * account.width)
    for column in into:
        for i, value in enumerate(numbers):
            column[i] += value


def prune(runs: Path, keep: int) -> None:
    """Remove the oldest folders of runs beyond `keep`; ids sort by time, and a folder in use is left."""
    with contextlib.suppress(OSError):
        old = sorted(entry for entry in runs.iterdir() if entry.is_dir())[:-keep]
        for folder in old:
            shutil.rmtree(folder, ignore_errors=True)
