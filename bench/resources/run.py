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
from pathlib import Path


HERE = Path(__file__).resolve().parent
BENCH = HERE.parent
sys.path[:0] = [str(HERE), str(BENCH), str(BENCH / "accuracy"), str(BENCH.parent / "tests" / "plugin")]

import environments  # noqa: E402
from judges import BESIDE, Accusation, Judge, all_judges  # noqa: E402
from model import Ask, Case  # noqa: E402
from resources_specimens import files_of  # noqa: E402
from tally import LABELS, table, tally  # noqa: E402

from page import put  # noqa: E402


WAYS: dict[str, tuple[str, ...]] = {"in one process": (), "`-n 2`": ("-n", "2")}
INTRODUCTION = """
Of each kind one file of ten cases. Six leaks: of a test's body, of a library's thread, of a fixture of each scope.
Four that must not be accused: closed after 50 ms, closed at once, closed by a fixture's teardown, lent by a session's
fixture that closes it at its end. A cell tells leaks found / credited right / false alarms, 6/6/0 at best; `-`: the
tool has no checker for the kind. Found is a leak whose test or fixture is accused of the right kind; credited right, where the one
who left it is named: of a fixture's leak that fixture.
"""
CAVEATS = """
- All are run at their best: leaktrace looks for all of its kinds (`--leaktrace-kinds`), watch in a plain run, confirm
  by `--leaktrace`; threadleak has `--threadleak`; pyleak its marker on every test, daemon threads included, blocked
  loops not; hygiene `--hygiene-strict --hygiene-verbose` (its warnings of daemon threads count as accusations); dask is
  `-p distributed.pytest_resourceleaks -L all --leaks-fail`. Each file is run alone, with a folder of its own for
  temporary files, and an answer that is not given is a leak missed.
- The specimens are those of our own tests, and leaktrace was developed with most of them in sight; the peers were not.
  `sys.path`, log handlers, working directory, threads that are no daemons and pytest-asyncio were added for this table.
- pytest-asyncio cancels what is left in the session's loop: a leak of a session's fixture cannot be there, so that it
  has five. With `-n 2` both workers share the folder for temporary files, and neither sees who makes what there; and a
  loan whose only user in a worker is its last test ends with that test, so that the cells vary by one or two.
"""


def main(argv: list[str]) -> int:
    told = _parse(argv)
    judges = {name: judge for name, judge in all_judges().items() if not told.detector or name in told.detector}
    tests = {specimen: _tests(specimen) for specimen in told.specimen or LABELS}
    versions = {}
    sections = []
    for way, arguments in WAYS.items():
        tallies = {}
        for judge in judges.values():
            python = environments.environment(told.cache, judge, told.python)
            versions[judge.name] = environments.versions(python, *BESIDE, judge.requirements[-1])
            for specimen in (each for each in tests if each in judge.scope):
                accusations = _ask(judge, specimen, python, arguments, told.timeout)
                counted = tally(accusations, judge.scope[specimen], tests[specimen])
                said = "; ".join(counted.said) or "all right"
                print(f"{' '.join([judge.name, *arguments])}: {specimen}: {said}", flush=True)
                tallies[judge.name, specimen] = counted
        sections.append(f"### Resources, {way}\n\n{table(judges, tallies, tests)}")
    print("\n".join(sections))
    if told.write and not (told.detector or told.specimen):
        put("resources", "\n".join([_heading(versions), *sections, CAVEATS.lstrip()]), heading="Leaked resources")
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


def _ask(
    judge: Judge, specimen: str, python: Path, arguments: tuple[str, ...], timeout_s: float
) -> set[Accusation] | None:
    """Run one detector on one file of specimens, in a project of its own."""
    with tempfile.TemporaryDirectory(prefix="resources-", ignore_cleanup_errors=True) as folder:
        scratch, project, temporary = (Path(folder, name) for name in ("scratch", "project", "temporary"))
        for each in (scratch, project, temporary):
            each.mkdir()
        (project / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n", encoding="utf-8")
        for name, text in files_of(specimen).items():
            (project / name).write_text(textwrap.dedent(text), encoding="utf-8")
        file = project / f"test_{specimen}.py"
        case = Case(group="resources", ident=specimen, python="", file=file, truth={}, folder=HERE / "plugins")
        env = {**environments.variables(case), "TMPDIR": str(temporary)}
        ask = Ask(python=python, env=env, scratch=scratch, arguments=arguments, timeout_s=timeout_s)
        accusations = judge.accuse(case, ask)
        if accusations is None:
            print((scratch / "output.txt").read_text(encoding="utf-8", errors="replace")[-2000:], flush=True)
        return accusations


def _tests(specimen: str) -> set[str]:
    """The names of its tests."""
    tree = ast.parse(textwrap.dedent(files_of(specimen)[f"test_{specimen}.py"]))
    functions = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {name for name in functions if name.startswith("test_")}


def _heading(versions: dict[str, str]) -> str:
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
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
