"""How often the judge errs: each scenario, many seeds, four budgets; written into docs/benchmarks.md.

Run it from the repository root: `python bench/verdicts.py [--seeds 300] [--print-only]`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from random import Random


ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from leaktrace.verdict.model import Verdict  # noqa: E402
from verdict.verdict_scenarios import SCENARIOS, Scenario, play  # noqa: E402


BUDGETS = (12, 40, 150, 400)
BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"
SHORT = {
    Verdict.LEAK: "LEAK",
    Verdict.CACHE: "CACHE",
    Verdict.ONE_TIME: "ONE_TIME",
    Verdict.STEADY: "STEADY",
    Verdict.UNDECIDED: "UNDECIDED",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--print-only", action="store_true", help="leave docs/benchmarks.md alone")
    arguments = parser.parse_args()
    began = time.perf_counter()
    text = table(arguments.seeds)
    print(text)
    print(f"{time.perf_counter() - began:.1f} s", file=sys.stderr)
    if not arguments.print_only:
        write(ROOT / "docs" / "benchmarks.md", text)


def table(seeds: int) -> str:
    head = ["scenario", "truth", *(f"{budget} runs" for budget in BUDGETS), "median runs used of 400"]
    lines = [
        f"Share of each verdict over {seeds} seeds, 3 warm-ups, batches of 3, by the runs that could be afforded",
        "(`python bench/verdicts.py`). Statistics alone, before anyone has looked at what holds the growth.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for scenario in SCENARIOS:
        cells = [cell(scenario, budget, seeds) for budget in BUDGETS]
        truth = "leak" if scenario.leaks else "clean"
        lines.append(f"| {scenario.name} | {truth} | " + " | ".join(text for text, _ in cells) + f" | {cells[-1][1]} |")
    lines += [
        "",
        "A cache that is still filling when the runs end cannot be told from a leak by its readings; it is called LEAK here",
        "and acquitted by its holder, whose bound can be read.",
    ]
    return "\n".join(lines)


def cell(scenario: Scenario, budget: int, seeds: int) -> tuple[str, int]:
    played = [play(scenario.make(Random(seed)), affordable=budget, counter=scenario.counter) for seed in range(seeds)]
    verdicts = [one.ruling.verdict for one in played]
    shares = sorted(((verdicts.count(verdict) / seeds, name) for verdict, name in SHORT.items()), reverse=True)
    text = ", ".join(name if share == 1 else f"{name} {share:.1%}" for share, name in shares if share)
    return text, round(statistics.median(one.runs for one in played))


def write(path: Path, text: str) -> None:
    section = f"{BEGIN}\n{text}\n\n{END}"
    if path.exists() and BEGIN in (old := path.read_text(encoding="utf-8")):
        before, _, rest = old.partition(BEGIN)
        new = before + section + rest.partition(END)[2]
    elif path.exists():
        new = path.read_text(encoding="utf-8").rstrip() + f"\n\n## Verdicts\n\n{section}\n"
    else:
        new = f"# Benchmarks\n\n## Verdicts\n\n{section}\n"
    path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
