"""Judge the same cases by leaktrace and its peers, and write how often each is right into docs/benchmarks.md.

usage: python bench/accuracy/run.py [--detector NAME ...] [--cases specimens] [--corpus FOLDER] [--python 3.11 ...]

Every answer is kept in the cache, so that an interrupted run goes on where it stopped. What follows `--` is given to
pytest as it stands (`-- -n 2` or `-- -p randomly`: order is as written without); such runs, and those of `--repeat`,
are never written to the page.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeAlias


HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import cases as sources  # noqa: E402
import environments  # noqa: E402
from detectors import all_detectors  # noqa: E402
from model import Ask, Call, Case, Detector, Result  # noqa: E402
from scores import mistakes, score, table  # noqa: E402

from page import put  # noqa: E402


Sections: TypeAlias = "dict[str, dict[str, list[tuple[Case, Result | None]]]]"
CAVEATS = """
What to keep in mind:

- The specimens and their truth are ours, and leaktrace was developed with them in sight; the peers were not.
  After first answers of leaktrace were seen, one leak was rewritten (log records in a buffer with a declared capacity,
  which leaktrace had called a cache, became a plain list), the resource or task itself was admitted as a right name,
  one adding line was changed, and "held by C code" was ruled to be no name; of the rates, five leaks that keep whole
  frames were left out and what pytest itself keeps was taken off; the old object whose references are forgotten was
  admitted as the name of that leak. All of it was in leaktrace's favour.
- A holder is named right when the name holds the words of the truth table in order; where nothing in Python holds the
  leak, the only right name is none. Most peers do not set out to name holders, kinds or rates.
- psleak tests functions, not tests: our plugin repeats each body, but not its fixtures, setup and teardown, inside
  pytest. Leaks in fixtures are out of its reach so, and some false alarms are of this wrapping (records that pytest's
  log capture keeps, what a teardown would take back), not of psleak. pytest-memray judges a body's first run.
- Wall time is the whole process, installation left out. Compare it only between detectors that ran under equal load:
  a kept answer has the time of the run that gave it, and where its load was not recorded, that run was on a busy machine.
