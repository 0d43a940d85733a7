"""Holders that no Python object is: the interpreter's own lists, extension modules, pytest."""

from __future__ import annotations

import ast
import atexit
import functools
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from leaktrace.explain.labels import grows_here, propagate
from leaktrace.explain.leaked_objects import is_of_interest, label
from leaktrace.explain.model import Holder, Hop
from leaktrace.heap import naming, safe
from leaktrace.heap.growth import living
from leaktrace.heap.naming import Step
from leaktrace.heap.retained import Retained, nearest, retained
from leaktrace.heap.roots import atexit_callbacks
from leaktrace.lines.model import Site
from leaktrace.pristine import gc, sys


_CALLBACKS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
_MOST_CALLBACKS = 50
_ENTRY = 3  # function, arguments, keywords


@dataclass(slots=True)
class Beyond:
    """A holder outside of Python's object graph.

    Attributes:
        holder: as the report shows it.
        leaked: type of the leaked thing.
        label: what the leaked thing is called.
        kept: what would be released.
        remove: takes the new entries out; None where that cannot be done.
        entries: how many.
        changes: a number that rises when the holder is added to; None where that cannot be seen.
    """

    holder: Holder
    leaked: type | None
    label: str
    kept: Retained | None = None
    remove: Callable[[], object] | None = None
    entries: int = 0
    changes: Callable[[], int] | None = None


def in_itself(newborn: set[int], *, runs: int) -> Beyond | None:
    """Classes whose `__class__` is themselves: the collector does not see that reference, so they stay for ever."""
    kept = [obj for obj in living(newborn) if id(type(obj)) == id(obj)]
    if 2 * len(kept) < runs:
        return None
    name = safe.class_name(kept[-1])
    why = "its __class__ is itself, a reference that the collector does not see"
    hop = Hop(edge="", name=f"class {name}", type="type", leaking="YES", reason=why)
    per_run = round(len(kept) / runs, 3)
    holder = Holder(name=f"class {name} itself", kind="self-class", path=(hop,), entries_per_run=per_run)
    return Beyond(holder, None, f"class {name}")


def at_exit(newborn: set[int], *, per_run: float) -> Beyond | None:
    """The functions registered for the interpreter's end, when their number rises.

    The interpreter does not show them: they are the newborn callables to which nothing but its own entries refers.
    """
    waiting = [obj for obj in living(newborn) if any(type(obj) is kind for kind in _CALLBACKS)][:_MOST_CALLBACKS]
    callbacks = [obj for obj in waiting if _is_held_by_entries(obj, waiting)]
    del waiting
    if not callbacks:
        return None
    kept = retained(callbacks, newborn)
    way = nearest(callbacks[-1:], newborn, is_of_interest) or callbacks[-1:]
    top = Step(callbacks, "atexit callbacks", "atexit", "atexit callbacks")
    hops = [
        Hop(edge="", name="the interpreter", type="", leaking="NO", reason="it lives as long as the process"),
        Hop(edge=top.edge, name=top.name, type="", leaking="UNKNOWN", reason=grows_here("callbacks", per_run)),
        *(_born(step) for step in naming.cached(top, way)),
    ]
    holder = Holder(
        name="atexit callbacks",
        kind="atexit",
        path=propagate(hops),
        entries_per_run=round(per_run, 3),
        retained_bytes_per_run=None,
    )
    count = len(callbacks)

    def remove() -> None:
        while callbacks:
            atexit.unregister(callbacks.pop())

    return Beyond(holder, type(way[-1]), label(way[-1]), kept, remove, count, atexit_callbacks)


def _is_held_by_entries(callback: Any, ours: list[Any]) -> bool:
    """Whether all that can be seen to refer to it is our list and, since CPython 3.14, the entry at the interpreter."""
    for holder in gc.get_referrers(callback):
        if holder is ours:
            continue
        if type(holder) is not tuple or len(holder) != _ENTRY or holder[0] is not callback:
            return False
        lists = [len(each) for each in gc.get_referrers(holder) if type(each) is list]
        if atexit_callbacks() not in lists:
            return False
    return True


def in_c_code(survivors: set[int], kind: str, *, per_run: float, sites: Sequence[Site]) -> Beyond | None:
    """Survivors to which no named root leads: a reference in, or lost by, an extension module."""
    things = living(survivors)
    if not things:
        return None
    called = next(filter(None, map(called_from, sites)), None)
    what = label(things[-1])
    name = f"C code in module {called!r}" if called else "C code"
    hops = (
        Hop(edge="", name=name, type="", leaking="UNKNOWN", reason=grows_here("references", per_run)),
        Hop(
            edge="",
            name=f"{what} held by {name}",
            type=kind,
            leaking="YES",
            reason="created in these runs; no Python object refers to it",
        ),
    )
    holder = Holder(name=f"held by {name}", kind="c-code", path=hops, entries_per_run=round(per_run, 3))
    return Beyond(holder, type(things[-1]), what)


def called_from(site: Site) -> str | None:
    """The extension module that a line calls, when one of the names on the line leads to it."""
    code = site.code.split("\n", 1)[0].strip()
    module = next((m for m in list(dict.values(sys.modules)) if _file(m) == site.file), None)
    globals_ = safe.module_namespace(module) if module is not None else None
    if globals_ is None:
        return None
    try:
        tree = ast.parse(code if not code.endswith(":") else f"{code} ...")
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            target = _resolve(node.func, globals_)
            found = _extension_of(target)
            if found is not None:
                return found
    return None


def _resolve(node: ast.AST, globals_: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return globals_.get(node.id)
    if not isinstance(node, ast.Attribute):
        return None
    owner = _resolve(node.value, globals_)
    if owner is None:
        return None
    if safe.inherits(owner, types.ModuleType):
        return (safe.module_namespace(owner) or {}).get(node.attr)
    cls = owner if safe.inherits(owner, type) else type(owner)
    return safe.class_attribute(cls, node.attr)


def _extension_of(target: Any) -> str | None:
    """The package of a function or class that is written in C and not the interpreter's own."""
    if safe.inherits(target, type):
        name: Any = safe.module_of(target)
        if safe.is_heap_type(target) and (_file(sys.modules.get(name)) or "").endswith(".py"):
            return None  # a class statement made it
    elif type(target) is types.BuiltinFunctionType:
        name = target.__module__
    elif type(target) is types.MethodDescriptorType:
        name = safe.module_of(target.__objclass__)
    else:
        return None
    if type(name) is not str or name.split(".")[0] in sys.stdlib_module_names:
        return None
    return name


def _file(module: Any) -> str | None:
    if not safe.inherits(module, types.ModuleType):
        return None
    file = (safe.module_namespace(module) or {}).get("__file__")
    return file if type(file) is str else None


def _born(step: Step) -> Hop:
    why = "created in these runs"
    named = safe.callable_name(step.obj)
    return Hop(
        edge=step.edge,
        name=step.name,
        type=safe.type_name(step.obj),
        leaking="YES",
        reason=f"{why}: {named}()" if named else why,
    )
