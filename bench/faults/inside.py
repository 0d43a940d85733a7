"""The first process of a scenario's own namespaces: runs the suite plain and with the plugin, and writes what it saw.

    unshare -fpm --mount-proc python bench/faults/inside.py SCENARIO FOLDER LIMIT_S

Nothing that a fault does reaches beyond: processes, `/dev/shm` and mounts are of these namespaces. What is left behind
when a run has ended is handed to this process, as the system's first, and so is seen, and ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import suite
from plan import Scenario


HERE = Path(__file__).resolve().parent
GRACE_S = 2.0
OURS = re.compile(r"= leaktrace: |^leaktrace: (?!watch|confirm|hunt)", re.MULTILINE)
MODE_ARGS = {"watch": (), "confirm": ("--leaktrace",), "hunt": ("--leaktrace-hunt",)}
SHOWN = ("README.md", ".gitignore", "CACHEDIR.TAG")
"""Files that pytest puts into a cache folder when it is first written to."""


def main(argv: list[str]) -> int:
    if os.getpid() != 1:
        print("this is run by run.py, in a namespace of its own: it ends every process that it sees", file=sys.stderr)
        return 2
    scenario, folder, limit_s = Scenario.of(argv[0]), Path(argv[1]), float(argv[2])
    _mount("/dev/shm", "64m")
    seen = {"plain": run(scenario, folder, ours=False, limit_s=limit_s)}
    seen["ours"] = run(scenario, folder, ours=True, limit_s=limit_s)
    plains = [seen["plain"]]
    # Whether plain pytest itself always does the same is asked only where it matters.
    while len(plains) <= _more(scenario, plains) and all(_differs(plain, seen["ours"]) for plain in plains):
        plains.append(run(scenario, folder, ours=False, limit_s=limit_s))
        seen[f"plain {len(plains)}"] = plains[-1]
    (folder / "seen.json").write_text(json.dumps(seen), encoding="utf-8")
    return 0


def _more(scenario: Scenario, plains: list[dict]) -> int:
    """How many further plain runs are worth it: what two workers do to each other is chance, and seen in some only."""
    return 10 if scenario.spread == "n2" and all(plain["status"] is not None for plain in plains) else 2


def _differs(plain: dict, ours: dict) -> bool:
    if sorted(plain["reports"]) != sorted(ours["reports"]):
        return True
    return any(plain[key] != ours[key] for key in ("status", "counts", "junit", "tree", "tmp", "left"))


def _mount(place: str, size: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], check=True)


def run(scenario: Scenario, folder: Path, *, ours: bool, limit_s: float) -> dict:
    """One run of pytest from the same folders, empty before, and all that can be seen of it."""
    base, notes = folder / "base", folder / "notes"
    root, tmp = base / "suite", base / "tmp"
    for each in (base, notes):
        shutil.rmtree(each, ignore_errors=True)
    for each in (root, tmp, notes, Path("/dev/shm")):
        each.mkdir(parents=True, exist_ok=True)
    mounted = _places(scenario, root, tmp)
    suite.write(root)
    (root / ".pytest_cache").mkdir(exist_ok=True)  # as in any folder in which pytest has run before
    try:
        status, took_s, output, left = _follow(scenario, root, notes, ours=ours, limit_s=limit_s)
        return {
            "status": status,
            "took_s": took_s,
            "left": left,
            "output": output,
            **_notes(notes),
            "counts": _counts(output),
            "junit": _junit(notes / "junit.xml"),
            "tree": _tree(root),
            "tmp": _names(tmp),
            "shm": _names(Path("/dev/shm")),
            "journals": _journals(base),
            "book": _book(notes / "book.json"),
        }
    finally:
        for place in reversed(mounted):
            while subprocess.run(["umount", "-l", place], capture_output=True, check=False).returncode == 0:
                continue
        for each in Path("/dev/shm").iterdir():
            each.unlink()


def _places(scenario: Scenario, root: Path, tmp: Path) -> list[str]:
    """Small file systems of their own, where one is to be filled or to be made read-only."""
    name, _, place = scenario.what.partition("=")
    if name not in {"full", "read-only"}:
        return []
    where = {"root": root, "cache": root / ".pytest_cache", "tmp": tmp}[place]
    where.mkdir(exist_ok=True)
    _mount(str(where), "2m")
    return [str(where)]


def _follow(scenario: Scenario, root: Path, notes: Path, *, ours: bool, limit_s: float):
    args = [*(("-p", "xdist.plugin", "-n2") if scenario.spread == "n2" else ()), "-p", "fault_points"]
    if ours:
        args += ["-p", "leaktrace.plugin", "--leaktrace-limit=1MB", "--leaktrace-timeout=8s", "--leaktrace-budget=40s"]
        args += MODE_ARGS[scenario.mode]
        args += [f"--leaktrace-json={notes / 'book.json'}"] if scenario.mode != "watch" else []
    command = [sys.executable, "-m", "pytest", *args, f"--junitxml={notes / 'junit.xml'}"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LEAKTRACE_", "COV_"))}
    environ |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE / "plugins"), str(HERE.parents[1] / "src")]),
        "TMPDIR": str(root.parent / "tmp"),
        "FAULTS_FOLDER": str(notes),
        "FAULTS_WHAT": scenario.what,
        "FAULTS_WHERE": scenario.where,
        "FAULTS_INSTANT": str(scenario.instant),
    }
    began = time.monotonic()
    # A pipe, and not a file: a limit on the size of files is not to reach what is printed.
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'export FAULTS_MAIN=$$; exec "$@"', "sh", *command],
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    os.close(writing)
    printed: list[bytes] = []
    reader = threading.Thread(target=_read, args=(reading, printed), daemon=True)
    reader.start()
    status: int | None = None
    hit = not (ours and scenario.where == "report")
    while status is None and time.monotonic() - began < limit_s:
        status = _reap(process.pid)
        if not hit and OURS.search(b"".join(printed).decode("utf-8", "replace")):
            hit = True
            (notes / "fired").write_text("main report\n")
            _send(scenario.what, process.pid)
        time.sleep(0.005 if not hit else 0.02)
    took_s = time.monotonic() - began
    left = _left()
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # of this namespace, but for this process
    while _living():
        _reap(0)
        time.sleep(0.01)
    process.returncode = 0
    reader.join(5.0)
    return status, took_s, b"".join(printed).decode("utf-8", "replace"), left


def _read(reading: int, printed: list[bytes]) -> None:
    while data := os.read(reading, 1 << 16):
        printed.append(data)
    os.close(reading)


def _send(what: str, pid: int) -> None:
    number = getattr(signal, what.rstrip("2").upper())
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        if what == "sigint2":
            time.sleep(0.1)
            os.kill(pid, number)


def _reap(wanted: int) -> int | None:
    """Take what has ended; the exit status of the one that is waited for, where it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == wanted:
                found = os.waitstatus_to_exitcode(status)
    return found


