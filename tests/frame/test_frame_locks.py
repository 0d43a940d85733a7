"""The committed locks hold what pyproject.toml asks for, exactly, and nothing of the machine that made them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: Iterable[str]) -> set[str]:
    return {plain(name) for text in requirements for name in re.findall("^[A-Za-z0-9._-]+", text)}


def group(name: str) -> set[str]:
    """Names of the distributions in a group of pyproject.toml and in those that it includes."""
    items = PYPROJECT["dependency-groups"][name]
    return names(each for each in items if isinstance(each, str)).union(
        *(group(each["include-group"]) for each in items if isinstance(each, dict))
    )


def locked(path: Path) -> set[str]:
    return {plain(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", path.read_text(encoding="utf-8"), re.MULTILINE)}


def test_the_lock_of_a_run_holds_what_the_plugin_and_its_build_ask_for() -> None:
    assert names(PYPROJECT["project"]["dependencies"]) | group("run") <= locked(ROOT / "requirements/run.lock")


def test_the_lock_of_development_holds_all_that_it_asks_for_and_all_of_a_run() -> None:
    dev = locked(ROOT / "requirements/dev.lock")
    assert group("dev") <= dev
    assert locked(ROOT / "requirements/run.lock") <= dev


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_line_of_a_lock_is_one_exact_version(path: Path) -> None:
    line = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-z_ <>=!'0-9.A-Z()]+)?")
    for text in path.read_text(encoding="utf-8").splitlines()[1:]:
        assert line.fullmatch(text), text