"""


OLDEST = (3, 11)


def main(argv: list[str]) -> int:
    told, passed_on = _parse(argv)
    detectors = {n: d for n, d in all_detectors().items() if not told.detector or n in told.detector}
    chosen = []
    for case in _cases(told):
        if tuple(map(int, case.python.split(".")[:2])) < OLDEST:
            print(f"{case.ident}: only on CPython {case.python}, which leaktrace does not support: left out")
        else:
            chosen.append(case)
    sections: Sections = {}
    used: dict[str, str] = {}
    for name, detector in detectors.items():
        for case in chosen:
            section = f"{case.group}, CPython {case.python}" if case.group == "specimens" else case.group
            for repeat in range(told.repeat):
                result = _answer(detector, case, told, passed_on, repeat, used)
                sections.setdefault(section, {}).setdefault(name, []).append((case, result))
    shown = [f"### {s}\n\n" + table({n: score(r) for n, r in by.items()}) for s, by in sections.items()]
    print("\n".join(shown))
    for by_name in sections.values():
        for name, results in by_name.items():
            for line in mistakes(results) if told.mistakes else ():
                print(f"{name}: {line}")
    if told.write and not (passed_on or told.only or told.repeat > 1 or told.detector):
        put("accuracy", "\n".join([_heading(argv, used, sections), *shown]), heading="Accuracy")
    return 0


def _parse(argv: list[str]) -> tuple[argparse.Namespace, tuple[str, ...]]:
    at = argv.index("--") if "--" in argv else len(argv)
    own, passed_on = argv[:at], argv[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", action="append", choices=list(all_detectors()), help="default: all")
    parser.add_argument("--cases", action="append", choices=sources.GROUPS, help="default: all that are there")
    parser.add_argument("--corpus", type=Path, help="folder with cases.json, controls.json, install.py")
    parser.add_argument("--python", action="append", help="CPython for the specimens; default: 3.11")
    parser.add_argument("--only", default="", help="only cases whose id holds this text")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "leaktrace-accuracy")
    parser.add_argument("--repeat", type=int, default=1, help="judge each case so many times, with new hash seeds")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds a case")
    parser.add_argument("--fresh", action="store_true", help="ask again even where an answer is kept")
    parser.add_argument("--mistakes", action="store_true", help="list each wrong call")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/benchmarks.md alone")
    return parser.parse_args(own), tuple(passed_on)


def _cases(told: argparse.Namespace) -> Iterator[Case]:
    """The chosen cases; corpus and controls only where a corpus is given."""
    groups = told.cases or (sources.GROUPS if told.corpus else ("specimens",))
    found: list[Iterator[Case]] = []
    if "specimens" in groups:
        for python in told.python or ["3.11"]:
            collector = environments.environment(told.cache, None, python)
            found.append(sources.specimens(python, collector))
    if told.corpus is None and {"corpus", "controls"} & set(groups):
        raise SystemExit("the corpus is not part of the repository: say where it is with --corpus FOLDER")
    if "corpus" in groups:
        found.append(sources.corpus(told.corpus.resolve(), told.cache, told.only))
    if "controls" in groups:
        found.append(sources.controls(told.corpus.resolve(), told.cache, told.only))
    for group in found:
        yield from (case for case in group if told.only in case.ident)


def _answer(
    detector: Detector,
    case: Case,
    told: argparse.Namespace,
    passed_on: tuple[str, ...],
    repeat: int,
    used: dict[str, str],
) -> Result | None:
    """The detector's kept answer, or a new one; None where it cannot be run on such a case."""
    wanted = detector.interpreter(case.python)
    if wanted is None:
        return None
    python = environments.environment(told.cache, detector, wanted)
    if detector.name not in used:
        used[detector.name] = environments.versions(python)
    key = _key(detector, case, (used[detector.name], passed_on, repeat))
    kept = told.cache / "answers" / _slug(detector.name) / f"{_slug(case.ident)}-{case.python}-{key}.json"
    if kept.exists() and not told.fresh:
        return _read(kept)
    with tempfile.TemporaryDirectory(prefix="accuracy-") as folder:
        ask = Ask(
            python=python,
            env=environments.variables(case),
            scratch=Path(folder),
            arguments=passed_on,
            timeout_s=told.timeout,
        )
        started = time.monotonic()
        calls = detector.judge(case, ask)
        result = Result(
            calls=calls,
            seconds=time.monotonic() - started,
            note=_tail(Path(folder) / "output.txt"),
            load=os.getloadavg()[0],
        )
    if not result.calls and result.seconds < told.timeout:
        # A detector that broke down at once is asked again next time, and its last words are shown now.
        print(f"{detector.name}: {case.ident} ({case.python}): no answer at all:\n{result.note}", flush=True)
        return result
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.with_suffix(".new").write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
    kept.with_suffix(".new").replace(kept)
    one = score([(case, result)])
    print(
        f"{detector.name}: {case.ident} ({case.python}): {one.found}/{one.leaks} found, "
        f"{one.false_alarms}/{one.clean} false, {one.silent} silent, {result.seconds:.1f} s",
        flush=True,
    )
    return result


def _read(path: Path) -> Result:
    data = json.loads(path.read_text(encoding="utf-8"))
    calls = {nodeid: replace(Call(leak=None), **_tuples(call)) for nodeid, call in data["calls"].items()}
    return Result(calls=calls, seconds=data["seconds"], note=data["note"], load=data.get("load"))


def _tuples(call: dict) -> dict:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in call.items()}


def _key(detector: Detector, case: Case, context: object) -> str:
    """Changes with whatever could change the answer: the test file, the versions, and for our own plugin its source."""
    digest = hashlib.sha256(repr((detector.name, case.ident, context)).encode())
    digest.update(case.file.read_bytes())
    if "-e" in detector.requirements:
        for source in sorted((Path(detector.requirements[-1]) / "src").rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _slug(text: str) -> str:
    return re.sub(r"\W+", "-", text).strip("-")


def _tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-2000:] if path.exists() else ""


def _heading(argv: list[str], used: dict[str, str], sections: Sections) -> str:
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    # Folders of one machine say nothing to a reader of the page.
    shown = [word if not word.startswith(os.sep) else "FOLDER" for word in argv]
    lines = [f"- {name}: {what}; load {_load(name, sections)}" for name, what in used.items()]
    return "\n".join(
        [f"Written on {today} by `{shlex.join(['python', 'bench/accuracy/run.py', *shown])}`.", CAVEATS, *lines, ""]
    )


def _load(name: str, sections: Sections) -> str:
    """The machine's load while the detector ran, over its cases: without it wall times cannot be compared."""
    loads = [result.load for by_name in sections.values() for _, result in by_name.get(name, ()) if result]
    known = [load for load in loads if load is not None]
    if not known:
        return "not recorded"
    return f"{min(known):.1f} to {max(known):.1f}" + (" (of some cases)" if len(known) < len(loads) else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