def _living() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and each.name != "1"]


def _left() -> list[str]:
    """Command lines of those that are still there two seconds after the end."""
    until = time.monotonic() + GRACE_S
    while _living() and time.monotonic() < until:
        _reap(0)
        time.sleep(0.02)
    told = []
    for pid in _living():
        with contextlib.suppress(OSError):
            told.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:200])
    return told


def _lines(path: Path) -> list[str]:
    """A note's lines, with those of its further parts."""
    lines, number, part = [], 0, path
    while part.exists():
        lines += part.read_text(encoding="utf-8", errors="replace").splitlines()
        number += 1
        part = path.with_name(f"{path.name}.{number}")
    return lines


def _notes(notes: Path) -> dict:
    reports = [line.split(" ", 4) for line in _lines(notes / "reports")]
    finished = [line.split(" ", 2) for line in _lines(notes / "finished")]
    users = notes / "users"
    return {
        "reports": [each[2:] for each in reports if each[1] == "main"],
        "others": len([each for each in reports if each[1] == "child"]),
        "finished": [each for each in finished if each[1] != "child"],
        "fired": _lines(notes / "fired"),
        "called": sorted(set(_lines(notes / "called"))),
        "spoiled": [each.name.rpartition("-")[2] for each in users.iterdir() if each.stat().st_size]
        if users.exists()
        else [],
    }


def _counts(output: str) -> str:
    """The line that pytest ends with, without the time."""
    found = re.findall(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s", output, flags=re.MULTILINE)
    # A line of ours begins with the same word, and goes on with a size.
    lines = re.findall(r"^(?:FAILED|ERROR|SKIPPED|XFAIL) (?![\d.]+\wB in ).*", output, flags=re.MULTILINE)
    # What a message says may hold an address.
    return "\n".join([*found[-1:], *sorted(line.partition(" - ")[0] for line in lines)])


def _junit(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return sorted(re.findall(r'<testcase classname="([^"]*" name="[^"]*")', text))


def _tree(root: Path) -> dict[str, str]:
    """Every file below the rootdir with what is in it; our own folder in the cache is where it may be."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.startswith(".pytest_cache/d/leaktrace") or path.name in SHOWN or name.endswith("filler"):
            continue
        if path.is_file() and not path.is_symlink():
            found[name] = "" if name.endswith(".pyc") else hashlib.sha1(_content(path)).hexdigest()
    return found


def _content(path: Path) -> bytes:
    """What is in a file; of the failures that pytest remembers, which of two workers told first is chance."""
    content = path.read_bytes()
    if path.name == "lastfailed":
        with contextlib.suppress(ValueError):
            return json.dumps(json.loads(content), sort_keys=True).encode()
    return content


def _names(folder: Path) -> list[str]:
    if not folder.exists():
        return []
    # Which of xdist's workers has run a test is chance.
    names = sorted(re.sub(r"gw\d+", "gw", str(path.relative_to(folder))) for path in folder.rglob("*"))
    return [name for name in names if not name.endswith("filler") and ".lock" not in name]


def _journals(base: Path) -> dict[str, list[str]]:
    """The tests of each journal, whole lines only, read without any of our own code."""
    found: dict[str, list[str]] = {}
    for path in [*base.rglob("runs/*/*.jsonl")]:
        ids = found.setdefault(path.name, [])
        for line in path.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError, AttributeError):
                record = json.loads(line)
                if record.get("t") == "test":
                    ids.append(record["id"])
    return found


def _book(path: Path) -> str:
    if not path.exists():
        return "none"
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return "broken"
    return "whole"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
