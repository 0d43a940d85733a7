"""What is not as it must be: each check is a promise, and gives a sentence where it is broken."""

from __future__ import annotations

import re
from collections import Counter

from inside import OURS
from plan import IN_WORKERS, Scenario


CHECKS = (
    "lost",
    "outcomes",
    "order",
    "status",
    "summary",
    "junit",
    "hang",
    "processes",
    "traceback",
    "files",
    "tree",
    "mock",
    "report",
)
SIGNALLED = {"sigkill": -9, "sigsegv": -11, "sigabrt": -6}
ENDED_BY = ("sigkill", "sigterm", "sigint", "sigint2", "sigsegv", "sigabrt", "os._exit", "sys.exit")
FRAME = re.compile(r"leaktrace/(?:\w+/)*\w+\.py[\":]")
XDIST_BROKE = re.compile(r"^  File .*/(?:execnet|xdist)/", re.MULTILINE)
DEGRADED = re.compile(r"leaktrace: .*(?:the watch stopped|the watch could not end|the report failed|the hunt failed).*")
NO_ROOM = ("full", "read-only", "vanish", "RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "umask")
"""Where a journal may not be possible: then it has to be said."""


def failures(scenario: Scenario, seen: dict) -> dict[str, str]:
    """By check, what was wrong; empty where all is right."""
    plains = [run for name, run in seen.items() if name != "ours"]
    ours = seen["ours"]
    found = {
        "hang": _hang(plains, ours),
        "lost": _lost(scenario, ours),
        "status": _status(scenario, plains, ours),
        "processes": _left(plains, ours),
        "traceback": _traceback(scenario, ours),
        "files": "" if scenario.what == "read-only=tmp" else _files(plains, ours),  # nobody can remove anything there
        "mock": f"ours called {ours['called']}" if ours["called"] else "",
        "report": _report(scenario, plains, ours),
    }
    # Where xdist itself breaks down, how far its workers had come is chance: there is nothing to compare with.
    broken = scenario.spread == "n2" and any(
        plain["status"] in (3, None) or XDIST_BROKE.search(plain["output"]) for plain in plains
    )
    # A worker's fork goes on with what its parent had been given by then, and waits for ever for what comes later.
    broken |= scenario.spread == "n2" and scenario.what == "fork-on" and not scenario.where.startswith("child-")
    # A worker whose end fails breaks xdist if another one is still at work, which is chance as well.
    broken |= scenario.where in IN_WORKERS and "in worker_errordown" in ours["output"]
    # So does one that ends twice, since a fork of it has ended, too: it takes a worker that is still at work.
    broken |= (
        scenario.spread == "n2" and scenario.what == "fork-beside" and "in worker_workerfinished" in ours["output"]
    )
    if broken:
        found["status"] = found["lost"] = ""
    if broken and ours["status"] is None:
        found["hang"] = found["processes"] = ""
    # Which tests come to a worker after one has broken it is chance, too.
    scattered = scenario.where == "worker-test" and scenario.what.startswith(("patch=", "module="))
    if not found["hang"] and not broken and not scattered:
        found |= _pytest_part(scenario, plains, ours)
    # Where pytest's own output goes into a user's file, which took the number of its descriptor, so does ours.
    spoiled = set(ours["spoiled"]).difference(*(plain["spoiled"] for plain in plains))
    if spoiled:
        found["files"] = f"written into the user's files {sorted(spoiled)[:3]}"
    return {check: text for check, text in found.items() if text}


def _hang(plains: list[dict], ours: dict) -> str:
    """What a fork of a worker finds locked by another thread of execnet's is chance, and plain runs hang then, too."""
    hangs = ours["status"] is None and all(plain["status"] is not None for plain in plains)
    return "no end within the limit" if hangs else ""


def _pytest_part(scenario: Scenario, plains: list[dict], ours: dict) -> dict[str, str]:
    """What any of the plain runs showed too is right: plain pytest does not always do the same itself."""
    arrange = sorted if scenario.spread == "n2" else list
    told = arrange(ours["reports"])
    found = {}
    if not any(sorted(plain["reports"]) == sorted(told) for plain in plains) and not _early(scenario, ours):
        found["outcomes"] = _difference(plains[0]["reports"], told)
    elif not any(arrange(plain["reports"]) == told for plain in plains) and not _early(scenario, ours):
        found["order"] = "the same reports, in another order"
    if not any(plain["counts"] == ours["counts"] for plain in plains):
        found["summary"] = f"plain ends with {_last(plains[0]['counts'])}, ours with {_last(ours['counts'])}"
    if not any(plain["junit"] == ours["junit"] for plain in plains):
        found["junit"] = f"{len(plains[0]['junit'])} test cases in plain's file, {len(ours['junit'])} in ours"
    if scenario.what != "full=root" and not any(plain["tree"] == ours["tree"] for plain in plains):
        found["tree"] = _difference(list(plains[0]["tree"].items()), list(ours["tree"].items()))
    return found


def _early(scenario: Scenario, ours: dict) -> bool:
    """With two workers, how far the others had come when the run was ended from inside is chance."""
    return (
        scenario.spread == "n2"
        and scenario.what in ENDED_BY
        and not scenario.where.startswith("child-")
        and ours["status"] not in (0, 1)
    )


def _difference(plain: list, ours: list) -> str:
    missing = Counter(map(str, plain)) - Counter(map(str, ours))
    more = Counter(map(str, ours)) - Counter(map(str, plain))
    return f"missing {list(missing)[:3]}, more {list(more)[:3]}"


def _last(text: str) -> str:
    return repr(text.partition("\n")[0])


def _status(scenario: Scenario, plains: list[dict], ours: dict) -> str:
    allowed = {plain["status"] for plain in plains}
    aimed = scenario.where == "report" or scenario.where == "child-replay"
    if aimed and ours["fired"] and scenario.what in SIGNALLED:
        allowed.add(SIGNALLED[scenario.what])
    if ours["status"] is None or ours["status"] in allowed:
        return ""
    return f"{ours['status']} for {plains[0]['status']}"


def _lost(scenario: Scenario, ours: dict) -> str:
    """Who had finished, in a process that the user started, is in a journal; a kill from outside may take one each."""
    if _said(scenario, ours):
        return ""
    written = Counter(nodeid for ids in ours["journals"].values() for nodeid in ids)
    by_process: dict[str, list[str]] = {}
    for pid, _, nodeid in ours["finished"]:
        by_process.setdefault(pid, []).append(nodeid)
    spare = 1 if scenario.spread == "n2" and scenario.what in ENDED_BY else 0
    lost = []
    for ids in by_process.values():
        missing = [nodeid for nodeid in ids if not written[nodeid]]
        lost += [] if len(missing) <= spare and missing == ids[-len(missing) :] else missing
    return f"{len(lost)} finished tests are in no journal: {lost[:3]}" if lost else ""


def _said(scenario: Scenario, ours: dict) -> bool:
    """Where no file can be written, a word will do."""
    return scenario.what.partition("=")[0] in NO_ROOM and "journal" in ours["output"]


def _left(plains: list[dict], ours: dict) -> str:
    more = len(ours["left"]) - max(len(plain["left"]) for plain in plains)
    return f"{more} still there after two seconds: {ours['left'][:3]}" if more > 0 else ""


def _traceback(scenario: Scenario, ours: dict) -> str:
    output = ours["output"]
    if scenario.place in {"while replaying", "report"} and scenario.what in SIGNALLED:
        # Whoever is hit there is told by faulthandler with what it was doing: our own work.
        output = output.partition("Fatal Python error")[0]
    found = FRAME.search(output)
    if found is None:
        return ""
    begin = output.rfind("\n", 0, found.start()) + 1
    return output[begin : begin + 160].partition("\n")[0].strip()


def _files(plains: list[dict], ours: dict) -> str:
    for key in ("tmp", "shm"):
        more = min((set(ours[key]) - set(plain[key]) for plain in plains), key=len)
        # Where no cache folder can be had, runs are kept in one of ours for temporary files, as the report says.
        more = {name for name in more if not re.match(r"leaktrace-(?!replay)[^/]+(/runs(/.*)?)?$", name)}
        if more:
            return f"left in {key}: {sorted(more)[:4]}"
    return ""


def _report(scenario: Scenario, plains: list[dict], ours: dict) -> str:
    """Where pytest itself came to its summary, so did we: with a leaking test by name, and a casebook."""
    degraded = DEGRADED.search(ours["output"])
    excused = scenario.what.partition("=")[0] in (*NO_ROOM, "sys.stdout", "atexit-exits", "recursionlimit")
    if degraded and not excused:
        return degraded.group()[:200]
    if scenario.where == "report" or scenario.what in ENDED_BY or excused or not plains[0]["counts"]:
        return ""
    if ours["status"] not in (0, 1) or "1 failed" not in ours["counts"]:
        return ""
    section = OURS.split(ours["output"], maxsplit=1)
    closed = {"unconfigure": ("close-1", "close-all", "close-reuse"), "sessionfinish": ("close-reuse",)}
    unheard = scenario.what in closed.get(scenario.where, ())  # what comes after pytest cannot be printed any more
    if not unheard and (len(section) < 2 or not re.search(r"test_[ab][18]_leaks", section[1])):
        return "no leaking test in the report"
    if scenario.mode != "watch" and ours["book"] != "whole":
        return f"casebook: {ours['book']}"
    return ""
