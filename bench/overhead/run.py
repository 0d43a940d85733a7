"""What watching costs: plain pytest, leaktrace and its peers in interleaved pairs; writes docs/benchmarks.md.

    python bench/overhead/run.py
    python bench/overhead/run.py --rounds 5 --suite empty --suite 'networkx=:--pyargs networkx.algorithms.tree'

Runs in this interpreter's environment, with those peers that are installed there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from contenders import CONTENDERS, PLAIN, Contender, Suite, suite_from
from measure import Kept, Pair, environment, kept_by, pairs_of, run_once
from table import section, write_section


PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def main(argv: list[str]) -> int:
    """Measure as told and write the section."""
    told = _parse(argv)
    wanted = [each for each in CONTENDERS if told.only in each.name]
    there = tuple(each for each in wanted if each.there)
    absent = [each.name for each in wanted if not each.there]
    if absent:
        print("not installed, left out:", ", ".join(absent))
    measured: dict[str, dict[str, list[Pair]]] = {}
    kept: dict[str, Kept] = {}
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        scratch = Path(folder)
        for suite in [suite_from(text, scratch) for text in told.suite]:
            measured[suite.name] = _compare(there, suite, scratch, told.rounds)
        if told.memory:
            kept = kept_by(tuple(each for each in there if each.args), scratch)
    text = section(measured, kept, contenders=there, command=" ".join(["python bench/overhead/run.py", *_quoted(argv)]))
    print(text)
    if told.write:
        write_section(PAGE, text)
    return 0


def _compare(contenders: tuple[Contender, ...], suite: Suite, scratch: Path, rounds: int) -> dict[str, list[Pair]]:
    """Pairs by contender, one of each a round; a first run of each is thrown away, since it compiles and fills caches."""
    environ = environment(scratch)
    for each in (PLAIN, *contenders):
        run_once(each, suite, environ)
    measures = {each.name: pairs_of(each, suite, environ, wanted=rounds) for each in contenders}
    pairs: dict[str, list[Pair]] = {name: [] for name in measures}
    for number in range(rounds):
        for name, measure in measures.items():
            pair = measure(number)
            if pair is not None:
                pairs[name].append(pair)
                print(
                    f"{suite.name} {number + 1}/{rounds} {name}: {pair.wall_ratio:.3f} wall, {pair.cpu_ratio:.3f} CPU"
                )
    return pairs


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What watching costs, against plain pytest and the peers.")
    parser.add_argument("--rounds", type=int, default=10, help="pairs of runs for each contender (default: 10)")
    parser.add_argument(
        "--suite",
        action="append",
        metavar="SUITE",
        help="empty, heavy, or NAME=FOLDER:ARGUMENTS for a real one (no folder: an empty one); may be repeated",
    )
    parser.add_argument("--only", default="", metavar="WORD", help="contenders with this in their name")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave out the memory kept per test")
    parser.add_argument("--no-write", dest="write", action="store_false", help="print only")
    told = parser.parse_args(argv)
    told.suite = told.suite or ["empty", "heavy"]
    return told


def _quoted(argv: list[str]) -> list[str]:
    return [f"'{argument}'" if " " in argument else argument for argument in argv]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
