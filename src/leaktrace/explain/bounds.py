"""What bounds a holder: a limit that its owner declares, a limit that its module compares its length with.

A number is a bound only where the holder has not passed it.
"""

from __future__ import annotations

import ast
import re
import types
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from leaktrace.heap import safe
from leaktrace.heap.containers import fill_of
from leaktrace.heap.naming import Step
from leaktrace.lines.source import Sources, refers_to
from leaktrace.pristine import sys


DECLARED = (
    "maxsize",
    "_maxsize",
    "max_size",
    "_max_size",
    "_Cache__maxsize",
    "maxlen",
    "_maxlen",
    "capacity",
    "max_entries",
)
_NAME = re.compile(r"\.?([A-Za-z_]\w*)$")
_LEAST = 2
"""`len(x) > 0` and `len(x) >= 1` ask whether there is something, and bound nothing."""
_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_OWNERS = 3
"""How many owners above a container are asked: a cache wraps a store, which wraps a dict."""


def bound_of(steps: Sequence[Step]) -> tuple[int, int] | None:
    """How many entries the container at the end takes at most, and has now; None where nothing bounds it."""
    container = steps[-1].obj
    owner = steps[-2].obj if len(steps) > 1 else None
    if (fill := fill_of(owner)) is not None:
        return (fill[0], fill[1]) if fill[0] is not None else None
    if safe.inherits(container, deque):
        bound = deque.__dict__["maxlen"].__get__(container)
        if bound is not None:
            return bound, deque.__len__(container)
    filled = _length(container)
    if filled is None:
        return None
    for most in (*_declared(steps), *_compared(steps)):
        if filled <= most:
            return most, filled
    return None


def _length(container: object) -> int | None:
    for base in (dict, list, deque, set):
        if safe.inherits(container, base):
            return base.__len__(container)  # type: ignore[arg-type]
    return None


def _declared(steps: Sequence[Step]) -> Iterator[int]:
    """The bounds that the objects above a container declare by an attribute of a usual name."""
    for step in reversed(steps[-1 - _OWNERS : -1]):
        if safe.inherits(step.obj, type) or type(step.obj) is types.ModuleType:
            return
        names = _attributes(step.obj)
        slack = names.get("threshold")  # SQLAlchemy's LRUCache, among others, may overshoot by this share
        for name in DECLARED:
            bound = names.get(name)
            if type(bound) is int and bound > 0:
                yield int(bound * (1 + slack)) if type(slack) is float and 0 < slack <= 1 else bound


def _attributes(owner: object) -> dict[str, object]:
    """What an object has by itself, and what its class says for all."""
    found: dict[str, object] = {}
    for cls in reversed(safe.mro(type(owner))):
        found.update((name, value) for name, value in safe.namespace(cls).items() if type(value) is int)
    return {**found, **dict(safe.member_values(owner)), **(safe.instance_namespace(owner) or {})}


def _compared(steps: Sequence[Step]) -> Iterator[int]:
    """The numbers that the code around a container compares its length with: `if len(_cache) >= _MAXCACHE:`."""
    called = _NAME.search(steps[-1].edge or steps[-1].name)
    owner = steps[-2].obj if len(steps) > 1 else None
    module = _module_of(owner)
    if called is None or module is None:
        return
    tree = _parsed(module)
    if tree is None:
        return
    known = {**(safe.module_namespace(module) or {}), **(_attributes(owner) if owner is not module else {})}
    for branch in ast.walk(tree):
        if isinstance(branch, ast.If | ast.While) and _limits(branch, called[1]):
            yield from _limits_in(branch.test, called[1], known)


def _limits_in(test: ast.expr, name: str, known: Mapping[str, object]) -> Iterator[int]:
    """The numbers that a condition compares the length of `name` with."""
    for comparison in ast.walk(test):
        if not isinstance(comparison, ast.Compare) or not isinstance(comparison.ops[0], _ORDERS):
            continue
        sides = (comparison.left, comparison.comparators[0])
        for one, other in (sides, sides[::-1]):
            bound = _number(other, known) if _is_length_of(one, name) else None
            if bound is not None and bound >= _LEAST:
                yield bound


def _limits(branch: ast.If | ast.While, name: str) -> bool:
    """Whether what follows a condition has to do with `name`, or goes no further: a mere warning limits nothing."""
    for statement in (*branch.body, *branch.orelse):
        for node in ast.walk(statement):
            if isinstance(node, ast.Raise | ast.Return | ast.Break) or refers_to(node, name):
                return True
    return False


def _module_of(owner: object) -> types.ModuleType | None:
    """The module whose code keeps what belongs to an owner: itself, or that of its class."""
    if type(owner) is types.ModuleType:
        return owner
    cls = owner if safe.inherits(owner, type) else type(owner)
    found = sys.modules.get(safe.module_of(cls))  # type: ignore[arg-type]
    return found if type(found) is types.ModuleType else None


def _parsed(module: types.ModuleType) -> ast.Module | None:
    """The syntax tree of a module's source file, where it has one."""
    file = (safe.module_namespace(module) or {}).get("__file__")
    if type(file) is not str or not file.endswith(".py"):
        return None
    return Sources().tree(file)


def _is_length_of(node: ast.expr, name: str) -> bool:
    """Whether an expression is `len(name)`, or `len(x.name)`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and node.args):
        return False
    return refers_to(node.args[0], name)


def _number(node: ast.expr, known: Mapping[str, object]) -> int | None:
    """The value of a literal, of a name of the module, or of an attribute of the owner."""
    if isinstance(node, ast.Constant):
        value: object = node.value
    elif isinstance(node, ast.Name):
        value = known.get(node.id)
    elif isinstance(node, ast.Attribute):
        value = known.get(node.attr)
    else:
        return None
    return value if type(value) is int else None
