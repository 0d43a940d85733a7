"""One pytest process measured from outside; pairs of them side by side; what is alive at their end."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from contenders import PLAIN, Contender, Suite, empty_suite


PLUGINS = Path(__file__).parent / "plugins"
KEPT_SIZES = (400, 800, 1_200, 1_600, 2_000)
"""Numbers of empty tests between which the memory kept is followed."""
SLOW_RATIO = 3.0
SLOW_PAIRS = 2
"""A contender as slow as SLOW_RATIO is told from plain by a few pairs; more would only cost time."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One whole process: `cpu_s` is user and system time of it and its children; `outcomes` pytest's own count."""

    wall_s: float
    cpu_s: float
    outcomes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A plain run and a contender's, one right after the other."""

    plain: Run
    run: Run

    @property
    def wall_ratio(self) -> float:
        return self.run.wall_s / self.plain.wall_s

    @property
    def cpu_ratio(self) -> float:
        return self.run.cpu_s / self.plain.cpu_s


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Alive at the end because of the contender: per test, and however few tests there are."""

    bytes_per_test: float
    blocks_per_test: float
    fixed_bytes: float


def environment(scratch: Path, **more: str) -> dict[str, str]:
    """This process's environment without what would make one contender's run unlike another's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LEAKTRACE", "PYTEST", "PYTHON")) or name == "PYTHONPATH"
    }
    path = os.pathsep.join([str(PLUGINS), *filter(None, [kept.get("PYTHONPATH")])])
    return {
        **kept,
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "PYTHONPYCACHEPREFIX": str(scratch / "bytecode"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **more,
    }


def run_once(contender: Contender, suite: Suite, environ: Mapping[str, str]) -> Run:
    """Run a suite once and wait for it.

    Raises:
        RuntimeError: pytest did not run the tests at all; with its last lines.
    """
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", *contender.args, *suite.args]
    with (Path(environ["PYTHONPYCACHEPREFIX"]).parent / "output.txt").open("w+b") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=suite.folder, env=environ, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for a process that is gone
        output.seek(0)
        lines = output.read().decode(errors="replace").splitlines()
    if process.returncode not in (0, 1):
        tail = "\n".join(lines[-15:])
        raise RuntimeError(f"{contender.name} on {suite.name} ended with {process.returncode}:\n{tail}")
    return Run(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, outcomes=_outcomes(lines))


def pairs_of(
    contender: Contender, suite: Suite, environ: Mapping[str, str], *, wanted: int
) -> Callable[[int], Pair | None]:
    """A function that measures the pair of a given round, or returns None once a slow contender has had enough."""
    done: list[Pair] = []

    def measure(number: int) -> Pair | None:
        slow = bool(done) and done[0].wall_ratio > SLOW_RATIO
        if len(done) >= (min(wanted, SLOW_PAIRS) if slow else wanted):
            return None
        # The order alternates, so that a machine that slows down or speeds up favours nobody.
        if number % 2:
            run = run_once(contender, suite, environ)
            plain = run_once(PLAIN, suite, environ)
        else:
            plain = run_once(PLAIN, suite, environ)
            run = run_once(contender, suite, environ)
        done.append(Pair(plain=plain, run=run))
        return done[-1]

    return measure


def kept_by(contenders: tuple[Contender, ...], scratch: Path) -> dict[str, Kept]:
    """What each keeps alive: the growth from size to size of an empty suite, plain pytest's own subtracted.

    Bytes are malloc's live ones of a process whose Python objects all come from malloc; blocks those of a normal one.
    The median of the slopes between neighbouring sizes counts: a large table that doubles (the interpreter's interned
    strings do, at another size with each contender) spoils one of them only.
    """
    suites = [empty_suite(scratch / str(size), size) for size in KEPT_SIZES]
    # The first run of a contender compiles, the first on a suite finds no cache of pytest's: neither shall count.
    for contender, suite in [*((each, suites[0]) for each in contenders), *((PLAIN, each) for each in suites)]:
        run_once(contender, suite, environment(scratch))
    plain = [_alive(PLAIN, suite, scratch) for suite in suites]
    kept = {}
    for each in contenders:
        more = [
            {counter: value - base[counter] for counter, value in _alive(each, suite, scratch).items()}
            for suite, base in zip(suites, plain, strict=True)
        ]
        bytes_per_test = _slope([at["heap_bytes"] for at in more])
        kept[each.name] = Kept(
            bytes_per_test=bytes_per_test,
            blocks_per_test=_slope([at["blocks"] for at in more]),
            fixed_bytes=more[0]["heap_bytes"] - KEPT_SIZES[0] * bytes_per_test,
        )
    return kept


def _slope(values: list[float]) -> float:
    """Median growth a test between neighbouring sizes."""
    steps = zip(pairwise(values), pairwise(KEPT_SIZES), strict=True)
    return statistics.median((high - low) / (many - few) for (low, high), (few, many) in steps)


def _alive(contender: Contender, suite: Suite, scratch: Path) -> dict[str, float]:
    """Each counter at the end of the last test, each from a run of its own; they repeat to a few kilobytes."""
    probed = Contender(name=contender.name, args=(*contender.args, "-p", "overhead_probe"))
    # Chunks parked in malloc's thread cache would count as alive.
    exact = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    read = {}
    file = scratch / "alive.json"
    for counter, allocator in (("heap_bytes", exact), ("blocks", {})):
        file.unlink(missing_ok=True)
        run_once(probed, suite, environment(scratch, OVERHEAD_PROBE_FILE=str(file), **allocator))
        read[counter] = json.loads(file.read_text(encoding="utf-8"))[counter]
    return read


def _outcomes(lines: list[str]) -> dict[str, int]:
    for line in reversed(lines):
        if re.search(r" in \d+\.\d+s", line):
            return {
                word: int(number)
                for number, word in re.findall(r"(\d+) (passed|failed|skipped|xfailed|xpassed|errors?)", line)
            }
    return {}
