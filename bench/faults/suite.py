"""The small suite that the faults are injected into: nine tests, two of which leak."""

from __future__ import annotations

from pathlib import Path


FILES = {
    "tox.ini": "[pytest]\n",
    "conftest.py": """
import re

from fault_points import at

at("import")

import pytest


def number_of(node):
    return int(re.search(r"test_[ab](\\d)", node.name).group(1))


def pytest_configure(config):
    at("configure")


def pytest_collection_modifyitems(items):
    at("modifyitems")


def pytest_runtest_setup(item):
    at("setup", number_of(item))


def pytest_sessionfinish():
    at("sessionfinish")


def pytest_unconfigure():
    at("unconfigure")


@pytest.fixture(autouse=True)
def surroundings(request):
    number = number_of(request.node)
    at("fixture", number)
    yield
    at("finalizer", number)
""",
    "test_a.py": """
from fault_points import at

KEPT = []


def test_a1_leaks():
    KEPT.append(bytearray(b"x") * 3_000_000)
    at("test", 1)


def test_a2_passes():
    at("test", 2)


def test_a3_writes(tmp_path):
    (tmp_path / "note.txt").write_bytes(b"a note")
    at("test", 3)


def test_a4_fails():
    at("test", 4)
    assert [1, 2] == [1, 3]
""",
    "test_b.py": """
import unittest

import pytest

from fault_points import at

KEPT = []


@pytest.fixture(scope="module")
def wide():
    yield bytearray(100_000)


class TestGroup:
    def test_b5_passes(self, wide):
        at("test", 5)

    @pytest.mark.skipif("True", reason="not here")
    def test_b6_skipped(self):
        at("test", 6)

    @pytest.mark.xfail(reason="known")
    def test_b7_fails_as_known(self, wide):
        at("test", 7)
        raise ValueError

    def test_b8_leaks(self):
        KEPT.append(bytearray(b"x") * 3_000_000)
        at("test", 8)


class Case(unittest.TestCase):
    def test_b9_in_a_case(self):
        at("test", 9)
""",
}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text.lstrip("\n"), encoding="utf-8")
