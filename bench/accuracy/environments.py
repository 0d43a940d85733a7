"""One virtual environment for each detector and CPython, made once in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from model import Case, Detector


BASE = ("pytest>=9,<10", "psutil>=7.2")


def find_python(wanted: str) -> str:
    """The program for `3.11`, `3.12.1` or a program's own name: an exact pyenv version first, then any of its minor.

    Raises:
        SystemExit: there is none.
    """
    if shutil.which(wanted):
        return wanted
    minor = ".".join(wanted.split(".")[:2])
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [versions / wanted / "bin" / "python", *sorted(versions.glob(f"{minor}.*/bin/python"), reverse=True)]
    for candidate in (*map(str, found), f"python{minor}"):
        if shutil.which(candidate):
            return candidate
    raise SystemExit(f"no CPython {wanted} here: install it (pyenv install {wanted}), or name another with --python")


def environment(cache: Path, detector: Detector | None, python: str) -> Path:
    """The interpreter of the environment with pytest, psutil and what the detector needs; made if need be."""
    requirements = (*BASE, *(detector.requirements if detector else ()))
    program = find_python(python)
    key = hashlib.sha256(json.dumps([program, requirements]).encode()).hexdigest()[:12]
    folder = cache / "environments" / key
    inside = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"making an environment for {detector.name if detector else 'collecting'} on {python}", flush=True)
        subprocess.run([program, "-m", "venv", "--clear", str(folder)], check=True)
        quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
        command = [str(inside), "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements]
        subprocess.run(command, check=True, env=quiet)
        (folder / "ready").touch()
    return inside


def versions(python: Path, *more: str) -> str:
    """What the environment holds, for the record: `CPython 3.11.7, pytest 9.2.0, …`; `more` are names of packages."""
    script = (
        "import platform, importlib.metadata as m\n"
        f"names = {('pytest', 'pytest-leaktrace', 'pytest-memray', 'memray', 'psleak', 'pytest-leaks', *more)!r}\n"
        "have = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
        "print(', '.join([f'CPython {platform.python_version()}', *(f'{n} {have[n]}' for n in names if n in have)]))"
    )
    return subprocess.run([str(python), "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def variables(case: Case) -> dict[str, str]:
    """The environment variables of a case: a clean slate of pytest's and Python's own, random hash seeds."""
    drop = ("PYTEST_", "PYTHON", "LEAKTRACE_", "ACCURACY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    if case.folder is not None:
        kept["PYTHONPATH"] = str(case.folder)
    return kept
