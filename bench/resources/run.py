"""Judge the same leaked resources by leaktrace and its peers, and write who finds whose into docs/benchmarks.md.

usage: python bench/resources/run.py [--cache FOLDER] [--detector NAME ...] [--specimen NAME ...] [--python 3.11]

The specimens are those of our own tests: tests/plugin/resources_specimens.py. The cache keeps an environment for each
detector. The page is written only by a run of all detectors on all specimens.
"""

from __future__ import annotations

import argparse
import ast
import datetime as dt
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path


HERE = Path(__file__).resolve().parent
BENCH = HERE.parent
sys.path[:0] = [str(HERE), str(BENCH), str(BENCH / "accuracy"), str(BENCH.parent / "tests" / "plugin")]

import environments  # noqa: E402
from judges import BESIDE, Judge, all_judges  # noqa: E402
from model import Ask, Case  # noqa: E402
from resources_specimens import files_of  # noqa: E402
from tally import LABELS, Tally, table, tally  # noqa: E402

from page import put  # noqa: E402


WAYS: dict[str, tuple[str, ...]] = {"in one process": (), "`-n 2`": ("-n", "2")}
INTRODUCTION = """
Of each kind one file of ten cases: left open by a test's body, by a library's thread, by a fixture of each scope
(function, class, module, session); and four that must not be accused: closed after 50 ms, closed at once, closed by a
fixture's teardown, lent by a session's fixture that closes it at its end. A cell tells leaks found (the test or its
fixture accused of the right kind), of these credited right (the fixture named where it was a fixture's), and false
alarms: 6/6/0 is best, `-` that the tool has no checker for the kind. Each file is run alone, with a folder for
temporary files of its own.
"""
CAVEATS = """
- leaktrace looks for all of its kinds (`--leaktrace-kinds`); watch is plain `pytest`, confirm is `--leaktrace`.
  threadleak has `--threadleak`; pyleak its marker on every test, daemon threads included, blocked loops not; hygiene
  `--hygiene-strict --hygiene-verbose` (its warnings of daemon threads count, other warnings do not); dask is
  `-p distributed.pytest_resourceleaks -L all`. None of them has fixtures' names to give, but leaktrace.
- The specimens are ours, and leaktrace was developed with most of them in sight; the peers were not.
- pytest-asyncio ends what is left in the session's loop, so that the session's fixture has no leak there (5, not 6).
"""


def main(argv: list[str]) -> int:
    told = _parse(argv)
    judges = {name: judge for name, judge in all_judges().items() if not told.detector or name in told.detector}
    chosen = told.specimen or list(LABELS)
    versions = {}
    sections = []
    for way, arguments in WAYS.items():
        tallies = {}
        for judge in judges.values():
            python = environments.environment(told.cache, judge, told.python)
            versions[judge.name] = environments.versions(python, *BESIDE, judge.requirements[-1])
            for specimen in chosen:
                if specimen in judge.scope:
                    tallies[judge.name, specimen] = _answer(judge, specimen, python, arguments, told.timeout)
        sections.append(f"### Resources, {way}\n\n{table(judges, tallies, chosen)}")
    print("\n".join(sections))
    if told.write and not (told.detector or told.specimen):
        put(
            "resources",
            "\n".join([_heading(versions), *sections]),
            heading="Leaked resources, by leaktrace and its peers",
        )
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "leaktrace-accuracy")
    parser.add_argument("--detector", action="append", choices=list(all_judges()), help="default: all")
    parser.add_argument("--specimen", action="append", choices=list(LABELS), help="default: all")
    parser.add_argument("--python", default="3.11")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds a run")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/benchmarks.md alone")
    return parser.parse_args(argv)


def _answer(judge: Judge, specimen: str, python: Path, arguments: tuple[str, ...], timeout_s: float) -> Tally:
    """Run one detector on one file of specimens, in a project of its own, and count."""
    with tempfile.TemporaryDirectory(prefix="resources-", ignore_cleanup_errors=True) as folder:
        scratch, project, temporary = (Path(folder, name) for name in ("scratch", "project", "temporary"))
        for each in (scratch, project, temporary):
            each.mkdir()
        (project / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n", encoding="utf-8")
        for name, text in files_of(specimen).items():
            (project / name).write_text(textwrap.dedent(text), encoding="utf-8")
        case = Case(
            group="resources",
            ident=specimen,
            python="",
            file=project / f"test_{specimen}.py",
            truth={},
            folder=HERE / "plugins",
        )
        ask = Ask(
            python=python,
            env={**environments.variables(case), "TMPDIR": str(temporary)},
            scratch=scratch,
            arguments=arguments,
            timeout_s=timeout_s,
        )
        accusations = judge.accuse(case, ask)
        counted = tally(accusations, judge.scope[specimen], set(_tests(case.file)))
        print(f"{judge.name} {' '.join(arguments)}: {specimen}: {'; '.join(counted.said) or 'all right'}", flush=True)
        if counted.silent:
            print((scratch / "output.txt").read_text(encoding="utf-8", errors="replace")[-2000:], flush=True)
    return counted


def _tests(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name


def _heading(versions: dict[str, str]) -> str:
    today = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    held = dict.fromkeys(part for text in versions.values() for part in text.split(", "))
    return "\n".join(
        [
            f"Written on {today} by `python bench/resources/run.py --cache FOLDER`:",
            *textwrap.wrap(", ".join(held) + ".", width=118),
            INTRODUCTION,
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
