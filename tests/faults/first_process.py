"""The first process of a test's own namespaces: starts what it is told, sees how it ends and what it leaves behind.

It reads a JSON file (command, cwd, environ, limit_s, nofile, mounts, hit) and writes what it saw beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path


GRACE_S = 2.0


def main(told_path: Path) -> None:
    assert os.getpid() == 1, "it ends every process that it sees"
    told = json.loads(told_path.read_text())
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", "/dev/shm"], check=True)
    for place, size in told["mounts"]:
        Path(place).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], check=True)
    output = Path(told["output"])
    with output.open("wb") as out:
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'export MAIN_PID=$$; exec "$@"', "sh", *told["command"]],
            cwd=told["cwd"],
            env=told["environ"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: limit(told["nofile"]) if told["nofile"] else None,  # noqa: PLW1509 - there is one thread
        )
    peaks: dict[str, int] = {}
    status, hit, until = None, told["hit"], time.monotonic() + told["limit_s"]
    while status is None and time.monotonic() < until:
        status = reap(process.pid)
        if hit and re.search(hit[0], output.read_text(errors="replace")):
            os.kill(process.pid, hit[1])
            hit = None
        sample(peaks)
        time.sleep(0.01)
    left = still_there()
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # in these namespaces, all but this process
    while living():
        reap(0)
        time.sleep(0.01)
    process.returncode = 0
    kept = {place: sorted(str(p.relative_to(place)) for p in Path(place).rglob("*")) for place in ("/dev/shm",)}
    contents = {
        str(path): path.read_bytes().decode("utf-8", "replace")
        for place, _ in told["mounts"]
        for path in Path(place).rglob("*.jsonl")
    }
    told_path.with_suffix(".seen").write_text(
        json.dumps({"status": status, "left": left, "shm": kept["/dev/shm"], "peaks": peaks, "contents": contents})
    )


def limit(nofile: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))


def reap(wanted: int) -> int | None:
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == wanted:
                found = os.waitstatus_to_exitcode(status)
    return found


def living() -> list[str]:
    return [each.name for each in Path("/proc").iterdir() if each.name.isdigit() and each.name != "1"]


def sample(peaks: dict[str, int]) -> None:
    """The peak of each process, so far, in bytes."""
    for pid in living():
        with contextlib.suppress(OSError, ValueError):
            text = Path(f"/proc/{pid}/status").read_text()
            if "\nName:\tsh" not in f"\n{text}" and "VmHWM" in text:
                peaks[pid] = max(peaks.get(pid, 0), int(text.partition("VmHWM:")[2].split()[0]) << 10)


def still_there() -> list[str]:
    until = time.monotonic() + GRACE_S
    while living() and time.monotonic() < until:
        reap(0)
        time.sleep(0.02)
    told = []
    for pid in living():
        with contextlib.suppress(OSError):
            told.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:200])
    return told


if __name__ == "__main__":
    main(Path(sys.argv[1]))
