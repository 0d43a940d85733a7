"""What earlier bisections saw of a test: trials that need not be made again while nothing that they ran has changed."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from leaktrace import __version__
from leaktrace.casebook.model import Case
from leaktrace.casebook.wire import case_from_json, case_to_json
from leaktrace.errors import FileError
from leaktrace.files import is_ours, lines_of, private_folder, write_private
from leaktrace.heap.safe import is_installed_path, is_stdlib_path
from leaktrace.replay.protocol import Settings, Target
from leaktrace.serialize import decode, encode, loads
from leaktrace.verdict.model import Verdict


_FORMAT = 1
_MOST_FILES = 50_000
_MOST_BYTES = 16 << 20
_MOST_KEPT = 20
_CODE = (".py", ".so", ".pyd", ".toml", ".ini", ".cfg")
_CONFIGURED = ("conftest.py", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_ELSEWHERE = ("__pycache__", "node_modules", "site-packages", "dist-packages")
_VARIABLES = ("PYTHON", "PYTEST_", "LEAKTRACE_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one child showed.

    Attributes:
        symptoms: by kind of leak, or `first run`: what was seen, in one sentence.
        failure: why the test could not be judged, or None.
    """

    symptoms: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None


class Trials:
    """Trials of one test, and its cases, by the node ids of what ran before it.

    A trial that failed is not kept: the next one may not. The file is one JSON object a line, read as untrusted; what
    cannot be read is left out, and where it cannot be written, it is as if there were none.

    Args:
        path: the file to keep them in; None keeps them as long as this lives.
    """

    __slots__ = ("_cases", "_path", "_trials")

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._trials: dict[tuple[str, ...], Trial] = {}
        self._cases: dict[tuple[str, ...], Case] = {}
        for line in _lines(path) if path is not None else ():
            with suppress(FileError, ValueError, TypeError, KeyError, AttributeError):
                told = loads(line)
                before = tuple(map(str, told["before"]))
                if "case" in told:
                    self._cases[before] = case_from_json(told["case"])
                else:
                    self._trials[before] = decode(Trial, told["trial"])

    def of(self, before: Sequence[Target]) -> Trial | None:
        """What was seen of the test after these; None where that is not known."""
        return self._trials.get(_names(before))

    def keep(self, before: Sequence[Target], trial: Trial) -> None:
        """Remember what was seen."""
        if trial.failure is None:
            self._trials[_names(before)] = trial
            self._append({"before": _names(before), "trial": encode(trial)})

    def case(self, before: Sequence[Target], kind: str) -> Case | None:
        """The case of the test after these; None where that is not known."""
        case = self._cases.get(_names(before))
        return case if case is not None and case.suspect.kind == kind else None

    def keep_case(self, before: Sequence[Target], case: Case) -> None:
        """Remember the case, if it is one."""
        if case.verdict is Verdict.LEAK:
            self._cases[_names(before)] = case
            self._append({"before": _names(before), "case": case_to_json(case)})

    def _append(self, told: Mapping[str, object]) -> None:
        if self._path is None:
            return
        with suppress(OSError):
            private_folder(self._path.parent)
            # After a line that was torn by a kill, too.
            write_private(self._path, f"\n{json.dumps(told)}\n".encode(), append=True)


def kept_trials(
    folder: Path | None, target: Target, settings: Settings, *, limit_bytes: int, fresh: bool = False
) -> Trials:
    """The trials of a test that earlier calls made under the very same conditions.

    That is: the same leaktrace, interpreter, installed packages, arguments and limit, and no source or configuration
    file changed below the working directory or any folder on `sys.path`.

    Args:
        folder: where they are kept; None where they are not.
        target: the test.
        settings: as for its children.
        limit_bytes: growth of a first run above which it counts.
        fresh: drop them.
    """
    conditions = _conditions(target, settings, limit_bytes) if folder is not None else None
    if folder is None or conditions is None:
        return Trials()
    path = folder / f"{conditions}.jsonl"
    if fresh:
        with suppress(OSError):
            path.unlink()
    _forget_old(folder)
    return Trials(path)


def _conditions(target: Target, settings: Settings, limit_bytes: int) -> str | None:
    """A digest of all that a trial depends on; None where that is too much to look at."""
    digest = hashlib.sha256()
    environ = sorted(pair for pair in settings.environ.items() if pair[0].startswith(_VARIABLES))
    facts = (_FORMAT, __version__, sys.version, settings.interpreter, settings.args, settings.cwd, settings.sys_path)
    digest.update(json.dumps([*facts, environ, target.path, target.nodeid, limit_bytes]).encode())
    for number, fact in enumerate(_files(target, settings)):
        if number >= _MOST_FILES:
            return None
        digest.update(f"{fact}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _files(target: Target, settings: Settings) -> Iterator[str]:
    """What tells whether code has changed: each file with its size and time of change, each installed package."""
    cwd = Path(settings.cwd)
    for place in sorted({*map(str, settings.sys_path), settings.cwd, os.path.dirname(target.path)}):  # noqa: PTH120 - thousands
        if not os.path.isdir(place or cwd):  # noqa: PTH112 - as above
            continue
        if is_installed_path(place):
            yield from sorted(name for name in os.listdir(place) if name.endswith(".dist-info"))  # noqa: PTH208 - as above
        elif not is_stdlib_path(f"{place}{os.sep}"):
            yield from _sources(place or settings.cwd)
    for above in cwd.parents:
        yield from filter(None, (_stamp(str(above / name)) for name in _CONFIGURED))


def _sources(folder: str) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _ELSEWHERE
            and not os.path.exists(os.path.join(here, name, "pyvenv.cfg"))  # noqa: PTH110, PTH118 - thousands of them
        )
        for name in sorted(names):
            if name.endswith(_CODE):
                yield _stamp(os.path.join(here, name))  # noqa: PTH118 - as above


def _stamp(path: str) -> str:
    """Size and time of change of a file; "" where there is none."""
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116 - as above
        return f"{path} {status.st_size} {status.st_mtime_ns}"
    return ""


def _lines(path: Path) -> list[bytes]:
    with suppress(OSError):
        return [line for line in lines_of(path, _MOST_BYTES, _MOST_BYTES) if line]
    return []


def _forget_old(folder: Path) -> None:
    """Keep the files that were written last: what has changed since is not asked for again. Only ours are removed."""
    with suppress(OSError):
        found = [(file.lstat(), file) for file in folder.glob("*.jsonl")]
        ours = sorted((status.st_mtime, file) for status, file in found if is_ours(status))
        for _, file in ours[:-_MOST_KEPT]:
            file.unlink()


def _names(before: Sequence[Target]) -> tuple[str, ...]:
    return tuple(each.nodeid for each in before)
