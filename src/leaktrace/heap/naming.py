"""A path of objects → hops that a user can read."""

from __future__ import annotations

import ast
import tokenize
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leaktrace.heap import safe
from leaktrace.heap.attributes import Edge
from leaktrace.heap.edges import edge_between
from leaktrace.heap.roots import Root, thread_name
from leaktrace.pristine import sys, threading


_LONGEST_NAME = 400


@dataclass(frozen=True, slots=True)
class Step:
    """One named object of a path: the object, how it was reached, and its whole name."""

    obj: Any
    edge: str
    kind: str
    name: str


def steps(root: Root, path: Sequence[Any]) -> list[Step]:
    """Name every object of a path that a user would; the first step is the root itself."""
    start = Step(root.obj, root.name, root.kind, root.name)
    return _homed([start, *onward(start, path[1:])])


def onward(last: Step, way: Sequence[Any]) -> list[Step]:
    """Name the objects that follow a named one."""
    path = [last.obj, *way]
    named = [last]
    index = 0
    while index + 1 < len(path):
        edge = edge_between(path[index], path[index + 1 :])
        index += max(1, edge.takes)
        step = _step(named, edge, path[min(index, len(path) - 1)])
        if not edge.text and not edge.whole and len(named) > 1:
            named[-1] = Step(step.obj, named[-1].edge, named[-1].kind, step.name)  # mere storage of the one before
        else:
            named.append(step)
    return named[1:]


def cached(last: Step, way: Sequence[Any]) -> list[Step]:
    """Name a result inside a C cache, whose keys say nothing to a user, and what follows it."""
    if not way:
        return []
    first = Step(way[0], "[…]", "", f"{last.name}[…]")
    return [first, *onward(first, way[1:])]


def _step(named: list[Step], edge: Edge, obj: Any) -> Step:
    base = edge.whole or named[-1].name
    if edge.kind == "lru-cache" and base.rsplit(".", 1)[-1] == edge.text[:-1].rsplit(".", 1)[-1]:
        edge = Edge(" (lru_cache)", edge.kind, edge.takes)
    name = _known_by(obj) or _familiar(f"{base}{edge.text}")
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME // 2]}…{name[-_LONGEST_NAME // 4 :]}"
    return Step(obj, edge.text or edge.whole, edge.kind, name)


def _familiar(name: str) -> str:
    """Names that users know better than the attribute that they were found under."""
    for prefix, (before, after) in _FAMILIAR.items():
        if name.startswith(prefix) and "]" in name[len(prefix) :]:
            key, rest = name[len(prefix) :].split("]", 1)
            return f"{before}{key}{after}{rest}"
    return name


_FAMILIAR = {"os.environ._data[": ("os.environ[", "]")}


def _known_by(obj: Any) -> str | None:
    """The name that a thread or a logger goes by, wherever it was found."""
    if safe.inherits(obj, threading.Thread):
        return f"thread {thread_name(obj)!r}"
    logging = sys.modules.get("logging")
    if logging is not None and safe.inherits(obj, logging.Logger):
        name = (safe.instance_namespace(obj) or {}).get("name")
        return f"logging.getLogger({name!r})" if type(name) is str else None
    return None


def _homed(named: list[Step]) -> list[Step]:
    """Name a module's attribute by the module that defines it, not by one that imported it from there."""
    if len(named) < 2 or type(named[0].obj) is not types.ModuleType or named[1].kind != "module-container":  # noqa: PLR2004
        return named
    old, value = named[1].name, named[1].obj
    home = _home(named[0].obj, named[1].edge.removeprefix("."), value)
    if home is None:
        return named
    module, attribute = home
    new = f"{module}.{attribute}"
    swapped = [
        Step(sys.modules[module], module, named[0].kind, module),
        Step(value, f".{attribute}", named[1].kind, new),
    ]
    for step in named[2:]:
        name = new + step.name.removeprefix(old) if step.name.startswith(old) else step.name
        swapped.append(Step(step.obj, step.edge, step.kind, name))
    return swapped


def _home(module: types.ModuleType, attribute: str, value: Any) -> tuple[str, str] | None:
    """The module and name under which `value` was assigned, where that is another than the one given."""
    if safe.inherits(value, type) or type(value) is types.FunctionType:
        defined = safe.module_of(value) if safe.inherits(value, type) else value.__module__
        other = dict.get(sys.modules, defined) if type(defined) is str else None
        if other is not None and safe.inherits(other, types.ModuleType) and _has(other, attribute, value):
            return (defined, attribute) if other is not module else None
    sharing = [
        (name, other)
        for name, other in list(dict.items(sys.modules))
        if type(name) is str and safe.inherits(other, types.ModuleType) and _has(other, attribute, value)
    ]
    if len(sharing) < 2:  # noqa: PLR2004 - itself only
        return None
    owner = safe.module_of(type(value))
    makers = [name for name, other in sharing if assigns(other, attribute)] or [n for n, _ in sharing if n == owner]
    if not makers:
        return None
    best = owner if owner in makers else makers[0]
    return None if sys.modules[best] is module else (best, attribute)


def _has(module: types.ModuleType, attribute: str, value: Any) -> bool:
    return (safe.module_namespace(module) or {}).get(attribute) is value


def assigns(module: types.ModuleType, attribute: str) -> bool:
    """Whether the source of a module assigns a name at its top level, rather than importing it."""
    file = (safe.module_namespace(module) or {}).get("__file__")
    if type(file) is not str or not file.endswith(".py"):
        return False
    try:
        with tokenize.open(file) as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return False
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            for name in ast.walk(target) if target is not None else ():
                if isinstance(name, ast.Name) and name.id == attribute:
                    return True
    return False
