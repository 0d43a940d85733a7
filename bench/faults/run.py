"""Faults by seed: the same small suite plain and with leaktrace, each in namespaces of its own; what differs is told.

    python bench/faults/run.py --faults 600 --seed 1
    python bench/faults/run.py --faults 600 --seed 1 --only SIGINT --mode confirm
    python bench/faults/run.py --scenario 'sigint:child-replay:confirm:plain:4' --output

Needs Linux and `unshare`; without the right to make namespaces nothing is run, for some of the faults would end other
processes. The interpreter that runs this runs the suite, so that it needs pytest, pytest-xdist and the plugin.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compare import CHECKS, failures
from plan import FAMILIES, MODES, SITES, SPREADS, Scenario, plan


HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
AS_ROOT = ("unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child")
AS_USER = ("unshare", "--user", "--map-root-user", *AS_ROOT[1:])


def main(argv: list[str]) -> int:
    told = _parse(argv)
    wrapper = namespaces()
    if wrapper is None:
        print("no namespaces can be made here (unshare): nothing was run, a fault could end other processes")
        return 2
    scenarios = [Scenario.of(each) for each in told.scenario] or _chosen(told)
    began, results = time.monotonic(), []
    with ThreadPoolExecutor(told.jobs) as pool:
        for number, result in enumerate(pool.map(lambda each: judge(each, wrapper, told), scenarios), 1):
            results.append(result)
            _tell(number, len(scenarios), *result)
            if told.output:
                print(result[2]["ours"]["output"] if "ours" in result[2] else result[2])
    text = table(results, told, time.monotonic() - began)
    print(text)
    if told.write:
        from page import put

        put("faults", text, heading="Injected faults")
    if told.json:
        told.json.write_text(json.dumps({str(s): found for s, found, _ in results}, indent=1), encoding="utf-8")
    return 1 if any(found for _, found, _ in results) else 0


def namespaces() -> tuple[str, ...] | None:
    """The command that gives a process its own processes and mounts, where there is one that works."""
    if shutil.which("unshare") is None:
        return None
    for wrapper in (AS_ROOT, AS_USER):
        probe = [*wrapper, "sh", "-c", "test $$ = 1 && mount -t tmpfs -o size=64k none /mnt"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return wrapper
    return None


def judge(scenario: Scenario, wrapper: tuple[str, ...], told: argparse.Namespace):
    """The scenario, by check what was wrong, and all that was seen."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        command = [*wrapper, sys.executable, str(HERE / "inside.py"), str(scenario), name, str(told.limit)]
        try:
            ran = subprocess.run(command, capture_output=True, timeout=told.limit * 5, check=False)
            seen = json.loads((Path(name) / "seen.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
            words = getattr(locals().get("ran"), "stderr", b"") or b""
            return scenario, {"bench": f"{exc}: {words.decode('utf-8', 'replace')[-300:]}"}, {}
    return scenario, failures(scenario, seen), seen


def _chosen(told: argparse.Namespace) -> list[Scenario]:
    """Those of the plan that were asked for: the plan itself is the same whatever is picked from it."""
    return [
        each
        for each in plan(told.faults, told.seed)
        if told.only.lower() in f"{each} {each.family}".lower()
        and told.mode in ("", each.mode)
        and told.spread in ("", each.spread)
    ]


def _tell(number: int, of: int, scenario: Scenario, found: dict, seen: dict) -> None:
    took = sum(each["took_s"] for each in seen.values()) if seen else 0.0
    print(f"{number}/{of} {scenario} {'FAILED' if found else 'ok'} {took:.1f} s", flush=True)
    for check, text in found.items():
        print(f"    {check}: {text}", flush=True)


def table(results: list, told: argparse.Namespace, took_s: float) -> str:
    """By kind of fault, and by place, how many were injected, really happened, and broke which promise."""
    fired = sum(1 for _, _, seen in results if seen and seen["ours"]["fired"])
    wrong = Counter(check for _, found, _ in results for check in found)
    told_wrong = ", ".join(
        f"{check} {wrong[check]}" for check in (*CHECKS, "bench") if wrong[check] or check != "bench"
    )
    lines = [
        f"`python bench/faults/run.py --faults {told.faults} --seed {told.seed}`, {time.strftime('%Y-%m-%d')}, CPython {platform.python_version()}, {took_s / 60:.0f} minutes.",
        "",
        f"{len(results)} scenarios, of which the fault was reached in {fired}; {sum(1 for _, found, _ in results if found)} with a failure: {told_wrong}.",
        "",
    ]
    for head, rows, key in (
        ("fault", [name for name, _ in FAMILIES], lambda s: s.family),
        ("where", [name for name, _ in SITES], lambda s: s.place),
        ("mode", [f"{mode}, {spread}" for mode in MODES for spread in SPREADS], lambda s: f"{s.mode}, {s.spread}"),
    ):
        lines += [f"| {head} | injected | reached | with a failure | of which |", "|---|---:|---:|---:|---|"]
        for row in rows:
            ours = [(found, seen) for scenario, found, seen in results if key(scenario) == row]
            if not ours:
                continue
            reached = sum(1 for _, seen in ours if seen and seen["ours"]["fired"])
            kinds = Counter(check for found, _ in ours for check in found)
            told_kinds = ", ".join(f"{check} {count}" for check, count in kinds.most_common())
            lines.append(f"| {row} | {len(ours)} | {reached} | {sum(1 for found, _ in ours if found)} | {told_kinds} |")
        lines.append("")
    return "\n".join(lines)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Injected faults: what leaktrace changes when things go wrong.")
    parser.add_argument("--faults", type=int, default=600, help="how many (default: 600)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="scenarios at the same time (default: 1)")
    parser.add_argument("--only", default="", metavar="WORD", help="those with this in their id or kind")
    parser.add_argument("--mode", default="", choices=("", *MODES))
    parser.add_argument("--spread", default="", choices=("", *SPREADS))
    parser.add_argument("--scenario", action="append", default=[], metavar="ID", help="this one only; may be repeated")
    parser.add_argument("--output", action="store_true", help="show what the run with leaktrace printed")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds after which a run hangs (default: 90)")
    parser.add_argument("--json", type=Path, help="file for what was wrong, by scenario")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
