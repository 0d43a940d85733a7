"""Loaded by every process of a run: writes down who finished what, and is asked by the suite at each point.

What it needs is bound here, before any fault: a patch that the suite leaves behind does not reach it.
"""

# ruff: noqa: PTH123, PTH208 - a patched pathlib must not reach what injects the patches

from __future__ import annotations

import os
import sys
import time

import pytest
from fault_kinds import DEADLY, inject


OPEN, WRITE, CLOSE, GETPID, GETPPID, SLEEP = os.open, os.write, os.close, os.getpid, os.getppid, time.sleep
SYSTEM = os.system
SIZE, FLAGS = os.path.getsize, os.O_WRONLY | os.O_CREAT | os.O_APPEND
WHAT, WHERE, INSTANT = os.environ["FAULTS_WHAT"], os.environ["FAULTS_WHERE"], int(os.environ["FAULTS_INSTANT"])
FOLDER, MAIN = os.environ["FAULTS_FOLDER"], int(os.environ["FAULTS_MAIN"])
SPREAD = "xdist.plugin" in sys.argv
XDIST = os.environ.get("PYTEST_XDIST_WORKER")
with open("/proc/self/cmdline", "rb") as command:
    # A replay child may be given the variables of the worker that ran its test: only a worker's command is a worker's.
    COMMAND = command.read()
MOST_FORKS = 12
PART_BYTES = 1000
RUNS: dict[str, int] = {}


def role() -> str:
    """Who this process is: the user's own (main, worker), or one that somebody forked or started (child)."""
    if GETPID() == MAIN:
        return "main"
    return "worker" if XDIST and b"sys.stdin.readline" in COMMAND and GETPPID() == MAIN else "child"


def tell(name: str, line: str) -> None:
    if role() == "child":
        # What Python code writes in a child is taken back with it; what a program writes is not.
        SYSTEM(f"echo '{line}' >> '{FOLDER}/{name}'")
        return
    file = OPEN(_part(f"{FOLDER}/{name}"), FLAGS, 0o600)
    WRITE(file, (line + "\n").encode("utf-8", "replace"))
    CLOSE(file)


def _part(path: str) -> str:
    """Where the next line goes: no file may become as large as what is allowed while the size of files is limited."""
    number = 0
    while True:
        part = f"{path}.{number}" if number else path
        try:
            if SIZE(part) < PART_BYTES:
                return part
        except OSError:
            return part
        number += 1


def at(point: str, number: int = 0) -> None:
    """The suite is at a point; if it is the one of this scenario, the fault happens."""
    me = role()
    if point == "test":
        RUNS[number] = RUNS.get(number, 0) + 1
    who, _, place = WHERE.partition("-") if WHERE.startswith(("child-", "worker-")) else ("", "", WHERE)
    if me == "child" and point == "test" and place in AIMED:
        return AIMED[place](me)
    if place == "second":
        if point != "test" or RUNS[number] < 2:
            return None
    elif point != place or (who != "child" and INSTANT and number and number != INSTANT):
        return None
    if who and me != who:
        return None
    if not who and me == "child" and WHAT in DEADLY:
        return None  # it ends the user's run: what comes after, in whatever child, is not of this scenario
    if WHAT.startswith("fork") and not _fork_allowed():
        return None
    tell("fired", f"{me} {GETPID()} {point} {number}")
    return inject(WHAT, GETPID(), tell)


def _fork_allowed() -> bool:
    tell("forks", "x")
    return SIZE(f"{FOLDER}/forks") // 2 <= MOST_FORKS


def _once(name: str) -> bool:
    return SYSTEM(f"set -C; : 2>/dev/null >'{FOLDER}/once-{name}'") == 0


def _to_main(me: str) -> None:
    """While suspects are replayed, the process that waits for them is hit."""
    if _once("main"):
        tell("fired", f"{me} {GETPID()} replay")
        inject(WHAT, MAIN, tell)
        SLEEP(0.5)


def _to_workers(me: str) -> None:
    """While suspects are replayed, xdist's workers are hit, where there still are any."""
    if _once("workers"):
        tell("fired", f"{me} {GETPID()} replay")
        for pid in [int(each) for each in os.listdir("/proc") if each.isdigit()]:
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    found = b"PYTEST_XDIST_WORKER=" in file.read()
                with open(f"/proc/{pid}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            if found and parent == MAIN:
                inject(WHAT, pid, tell)
        SLEEP(0.5)


def _to_base(me: str) -> None:
    """Who forked this worker is hit: the base child; where there is none, the child itself."""
    if _once("base"):
        parent = GETPPID()
        tell("fired", f"{me} {GETPID()} base")
        inject(WHAT, parent if parent not in (MAIN, 1) else GETPID(), tell)


AIMED = {"replay": _to_main, "replay-workers": _to_workers, "base": _to_base}
"""Faults that a test in a child brings on others."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    tell("reports", f"{GETPID()} {role()} {report.when} {report.outcome} {report.nodeid}")


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish(nodeid: str) -> None:
    if role() != "main" or not SPREAD:  # xdist's controller runs none itself
        tell("finished", f"{GETPID()} {role()} {nodeid}")
