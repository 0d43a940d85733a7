"""What a case of harm is: a small suite with a plugin, and what of its files may differ from run to run."""

from __future__ import annotations

from dataclasses import dataclass, field


LEAK = "test_shop.py::test_keeps_each_order"
"""The one test of every suite that leaks."""
SHOP = """
import pytest

KEPT = []


@pytest.fixture(scope="module")
def stock():
    return {"tea": 3, "cups": 7}


def test_keeps_each_order():
    KEPT.append(b"x" * 20_000_000)


def test_counts(stock):
    assert sum(stock.values()) == 10


@pytest.mark.parametrize("name", ["tea", "cups"])
def test_has(stock, name, tmp_path):
    (tmp_path / name).write_text(str(stock[name]))
    assert stock[name] > 0


def test_is_not_done_yet():
    pytest.skip("not done yet")


def test_has_no_milk(stock):
    assert "milk" in stock
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What in some files may differ between any two runs, and why.

    Attributes:
        files: a pattern of names below the root.
        reader: how such a file is made comparable: `text`, `json`, `sqlite`, `profile`, or `name` alone.
        words: for `text`, patterns taken out; for `json` and `sqlite`, names of fields and columns taken out.
        why: in a few words, for the table.
    """

    files: str
    reader: str
    why: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One plugin, used as its users do.

    Attributes:
        needs: what to install.
        plugins: names under which pytest loads it.
        args: what its users give.
        files: the suite, besides `test_shop.py`.
        before: arguments of runs that come first, plain in every mode: a snapshot to be made, a test that failed last.
        environ: variables of the environment.
        orderly: whether tests run in one order; in two workers they do not.
        leaks: whether the leak is in a process that we can see; None where that is open.
        told: patterns of its own output that differ from run to run, and what takes their place.
    """

    name: str
    needs: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    before: tuple[tuple[str, ...], ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    orderly: bool = True
    leaks: bool | None = True
    told: tuple[tuple[str, str], ...] = ()
    shop: str = SHOP


ALWAYS = (
    Rule(files="*.pyc", reader="name", why="the interpreter's bytecode holds how often its constants were referred to"),
    Rule(files=".pytest_cache/*/leaktrace*", reader="absent", why="our own folder"),
    Rule(files=".pytest_cache/d", reader="absent", why="made for it by pytest's cache"),
    Rule(files=".pytest_cache/v/cache/nodeids", reader="json", why="a list of names"),
)
