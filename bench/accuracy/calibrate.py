"""Measure how much each specimen really keeps a run: the yardstick of the truth table, independent of any detector.

usage: python bench/accuracy/calibrate.py [--runs N] [--python EXE] [--json OUT] [PYTEST ARGUMENT ...]

Prints, for each test, the mean growth a run over the last half of the runs: blocks (pymalloc), heap bytes (with
PYTHONMALLOC=malloc, where they are exact), file descriptors, threads. Nothing is judged here.
"""

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
                reports = runtestprotocol(item, nextitem=item.parent, log=False)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options, arguments = parser.parse_known_args()
    arguments = arguments or [str(HERE / "specimens")]
    if options.inside:
        import pytest

        plugin = Repeat(runs=options.runs, out=options.inside)
        flags = ["-q", "-p", "no:leaktrace", "-p", "no:randomly", "-p", "no:asyncio", "-W", "ignore"]
        sys.exit(pytest.main([*flags, *arguments], plugins=[plugin]))
    found = measure(options.python, options.runs, arguments)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    for nodeid, growth in found.items():
        numbers = "".join(f"{growth[name]:>12.2f}" for name in COUNTERS)
        print(f"{nodeid:<78}{numbers}{'  FAILED' if 'failed' in growth else ''}")


if __name__ == "__main__":
    main()
