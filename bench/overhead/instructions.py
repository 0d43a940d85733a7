"""What watching costs, in instructions that a processor retires for the user: the same on a busy machine as on a quiet one.

    python bench/overhead/instructions.py [--tests 401]

Needs valgrind. The kernel's share is not in it. Writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from contenders import CONTENDERS, PLAIN, Contender, Suite, empty_suite
from measure import environment


PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- instructions:begin -->", "<!-- instructions:end -->"
COUNTED = ("fifteen-line detector", "leaktrace watch")
WHOLE = 3_000
"""Tests of the suite that a ratio is given for; the cost of a test is the same for each, so that fewer are run."""


def main(argv: list[str]) -> int:
    """Count and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tests", type=int, default=401, help="empty tests in the larger of the two suites")
    told = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="instructions-") as folder:
        scratch = Path(folder)
        suites = [empty_suite(scratch / str(tests), tests) for tests in (1, told.tests)]
        environ = {**environment(scratch), "PYTHONHASHSEED": "0"}
        contenders = (PLAIN, *(each for each in CONTENDERS if each.name in COUNTED))
        counts = {each.name: [instructions(each, suite, environ) for suite in suites] for each in contenders}
    text = section(counts, told.tests, " ".join(["python bench/overhead/instructions.py", *argv]))
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    before, after = (page.split(BEGIN)[0], page.split(END)[1]) if BEGIN in page else (page.rstrip("\n") + "\n\n", "\n")
    PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")
    return 0


def instructions(contender: Contender, suite: Suite, environ: Mapping[str, str]) -> int:
    """Instructions of one whole process; a first run, uncounted, compiles what has to be."""
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", *contender.args, *suite.args]
    subprocess.run(command, cwd=suite.folder, env=environ, stdout=subprocess.DEVNULL, check=True)
    count = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", *command]
    ran = subprocess.run(count, cwd=suite.folder, env=environ, capture_output=True, text=True, check=True)
    found = re.search(r"I\s+refs:\s+([\d,]+)", ran.stderr)
    if found is None:
        raise SystemExit(f"valgrind told no number of instructions: {ran.stderr[-500:]}")
    return int(found[1].replace(",", ""))


def section(counts: Mapping[str, list[int]], tests: int, command: str) -> str:
    """Markdown, from the heading to the table."""
    today = dt.datetime.now(tz=dt.UTC).date()
    versions = f"CPython {platform.python_version()}, pytest {version('pytest')}, psutil {version('psutil')}"
    lines = [
        "## Overhead of watching, in instructions",
        "",
        f"`{command}`, {today}, {versions}.",
        "",
        f"Instructions of whole processes, counted by valgrind on 1 and on {tests:,} empty tests; the ratio is that of {WHOLE:,}",
        "such tests. They do not depend on what else the machine does; what the kernel does for a process is not in them.",
        "",
        "| contender | at the start, over plain | a test, over plain | ratio |",
        "|---|---:|---:|---:|",
    ]
    costs = {name: (one, (many - one) / (tests - 1)) for name, (one, many) in counts.items()}
    first, each = costs[PLAIN.name]
    for name, (start, test) in costs.items():
        ratio = (start + (WHOLE - 1) * test) / (first + (WHOLE - 1) * each)
        lines.append(f"| {name} | {(start - first) / 1e6:+.0f} M | {(test - each) / 1e3:+.0f} k | {ratio:.3f} |")
    lines.append("")
    lines.append(f"Plain pytest takes {first / 1e6:.0f} M at the start and {each / 1e3:.0f} k a test.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
