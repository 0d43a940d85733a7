"""The cases: the specimens of this folder, and a corpus of published packages' real leaks where one is given."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from model import Case, Verity
from truth import SPECIMENS, truth_of


RATES = SPECIMENS.parent / "rates.json"
GROUPS = ("specimens", "corpus", "controls")
KINDS = {
    "memory": frozenset({"memory", "objects", "tasks"}),
    "objects": frozenset({"memory", "objects"}),
    "fds": frozenset({"fds", "sockets", "files"}),
    "sockets": frozenset({"fds", "sockets"}),
    "threads": frozenset({"threads"}),
}
STILL_LEAKING = ("otel_", "cheroot_overload_thread")
"""Corpus cases whose fixed version keeps, as the corpus says itself, a smaller leak: either verdict is right."""


def specimens(python: str, python_exe: Path) -> Iterator[Case]:
    """One case a file of specimens, its tests as pytest collects them."""
    command = [str(python_exe), "-m", "pytest", "--collect-only", "-q", "-p", "no:leaktrace", "-p", "no:randomly", "."]
    listing = subprocess.run(command, cwd=SPECIMENS, check=True, capture_output=True, text=True).stdout
    minor = ".".join(python.split(".")[:2])
    rates = json.loads(RATES.read_text(encoding="utf-8")).get(minor, {})
    by_file: dict[str, list[str]] = {}
    for line in listing.splitlines():
        if "::" in line:
            by_file.setdefault(line.partition("::")[0], []).append(line.strip())
    for file, nodeids in sorted(by_file.items()):
        path = SPECIMENS / file
        yield Case(
            group="specimens",
            ident=path.stem,
            python=python,
            file=path,
            truth={nodeid: _verity(path, nodeid, rates.get(nodeid, {})) for nodeid in nodeids},
        )


def corpus(root: Path, cache: Path, only: str = "") -> Iterator[Case]:
    """Leaky and fixed versions of the corpus at `root`, installed under `cache` where they are not yet."""
    for row in _rows(root / "cases.json", only):
        for which in ("leaky", "fixed"):
            if which == "fixed" and row["fixed_version"] is None:
                continue
            python = row["python"] if which == "leaky" else row.get("python_fixed") or row["python"]
            yield _installed(root, cache / "corpus" / row["id"] / which, row, which, python, _corpus_verity(row, which))


def controls(root: Path, cache: Path, only: str = "") -> Iterator[Case]:
    """Clean tests of well-known packages; those with equal requirements share one installation."""
    for row in _rows(root / "controls.json", only):
        key = hashlib.sha256(json.dumps(row["requirements"]).encode()).hexdigest()[:12]
        yield _installed(root, cache / "controls" / key, row, "control", row["python"], Verity(leak=False))


def _rows(table: Path, only: str) -> list[dict]:
    # The id of a case is its row's and the version's: what is before the last dash is enough to spare installing.
    stem = re.sub("-(leaky|fixed)$", "", only)
    return [row for row in json.loads(table.read_text(encoding="utf-8")) if stem in row["id"]]


def _verity(path: Path, nodeid: str, rates: dict[str, float]) -> Verity:
    truth = truth_of(nodeid)
    if truth is None:
        return Verity(leak=False)
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return Verity(
        leak=True,
        kinds=KINDS[truth.kind],
        names=truth.holders,
        line=f"{path.name}:{lines.index(truth.adds) + 1}" if truth.adds else None,
        rates={} if truth.keeps_frames else {name: rates[name] for name in _shown_by(truth.counter) if name in rates},
    )


def _shown_by(counter: str) -> tuple[str, ...]:
    """The counters that show the same growth: a detector counts Python's blocks, or the bytes that malloc gave for them."""
    return (counter, "heap_bytes") if counter == "blocks" else (counter,)


def _corpus_verity(row: dict, which: str) -> Verity:
    if which == "fixed":
        return Verity(leak=None if row["id"].startswith(STILL_LEAKING) else False)
    leaky, fixed = row["growth_leaky"], row["growth_fixed"]
    grew = {name for name in leaky if leaky[name] - fixed.get(name, 0) >= 0.5}
    kinds: set[str] = set()
    for counter, kind in (("fds", "fds"), ("threads", "threads")):
        if counter in grew:
            kinds |= KINDS[kind]
    if leaky["blocks"] >= 15 + fixed["blocks"] or leaky["heap_bytes"] > 10_000 or not kinds:
        kinds |= KINDS["memory"]
    rates = {name: leaky[name] for name in ("blocks", "fds", "threads") if name in grew}
    if "blocks" in rates or leaky["heap_bytes"] > 10_000:
        rates["heap_bytes"] = leaky["heap_bytes"]
    return Verity(leak=True, kinds=frozenset(kinds), names=_names(row["holder"]), rates=rates)


def _names(holder: str | None) -> tuple[tuple[str, ...], ...] | None:
    """The last parts of the dotted names, and the other words that can only be identifiers; any of them is right."""
    if not holder:
        return None
    dotted = [name.rsplit(".", 1)[-1] for name in re.findall(r"\b[A-Za-z_]\w*(?:\.\w+)+", holder)]
    words = [word for word in re.findall(r"\b\w+\b", holder) if "_" in word.strip("_")]
    names = dict.fromkeys(name for name in (*dotted, *words) if name not in {"lru_cache", "sentry_sdk"})
    return tuple((name,) for name in names) or None


def _installed(root: Path, folder: Path, row: dict, which: str, python: str, verity: Verity) -> Case:
    done = folder.parent / f"{folder.name}.installed"
    if not done.exists():
        print(f"installing {row['id']} ({which})", flush=True)
        command = [sys.executable, str(root / "install.py"), row["id"], which, str(folder)]
        subprocess.run(command, check=True)
        done.touch()
    file = root / row["test_file"]
    tests = re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return Case(
        group="controls" if which == "control" else "corpus",
        ident=row["id"] if which == "control" else f"{row['id']}-{which}",
        python=python,
        file=file,
        folder=folder,
        truth={f"{file.name}::{test}": verity for test in tests},
    )
