"""Whether a holder's growth can end: a memo whose keys repeat is full one day, and some owners throw away.

What cannot end needs no statistics: so many runs tell nothing that these entries do not.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from leaktrace.explain.holder_kinds import are_lost, is_but_itself
from leaktrace.heap import safe
from leaktrace.lines.model import Site
from leaktrace.lines.source import Sources, refers_to


_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_INDEX = re.compile(r"\[[^\]]*\]")
_TAKES_OUT = frozenset({"pop", "popitem", "popleft", "clear", "remove", "discard"})
_LOOKED_AT = 20


def never_repeats(container: object, entries: list[object], newborn: AbstractSet[int], *, grew: int) -> bool:
    """Whether every run must add: to a list it does, to a dict or set only what equals nothing but itself."""
    if safe.inherits(container, dict):
        return are_lost(container, newborn, grew=grew)
    if safe.inherits(container, set):
        latest = entries[-_LOOKED_AT:]
        return bool(latest) and all(id(entry) in newborn and is_but_itself(type(entry)) for entry in latest)
    return safe.inherits(container, list) or safe.inherits(container, deque)


def throws_away(name: str, adding: Site | None, sources: Sources) -> bool:
    """Whether the function that adds to a holder also takes out of it, or calls one of its file that does.

    Args:
        name: the holder's, as the user would write it.
        adding: the line that adds; where it is not known, anything may be.
        sources: reads files.
    """
    tree = sources.tree(adding.file) if adding is not None else None
    named = _IDENTIFIER.findall(_INDEX.sub("", name))
    if adding is None or tree is None or not named:
        return True
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    around = [each for each in functions if each.lineno <= adding.line <= (each.end_lineno or each.lineno)]
    called = {called for each in around for called in _called_in(each)}
    looked_at: list[ast.AST] = [*around, *(each for each in functions if each.name in called)] or [tree]
    return any(_takes_out(each, named[-1]) for each in looked_at)


def _called_in(function: ast.AST) -> Iterator[str]:
    """The names of the functions and methods that are called in one."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr


def _takes_out(function: ast.AST, name: str) -> bool:
    """Whether some code takes entries out of `name`, or puts something else in its place."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TAKES_OUT:
            if refers_to(node.func.value, name):
                return True
        elif isinstance(node, ast.Delete):
            if any(isinstance(target, ast.Subscript) and refers_to(target.value, name) for target in node.targets):
                return True
        elif isinstance(node, ast.Assign) and any(_replaces(target, name) for target in node.targets):
            return True
    return False


def _replaces(target: ast.expr, name: str) -> bool:
    if isinstance(target, ast.Subscript):
        return isinstance(target.slice, ast.Slice) and refers_to(target.value, name)
    return refers_to(target, name)
