"""pytest's own fixtures, and unittest's way."""

from __future__ import annotations

import os
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def base() -> list[int]:
    return list(range(1000))


@pytest.fixture
def derived(base: list[int]) -> Iterator[list[int]]:
    yield base[:100]


def test_nothing() -> None:
    pass


def test_capsys(capsys: pytest.CaptureFixture[str]) -> None:
    print("hello")
    print("oh", file=sys.stderr)
    assert capsys.readouterr().out == "hello\n"


def test_capfd(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(1, b"raw\n")
    assert capfd.readouterr().out == "raw\n"


def test_output() -> None:
    print("x" * 1000)


def test_tmp_path(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("hello", encoding="utf-8")
    assert file.read_text(encoding="utf-8") == "hello"


def test_monkeypatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEAN_SPECIMEN", "1")
    monkeypatch.setattr(os, "sep", "|")
    assert os.environ["CLEAN_SPECIMEN"] == "1"


def test_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        1 / 0  # noqa: B018


@pytest.mark.parametrize("word", ["a", "b"])
def test_parametrized(word: str) -> None:
    assert word.isalpha()


def test_wide_and_narrow_fixture(derived: list[int], request: pytest.FixtureRequest) -> None:
    request.addfinalizer(derived.clear)
    assert request.getfixturevalue("base")


class TestCaseOfUnittest(unittest.TestCase):
    def setUp(self) -> None:
        self.rows = list(range(2000))
        self.addCleanup(self.rows.clear)

    def test_rows(self) -> None:
        with self.subTest("rows"):
            self.assertEqual(len(self.rows), 2000)
