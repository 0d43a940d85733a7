"""What a hunt of a whole suite takes, beside the suite plain, and beside a hunt by another version: CPU and wall.

    git worktree add ../before v0.1.0
    python bench/overhead/hunts.py --before ../before/src --budget 3m \\
        marshmallow=../marshmallow-4.4.0:tests attrs=../attrs-26.1.0:tests tornado=.:--pyargs,tornado.test

A suite is its name, the folder that pytest is started in, and pytest's arguments, with commas between. The interpreter
that runs this runs them all: it needs what they need, and pytest-leaktrace. Plain is run first and last: what lies
between the two is the machine's own noise, so that only ratios within one run of this mean anything.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple


HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
OWN = HERE.parents[1] / "src"
CALM = ("-q", "-p", "no:cacheprovider")
VERDICT = re.compile(r"^(LEAK|CACHE|ONE_TIME|STEADY|UNDECIDED|UNREPLAYABLE|FRAGMENTED) ", re.MULTILINE)
LEFT = re.compile(r"not judged: ([\d,]+)")


class Run(NamedTuple):
    """One run of a suite: seconds of all its processes, and what was told."""

    label: str
    cpu_s: float
    wall_s: float
    told: str


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+", metavar="NAME=FOLDER:ARGS")
    parser.add_argument("--before", type=Path, help="the sources of another version")
    parser.add_argument("--budget", default="5m", help="for each hunt (default: 5m)")
    parser.add_argument("--args", default="", help="further arguments of pytest, with commas between")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds after which a run is ended")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    told = parser.parse_args(argv)
    load = os.getloadavg()[0]
    lines = [
        f"`python bench/overhead/hunts.py --budget {told.budget} …`, {time.strftime('%Y-%m-%d')}, CPython {platform.python_version()}, load {load:.1f} before.",
        "",
        "| suite | run | CPU, s | of plain | wall, s | of plain | told |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for suite in told.suites:
        name, _, rest = suite.partition("=")
        folder, _, args = rest.partition(":")
        runs = runs_of(Path(folder).resolve(), [*args.split(",")], told)
        cpu_s, wall_s = (
            min(run.cpu_s for run in runs[:: len(runs) - 1]),
            min(run.wall_s for run in runs[:: len(runs) - 1]),
        )
        for run in runs:
            lines.append(
                f"| {name} | {run.label} | {run.cpu_s:.0f} | {run.cpu_s / cpu_s:.1f} | {run.wall_s:.0f} | "
                f"{run.wall_s / wall_s:.1f} | {run.told} |"
            )
            print(lines[-1], flush=True)
    text = "\n".join([*lines, ""])
    print(text)
    if told.write:
        from page import put

        put("hunts", text, heading="Hunts of whole suites")
    return 0


def runs_of(folder: Path, args: list[str], told: argparse.Namespace) -> list[Run]:
    """Plain, a hunt by each version, and plain again."""
    hunt = ["--leaktrace-hunt", f"--leaktrace-budget={told.budget}"]
    wanted = [("plain", OWN, ["--no-leaktrace"])]
    wanted += [("hunt, before", told.before.resolve(), hunt)] if told.before else []
    wanted += [("hunt", OWN, hunt), ("plain again", OWN, ["--no-leaktrace"])]
    further = [each for each in told.args.split(",") if each]
    return [run_once(label, source, [*mode, *further, *args], folder, told.limit) for label, source, mode in wanted]


def run_once(label: str, source: Path, args: list[str], folder: Path, limit_s: float) -> Run:
    """One run, and the CPU of every process that it started and waited for."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "pytest", *CALM, *args]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, timeout=limit_s, check=False
        )
        output, ended = done.stdout, ""
    except subprocess.TimeoutExpired:
        output, ended = "", f"ended after {limit_s:.0f} s"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = [f"{count} {verdict}" for verdict, count in Counter(VERDICT.findall(output)).items()]
    left = LEFT.search(output)
    found += [f"{left[1]} not judged"] if left else []
    return Run(label, cpu_s, time.monotonic() - began, ended or ", ".join(found) or "nothing")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
