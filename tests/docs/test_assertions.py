"""No test of ours passes whatever happens: each asserts something, itself or by a helper of its own module."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest


TESTS = Path(__file__).parents[1]
RAISING = {"raises", "warns", "fail", "deprecated_call"}
COMPARING = {"same", "fnmatch_lines"}
"""Of the harness and of pytester: they compare, and fail."""


def asserts(function: ast.AST, helpers: Mapping[str, ast.AST], seen: tuple[str, ...] = ()) -> bool:
    """Whether a function asserts, or calls one of its module that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            expects = any(each.arg == "expect" for each in node.keywords)
            if expects or name in RAISING | COMPARING or name.startswith(("assert_", "check")):
                return True
            if name in helpers and name not in seen and asserts(helpers[name], helpers, (*seen, name)):
                return True
    return False


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.name)
def test_every_test_asserts_something(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    helpers = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    silent = [name for name, node in helpers.items() if name.startswith("test_") and not asserts(node, helpers)]
    assert silent == []


def test_a_test_without_an_assertion_is_found() -> None:
    tree = ast.parse("def helper(): assert 1\ndef test_a(): helper()\ndef test_b(): print(1)\n")
    helpers = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert [asserts(node, helpers) for node in tree.body] == [True, True, False]
