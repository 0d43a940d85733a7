"""Whether a run with us leaves what a plain run leaves, plugin by plugin; writes docs/benchmarks.md.

    python bench/harm/run.py
    python bench/harm/run.py --only cov --modes watch,confirm --keep

Makes one environment under build/harm, with all plugins from the index and this tree; each case loads its own alone. Each
run starts from a fresh copy of its suite in the same folder. Ends with 1 on any difference.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from cases import CASES
from model import LEAK, Case
from readers import told, tree


ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "harm"
MODES = {"plain": (), "watch": (), "confirm": ("--leaktrace",), "hunt": ("--leaktrace-hunt",)}
UNHEARD = ("PYTEST", "PYTHON", "LEAKTRACE", "COV", "CI", "GITHUB", "CODSPEED", "DJANGO")
"""Beginnings of variables that are this process's own affair."""
sys.path.insert(0, str(ROOT / "bench"))


@dataclass(slots=True, kw_only=True)
class Run:
    """What one run left."""

    status: int
    output: str
    files: dict[str, object]
    leaks: list[str] = field(default_factory=list)
    wall_s: float = 0.0


def main(argv: list[str]) -> int:
    """Run the cases asked for, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--modes", default="watch,confirm,hunt")
    parser.add_argument("--python", help="an environment that is there already, instead of one made under build/harm")
    parser.add_argument("--keep", action="store_true", help="keep what each run left, below build/harm/kept")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    asked = parser.parse_args(argv)
    cases = [case for case in CASES if asked.only in case.name]
    BUILD.mkdir(parents=True, exist_ok=True)
    lock = (BUILD / "lock").open("w")  # the suites are laid out in one folder
    fcntl.flock(lock, fcntl.LOCK_EX)
    python = asked.python or environment({need for case in cases for need in case.needs})
    rows, bad = [], 0
    for case in cases:
        differences = compare(case, python, asked.modes.split(","), keep=asked.keep)
        bad += sum(len(each) for each in differences.values())
        rows.append(row(case, differences))
        print(rows[-1], flush=True)
        for mode, each in differences.items():
            for line in each:
                print(f"    {case.name}, {mode}: {line}", flush=True)
    text = table(rows, asked.modes.split(","))
    print(text)
    if asked.write:
        from page import put

        made = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True).stdout.split()[1]
        text = (
            f"Written on {time.strftime('%Y-%m-%d')} by `python bench/harm/run.py --write`, CPython {made}: files below the "
            f"root, outcomes and their order, output before our section, exit status, and no LEAK but the planted one, "
            f"beside a plain run. A number counts the differences.\n\n{text}"
        )
        put("harm", text, heading="Harm")
    return 1 if bad else 0


def environment(needs: set[str]) -> str:
    """The interpreter of an environment with all that is needed, and with this tree as a user would have it installed."""
    folder = BUILD / "venv"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    done = folder / "installed.json"
    there = set(json.loads(done.read_text())) if done.exists() else set()
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    if missing := sorted({*needs, "psutil", "pytest"} - there):
        subprocess.run([*pip, *missing], check=True)
        done.write_text(json.dumps(sorted(there | set(missing))))
    # Not from the tree: some plugins take modules that lie elsewhere than other packages for the suite's own.
    subprocess.run([*pip, "--no-deps", "--force-reinstall", str(ROOT)], check=True)
    return str(python)


def compare(case: Case, python: str, modes: list[str], *, keep: bool) -> dict[str, list[str]]:
    """The differences by mode; what differs between two plain runs counts for none, and is told under `plain`."""
    plain, second = (run(case, python, "plain", keep=keep) for _ in range(2))
    own = {each for each in set(plain.files) | set(second.files) if plain.files.get(each) != second.files.get(each)}
    wavers = told(plain.output, case, orderly=False) != told(second.output, case, orderly=False)
    differences = {"plain": [f"differs by itself: {each}" for each in sorted(own)]}
    if wavers:
        differences["plain"].append("its output differs by itself: " + first_difference(plain, second, case))
    for mode in modes:
        here = run(case, python, mode, keep=keep)
        found = []
        if here.status != plain.status:
            found.append(f"exit status {here.status} for {plain.status}")
        for name in sorted((set(plain.files) | set(here.files)) - own):
            before, after = plain.files.get(name), here.files.get(name)
            if before != after:
                found.append(f"{name} {'is new' if before is None else 'is gone' if after is None else 'differs'}")
        if not wavers and told(plain.output, case, orderly=case.orderly) != told(
            here.output, case, orderly=case.orderly
        ):
            found.append("output: " + first_difference(plain, here, case))
        if mode != "watch" and case.leaks is not None and here.leaks != ([LEAK] if case.leaks else []):
            found.append(f"LEAK is {', '.join(here.leaks) or 'none'}")
        differences[mode] = found
    return differences


def first_difference(plain: Run, here: Run, case: Case) -> str:
    """The first line that is not the same."""
    before, after = (told(each.output, case, orderly=case.orderly) for each in (plain, here))
    for one, other in zip(before, after, strict=False):
        if one != other:
            return f"{other!r} for {one!r}"
    longer = before if len(before) > len(after) else after
    return (
        f"{'lacks' if longer is before else 'has'} {longer[min(len(before), len(after))]!r}" if before != after else ""
    )


def run(case: Case, python: str, mode: str, *, keep: bool) -> Run:
    """Lay the suite out anew and run it."""
    stage, casebook = BUILD / "stage" / "suite", BUILD / "casebook.json"
    shutil.rmtree(stage.parent, ignore_errors=True)
    casebook.unlink(missing_ok=True)
    for name, text in {"test_shop.py": case.shop, "pytest.ini": "[pytest]\n", **case.files}.items():
        path = stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        os.utime(path, (1_700_000_000, 1_700_000_000))  # bytecode and some databases hold it
    plugins = [word for name in case.plugins for word in ("-p", name)]
    for arguments in case.before:
        _pytest(python, [*plugins, *arguments], case, stage)
    ours = [] if mode == "plain" else ["-p", "leaktrace", *MODES[mode], f"--leaktrace-json={casebook}"]
    began = time.perf_counter()
    done = _pytest(python, [*plugins, *case.args, *ours], case, stage)
    wall_s = time.perf_counter() - began
    if keep:
        kept = BUILD / "kept" / f"{case.name}-{mode}".replace(" ", "-")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(stage, kept, symlinks=True)
        (kept.parent / f"{kept.name}.txt").write_text(done.stdout + done.stderr)
    return Run(
        status=done.returncode,
        output=done.stdout,
        files=tree(stage, case),
        leaks=leaks_in(casebook),
        wall_s=wall_s,
    )


def _pytest(python: str, arguments: list[str], case: Case, folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(UNHEARD)}
    environ |= {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONHASHSEED": "0",
        "COLUMNS": "100",
        **case.environ,
    }
    command = [python, "-m", "pytest", "-v", "-ra", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, errors="replace", timeout=900, check=False
    )


def leaks_in(casebook: Path) -> list[str]:
    """The names of what a casebook calls a leak."""
    try:
        data = json.loads(casebook.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    found = [case for case in data.get("cases", []) if case.get("verdict") == "LEAK" and not case.get("known")]
    return sorted({str(case.get("name") or case.get("nodeid") or case.get("subject")) for case in found})


def row(case: Case, differences: dict[str, list[str]]) -> str:
    """One line of the table."""
    rules = "; ".join(dict.fromkeys(f"`{rule.files}`: {rule.why}" for rule in case.rules))
    cells = ["same" if not found else f"**{len(found)}**" for mode, found in differences.items() if mode != "plain"]
    return f"| {case.name} | {' | '.join(cells)} | {rules} |"


def table(rows: list[str], modes: list[str]) -> str:
    """All of them."""
    head = f"| used with | {' | '.join(modes)} | what may differ between any two runs |"
    return "\n".join([head, "|---" * (len(modes) + 2) + "|", *rows, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
