"""Hunt the specimens over and over, and tell whether the answers stay the same.

usage: python bench/accuracy/repeats.py [--repeats 20] [--python 3.11 ...] [--cache FOLDER] [--answers FOLDER]

Each repeat is one run of all specimens together, in random order, with a random hash seed, in two workers; the Pythons
take turns. An answer that is kept in the folder of answers is not asked for again. Nothing is written to the page.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path


HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import cases as sources  # noqa: E402
import environments  # noqa: E402
from detectors.leaktrace import Leaktrace, calls_of  # noqa: E402
from model import Case, Result  # noqa: E402
from scores import mistakes, score  # noqa: E402
from truth import SPECIMENS  # noqa: E402


def main(argv: list[str]) -> int:
    told = _parse(argv)
    told.answers = told.answers.resolve()
    told.answers.mkdir(parents=True, exist_ok=True)
    detector = Leaktrace(mode="hunt")
    prints: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    proofs: Counter[str] = Counter()
    short = 0
    for repeat in range(told.repeats):
        python = told.python[repeat % len(told.python)]
        program = environments.environment(told.cache, detector, python)
        kept = told.answers / f"{repeat:02d}-{python}.json"
        took = _hunt(program, kept)
        book = json.loads(kept.read_text(encoding="utf-8"))
        files = list(sources.specimens(python, program))
        result = Result(calls=calls_of(book), seconds=took)
        results = [(case, result) for case in files]
        sums = score(results)
        short += sums.found < 0.98 * sums.leaks or bool(sums.false_alarms)
        print(
            f"{repeat + 1:2d} CPython {python}: {sums.found} of {sums.leaks} found, {sums.false_alarms} of {sums.clean}"
            f" falsely accused, holder {sums.right_names} of {sums.named} right and {sums.wrong_names} wrong,"
            f" line {sums.right_lines} of {sums.lined}, {sums.silent} silent, {took:.0f} s",
            flush=True,
        )
        for line in mistakes(results):
            print(f"   {line}", flush=True)
        for where, case in _leaks(book):
            prints[where][case["fingerprint"] or "none"] += 1
            if case["kind"] == "memory" and case["holder"]:
                proofs[case["proof"]["status"] if case["proof"] else "none"] += 1
    unlike = {where: dict(seen) for where, seen in prints.items() if len(seen) > 1}
    print(f"repeats below 98 % or with a false alarm: {short} of {told.repeats}")
    print(f"fingerprints equal in all repeats: {len(prints) - len(unlike)} of {len(prints)}")
    for where, seen in unlike.items():
        print(f"   {' '.join(where)}: {seen}")
    print(f"proofs of leaks with a holder: {dict(proofs)}")
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--python", nargs="+", default=["3.11", "3.12", "3.13"])
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "leaktrace-accuracy")
    parser.add_argument("--answers", type=Path, default=Path.home() / ".cache" / "leaktrace-accuracy" / "repeats")
    return parser.parse_args(argv)


def _hunt(program: Path, kept: Path) -> float:
    """One run, whose casebook goes where it is kept; the seconds that it took, 0 where it is there already."""
    if kept.exists():
        return 0.0
    began = time.monotonic()
    new = kept.with_suffix(".new")
    seed = random.SystemRandom().randrange(1 << 31)
    command = [str(program), "-m", "pytest", "-q", "-n", "2", f"--randomly-seed={seed}"]
    command += ["--leaktrace-hunt", f"--leaktrace-json={new}"]
    env = environments.variables(Case(group="specimens", ident="all", python="", file=SPECIMENS, truth={}))
    with kept.with_suffix(".txt").open("wb") as output:
        subprocess.run(command, cwd=SPECIMENS, env=env, stdout=output, stderr=output, check=False, timeout=1800)
    new.replace(kept)
    return time.monotonic() - began


def _leaks(book: Mapping) -> Iterator[tuple[tuple[str, str], Mapping]]:
    for case in book["cases"]:
        if case["verdict"] == "LEAK" and case["subject"] != "group":
            yield (case["nodeid"].rpartition("/")[2], case["kind"]), case


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
