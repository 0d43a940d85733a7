"""Who is compared, and on what."""

from __future__ import annotations

import importlib.util
import shlex
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from pathlib import Path


EMPTY_TESTS = 3_000
HEAVY_TESTS = 150


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A way to run pytest.

    Attributes:
        name: its row in the table.
        args: what it adds to plain pytest.
        plugin: entry point that must be installed for it, or None.
        distribution: whose version is shown, or None.
    """

    name: str
    args: tuple[str, ...]
    plugin: str | None = None
    distribution: str | None = None

    @property
    def label(self) -> str:
        return f"{self.name} ({version(self.distribution)})" if self.distribution else self.name

    @property
    def there(self) -> bool:
        if self.plugin is None:
            return True
        found = entry_points(group="pytest11", name=self.plugin)
        return any(_importable(entry.module) for entry in found)


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it would lie in
        return False


# Plugins are loaded by name alone (entry points are switched off for the children), so that no contender carries another.
PLAIN = Contender(name="plain pytest", args=())
CONTENDERS = (
    Contender(name="plain pytest again (the noise)", args=()),
    Contender(name="fifteen-line detector", args=("-p", "overhead_detector")),
    Contender(
        name="leaktrace watch",
        args=("-p", "leaktrace"),
        plugin="leaktrace",
        distribution="pytest-leaktrace",
    ),
    Contender(name="pytest-hygiene", args=("-p", "hygiene"), plugin="hygiene", distribution="pytest-hygiene"),
    Contender(
        name="pytest-memray --memray",
        args=("-p", "memray", "--memray", "--hide-memray-summary"),
        plugin="memray",
        distribution="pytest-memray",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Tests to run.

    Attributes:
        name: its rows in the table.
        folder: where pytest is started.
        args: which tests.
    """

    name: str
    folder: Path
    args: tuple[str, ...]


def empty_suite(folder: Path, tests: int) -> Suite:
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    lines = "".join(f"def test_{number}():\n    pass\n\n\n" for number in range(tests))
    (folder / "test_empty.py").write_text(lines, encoding="utf-8")
    return Suite(name=f"{tests:,} empty tests", folder=folder, args=())


def heavy_suite(folder: Path) -> Suite:
    """Tests that allocate and free 40,000 small objects and 20 MB of large ones each."""
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    body = (
        "    rows = [{'id': number, 'name': str(number)} for number in range(20_000)]\n"
        "    blobs = [bytes(200_000) for _ in range(100)]\n"
        "    assert len(rows) + len(blobs) == 20_100\n\n\n"
    )
    lines = "".join(f"def test_{number}():\n{body}" for number in range(HEAVY_TESTS))
    (folder / "test_heavy.py").write_text(lines, encoding="utf-8")
    return Suite(name=f"{HEAVY_TESTS} allocation-heavy tests", folder=folder, args=())


def suite_from(text: str, scratch: Path) -> Suite:
    """`empty`, `heavy`, or `NAME=FOLDER:ARGUMENTS`, where no folder means an empty one."""
    if text == "empty":
        return empty_suite(scratch / "empty", EMPTY_TESTS)
    if text == "heavy":
        return heavy_suite(scratch / "heavy")
    name, equals, rest = text.partition("=")
    folder, colon, args = rest.partition(":")
    if not (name and equals and colon):
        raise SystemExit(f"a suite is empty, heavy or NAME=FOLDER:ARGUMENTS, got {text!r}")
    place = Path(folder).resolve() if folder else scratch / name
    place.mkdir(parents=True, exist_ok=True)
    return Suite(name=name, folder=place, args=tuple(shlex.split(args)))
