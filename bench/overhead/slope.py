"""What watching adds to each empty test: CPU of a larger suite less that of a smaller, so that the start is not in it.

    python bench/overhead/slope.py [--rounds 12] [--tests 1000 4000]

Of each suite the cheapest run of all rounds counts, which other work on the machine disturbs least. Plain pytest is
measured twice: what it adds to itself is the noise. Writes nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from contenders import CONTENDERS, PLAIN, empty_suite
from measure import environment, run_once


COMPARED = ("plain pytest again (the noise)", "fifteen-line detector", "leaktrace watch")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--tests", type=int, nargs=2, default=[1_000, 4_000], metavar=("FEWER", "MORE"))
    told = parser.parse_args(argv)
    everybody = (PLAIN, *(each for each in CONTENDERS if each.name in COMPARED))
    with tempfile.TemporaryDirectory(prefix="slope-") as folder:
        scratch = Path(folder)
        suites = [empty_suite(scratch / str(tests), tests) for tests in told.tests]
        environ = environment(scratch)
        pairs = [(contender, suite) for contender in everybody for suite in suites]
        least = {(contender.name, suite.name): run_once(contender, suite, environ).cpu_s for contender, suite in pairs}
        for number in range(told.rounds):
            for contender, suite in pairs if number % 2 else reversed(pairs):
                key = contender.name, suite.name
                least[key] = min(least[key], run_once(contender, suite, environ).cpu_s)
    fewer, more = suites
    tests = told.tests[1] - told.tests[0]
    a_test = {
        each.name: (least[each.name, more.name] - least[each.name, fewer.name]) / tests * 1e6 for each in everybody
    }
    for name, us in a_test.items():
        print(f"{name}: {us:.0f} us a test, {us - a_test[PLAIN.name]:+.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
