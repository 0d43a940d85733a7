"""Measure how much each specimen really keeps a run: the yardstick of the truth table, independent of any detector.

usage: python bench/accuracy/calibrate.py [--runs N] [--python EXE] [--keep] [PYTEST ARGUMENT ...]

Prints, for each test, the mean growth a run over the last half of the runs: blocks (pymalloc), heap bytes (with
PYTHONMALLOC=malloc, where they are exact), file descriptors, threads. Nothing is judged here. `--keep` writes them into
rates.json, by CPython version, as the truth that detectors' estimates are compared with.
"""

# What pytest keeps of a repeated test has no public name.
# ruff: noqa: SLF001
from __future__ import annotations

import argparse
import array
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path


HERE = Path(__file__).resolve().parent
RATES = HERE / "rates.json"
COUNTERS = ("blocks", "heap_bytes", "fds", "threads")


class Repeat:
    """Runs every item many times and writes the growth a run; a pytest plugin, so that runs are pytest's own."""

    def __init__(self, *, runs: int, out: Path) -> None:
        import psutil

        self.runs = runs
        self.out = out
        self.heap_info = getattr(psutil, "heap_info", None)
        self.found: dict[str, dict[str, float]] = {}

    def read(self) -> tuple[int, ...]:
        gc.collect()
        heap = self.heap_info() if self.heap_info else None
        used = heap.heap_used + heap.mmap_used if heap else 0
        fds = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a list of Path objects would be counted too
        return sys.getallocatedblocks(), used, fds, threading.active_count()

    def pytest_runtest_protocol(self, item) -> bool:
        from _pytest.runner import runtestprotocol

        readings = [array.array("q", bytes(8 * (self.runs + 1))) for _ in COUNTERS]
        failed = None
        # What is old need not be looked through again at each reading: collection then costs what the test costs.
        gc.collect()
        gc.freeze()
        for run in range(self.runs + 1):
            if run:
                reports = self.run_once(item)
                failed = failed or next((str(r.longrepr) for r in reports if r.failed), None)
                reports = None
            values = self.read()
            for series, value in zip(readings, values, strict=True):
                series[run] = value
        half = self.runs // 2
        growth = {n: (s[-1] - s[half]) / (self.runs - half) for n, s in zip(COUNTERS, readings, strict=True)}
        self.found[item.nodeid] = {**growth, **({"failed": failed[-300:]} if failed else {})}
        runtestprotocol(item, nextitem=None, log=False)
        return True

    def run_once(self, item) -> list:
        """One run, without what pytest itself keeps of it: captured output, and finalizers on wider fixtures."""
        from _pytest.runner import runtestprotocol

        kept = [definition._finalizers for defs in item._fixtureinfo.name2fixturedefs.values() for definition in defs]
        lengths = [len(finalizers) for finalizers in kept]
        reports = runtestprotocol(item, nextitem=item.parent, log=False)
        for finalizers, length in zip(kept, lengths, strict=True):
            # The first run sets the wider fixtures up, and what it leaves is theirs.
            del finalizers[length or len(finalizers) :]
        item._report_sections.clear()
        return reports

    def pytest_unconfigure(self) -> None:
        self.out.write_text(json.dumps(self.found), encoding="utf-8")


def measure(python: str, runs: int, arguments: list[str]) -> dict[str, dict[str, float]]:
    """The growth a run of each test, from one process with pymalloc (blocks) and one with malloc (bytes)."""
    merged: dict[str, dict[str, float]] = {}
    for malloc in (False, True):
        env = dict(os.environ)
        if malloc:
            env.update(PYTHONMALLOC="malloc", GLIBC_TUNABLES="glibc.malloc.tcache_count=0")
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "growth.json"
            command = [python, __file__, "--inside", str(out), "--runs", str(runs), *arguments]
            subprocess.run(command, env=env, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for nodeid, growth in json.loads(out.read_text(encoding="utf-8")).items():
                mine = merged.setdefault(nodeid, growth)
                if malloc:
                    mine["heap_bytes"] = growth["heap_bytes"]
    return merged


def keep(python: str, found: dict[str, dict[str, float]]) -> None:
    """Put the leaks' growth under the interpreter's version into rates.json, a line a test."""
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout.strip()
    rates = json.loads(RATES.read_text(encoding="utf-8")) if RATES.exists() else {}
    for nodeid, growth in found.items():
        name = nodeid.rsplit("/", 1)[-1]
        if "test_leak_" in name:
            mine = rates.setdefault(version, {})
            mine[name] = {counter: round(growth[counter], 2) for counter in COUNTERS if round(growth[counter], 2)}
    versions = (
        f'"{version}": {{\n' + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(by.items())) + "\n}"
        for version, by in sorted(rates.items())
    )
    RATES.write_text("{\n" + ",\n".join(versions) + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options, arguments = parser.parse_known_args()
    arguments = arguments or [str(HERE / "specimens")]
    if options.inside:
        import pytest

        plugin = Repeat(runs=options.runs, out=options.inside)
        flags = ["-q", "-p", "no:leaktrace", "-p", "no:randomly", "-p", "no:asyncio", "-W", "ignore"]
        sys.exit(pytest.main([*flags, *arguments], plugins=[plugin]))
    found = measure(options.python, options.runs, arguments)
    if options.keep:
        keep(options.python, found)
    for nodeid, growth in found.items():
        numbers = "".join(f"{growth[name]:>12.2f}" for name in COUNTERS)
        print(f"{nodeid:<78}{numbers}{'  FAILED' if 'failed' in growth else ''}")


if __name__ == "__main__":
    main()
