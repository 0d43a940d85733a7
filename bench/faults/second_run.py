"""The peak memory of every process of a hunt, against plain pytest, on a test that keeps 100 MB each time it is run.

    python bench/faults/second_run.py
    python bench/faults/second_run.py --keep 100 --args='-n2' --args='--leaktrace-jobs=2'

Peaks are the kernel's own (`VmHWM`), read of every process that bears the run's mark every five milliseconds; the highest
that the kernel tells of the whole tree when it is waited for (`ru_maxrss`) is beside them: no process can hide from it.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path


HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
ALLOWED = 1.3
MARK = "FAULTS_SECOND_RUN"
SUITE = """
KEPT = []
def test_before(): pass
def test_keeps(): KEPT.append(bytearray(b"x") * {keep}_000_000)
def test_after(): pass
"""


def main(argv: list[str]) -> int:
    told = _parse(argv)
    rows, worst = [], 0.0
    with tempfile.TemporaryDirectory(prefix="second-run-") as name:
        folder = Path(name)
        (folder / "test_keeps.py").write_text(SUITE.format(keep=told.keep), encoding="utf-8")
        for extra in ([], *[each.split() for each in told.args]):
            xdist = ["-p", "xdist.plugin"] if any(each.startswith("-n") for each in extra) else []
            spread = [each for each in extra if not each.startswith("--leaktrace")]
            plain = peaks(folder, [*xdist, *spread])
            for mode in ("--leaktrace", "--leaktrace-hunt"):
                ours = peaks(folder, [*xdist, "-p", "leaktrace.plugin", mode, *extra])
                ratio = max(ours.values()) / plain["tree"]
                worst = max(worst, ratio)
                others = sorted((peak for pid, peak in ours.items() if pid not in {"main", "tree"}), reverse=True)
                rows.append(
                    f"| `{' '.join([mode, *extra])}` | {_mb(plain['tree'])} | {_mb(ours['main'])} "
                    f"| {', '.join(_mb(peak) for peak in others[:4]) or '-'} | {_mb(ours['tree'])} | {ratio:.2f} |"
                )
                print(rows[-1], flush=True)
    text = section(told.keep, rows)
    print(text)
    if told.write:
        from page import put

        put("second-run", text, heading="Memory of a hunt")
    return 1 if worst > ALLOWED else 0


def peaks(folder: Path, args: list[str]) -> dict[str, int]:
    """The peak of each process in bytes, by its id; `main` is pytest's own, `tree` the highest that the kernel told."""
    mark = f"{MARK}={time.monotonic_ns()}"
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LEAKTRACE_", "COV_"))}
    environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(HERE.parents[1] / "src")}
    environ[MARK] = mark.partition("=")[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", *args],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found: dict[str, int] = {}
    while True:
        pid, _, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        for peak_pid, peak in _marked(mark.encode()):
            key = "main" if peak_pid == process.pid else str(peak_pid)
            found[key] = max(found.get(key, 0), peak)
        time.sleep(0.005)
    process.returncode = 0
    return {"main": 0} | found | {"tree": usage.ru_maxrss << 10}


def _marked(mark: bytes):
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                if mark in (each / "environ").read_bytes().split(b"\0"):
                    text = (each / "status").read_text(encoding="utf-8")
                    yield int(each.name), int(text.partition("VmHWM:")[2].split()[0]) << 10
            except (OSError, IndexError):
                continue


def section(keep: int, rows: list[str]) -> str:
    return "\n".join(
        [
            f"`python bench/faults/second_run.py`, {time.strftime('%Y-%m-%d')}, CPython {platform.python_version()}.",
            "",
            f"Peak of resident memory, MB, of each process, on a test that keeps {keep} MB each time it is run.",
            "",
            "| run | plain, highest | pytest's process | the highest others | the kernel's highest | ratio |",
            "|---|---:|---:|---:|---:|---:|",
            *rows,
            "",
        ]
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f}"


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Peak memory of every process of a hunt.")
    parser.add_argument("--keep", type=int, default=100, help="MB that the test keeps a run (default: 100)")
    parser.add_argument(
        "--args", action="append", default=[], metavar="ARGS", help="one more run with these; may be repeated"
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
