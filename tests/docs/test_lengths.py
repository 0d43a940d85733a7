"""What is long says why: a function has 40 lines at most, or the reason beside it; a file has 350."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest


SOURCE = Path(__file__).parents[2] / "src" / "leaktrace"
LONGEST_FUNCTION, LONGEST_FILE = 40, 350
REASON = "# Long: "
"""How the comment begins that stands above a function, and above its decorators if it has any."""


def lengths(source: str) -> Iterator[tuple[str, int, bool]]:
    """Each function of a file with its lines, from `def` to its end, and whether a reason stands above it."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            above = min(each.lineno for each in (node, *node.decorator_list)) - 1
            while above and lines[above - 1].strip().startswith("#") and REASON not in lines[above - 1]:
                above -= 1
            reason = above and lines[above - 1].strip().startswith(REASON)
            yield node.name, (node.end_lineno or 0) - node.lineno + 1, bool(reason)


def unexplained(source: str) -> list[str]:
    """The functions that are too long without a reason."""
    return [name for name, length, has_reason in lengths(source) if length > LONGEST_FUNCTION and not has_reason]


def idle_reasons(source: str) -> list[str]:
    """The functions that are short, and yet have a reason to be long."""
    return [name for name, length, has_reason in lengths(source) if length <= LONGEST_FUNCTION and has_reason]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_and_its_functions_are_no_longer_than_can_be_read(path: Path) -> None:
    source = path.read_text(encoding="utf-8")

    assert len(source.splitlines()) <= LONGEST_FILE
    assert (unexplained(source), idle_reasons(source)) == ([], [])


def test_a_long_function_is_found_unless_the_reason_stands_above_it() -> None:
    body = "\n".join(["    pass"] * LONGEST_FUNCTION)
    functions = f"def a():\n{body}\n\n# Long: a table,\n# row by row.\n@cached\ndef b():\n{body}\n\n# A note.\ndef c():\n{body}\n"

    assert unexplained(functions) == ["a", "c"]


def test_a_reason_that_is_no_longer_needed_is_found() -> None:
    assert idle_reasons("# Long: a table.\ndef a():\n    pass\n") == ["a"]
