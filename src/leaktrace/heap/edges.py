"""How one object refers to the next, as the user would write it: a table of namers by type."""

from __future__ import annotations

import functools
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from leaktrace.heap import safe
from leaktrace.heap.attributes import Edge, instance_edge, key_of, storage_edge
from leaktrace.heap.containers import lru_caches
from leaktrace.pristine import threading


Namer = Callable[[Any, Sequence[Any]], "Edge | None"]


def edge_between(parent: Any, rest: Sequence[Any]) -> Edge:
    """Name the way from `parent` to `rest[0]`, or to a later one where those between are mere storage."""
    for base in safe.mro(type(parent)):
        for kind, namer in namers():
            if kind is base:
                found = namer(parent, rest)
                if found is not None:
                    return found
    return instance_edge(parent, rest) or Edge(f" (inside {safe.type_name(parent)})", "c-code")


def namers() -> tuple[tuple[type, Namer], ...]:
    """The table: which type's references are named by what."""
    return (
        (types.ModuleType, _module),
        (dict, _mapping),
        (list, _list),
        (tuple, _tuple),
        (set, _element),
        (frozenset, _element),
        (deque, _deque),
        (type, _class),
        (types.FunctionType, _function),
        (types.CellType, _only(".cell_contents", "closure")),
        (types.MethodType, _attributes(("__self__", ".__self__", ""), ("__func__", ".__func__", ""))),
        (types.BuiltinFunctionType, _attributes(("__self__", ".__self__", ""))),
        (functools.partial, _partial),
        (lru_caches(), _lru_cache),
        (staticmethod, _attributes(("__func__", ".__func__", ""))),
        (classmethod, _attributes(("__func__", ".__func__", ""))),
        (property, _attributes(("fget", ".fget", ""), ("fset", ".fset", ""), ("fdel", ".fdel", ""))),
        (types.GeneratorType, _suspended("gi", "generator")),
        (types.CoroutineType, _suspended("cr", "coroutine")),
        (types.AsyncGeneratorType, _suspended("ag", "async generator")),
        (types.FrameType, _frame),
        (types.TracebackType, _attributes(("tb_frame", ".tb_frame", ""), ("tb_next", ".tb_next", ""))),
        (BaseException, _exception),
        (weakref.ref, _attributes(("__callback__", ".__callback__", "weakref-callback"))),
        (threading.local, _thread_local),
        (types.MappingProxyType, _only("", "")),
        (types.GenericAlias, _attributes(("__origin__", ".__origin__", ""), ("__args__", ".__args__", ""))),
    )


def _only(text: str, kind: str) -> Namer:
    return lambda _parent, _rest: Edge(text, kind)


def _attributes(*table: tuple[str, str, str]) -> Namer:
    """For builtin types whose attributes are C members: compare each with the child."""

    def name(parent: Any, rest: Sequence[Any]) -> Edge | None:
        for attribute, text, kind in table:
            for base in safe.mro(type(parent)):
                member = safe.namespace(base).get(attribute)
                if type(member) is types.MemberDescriptorType or type(member) is types.GetSetDescriptorType:
                    if member.__get__(parent, type(parent)) is rest[0]:
                        return Edge(text, kind)
                    break
        return None

    return name


def _module(parent: Any, rest: Sequence[Any]) -> Edge:
    globals_ = safe.module_namespace(parent)
    if rest[0] is not globals_:
        name = (globals_ or {}).get("__name__")
        return Edge(f" (inside C module {name!r})" if type(name) is str else " (inside a C module)", "c-code")
    return storage_edge(globals_, rest, "module-container") if len(rest) > 1 else Edge(".__dict__", "module-container")


def _mapping(parent: dict[Any, Any], rest: Sequence[Any]) -> Edge | None:
    child = rest[0]
    for key, value in dict.items(parent):
        if value is child:
            return Edge(f"[{safe.key_text(key)}]", "")
    for key in dict.keys(parent):
        if key is child:
            return Edge(f" (key of type {safe.type_name(child)})", "")
    return None


def _position(items: Iterable[Any], child: Any) -> Edge | None:
    for index, item in enumerate(items):
        if item is child:
            return Edge(f"[{index}]")
    return None


def _list(parent: list[Any], rest: Sequence[Any]) -> Edge | None:
    return _position(list.__iter__(parent), rest[0])


def _tuple(parent: tuple[Any, ...], rest: Sequence[Any]) -> Edge | None:
    found = _position(tuple.__iter__(parent), rest[0])
    fields = safe.class_attribute(type(parent), "_fields")
    if found and type(fields) is tuple and len(fields) == tuple.__len__(parent):
        return Edge(f".{fields[int(found.text[1:-1])]}")
    return found


def _deque(parent: deque[Any], rest: Sequence[Any]) -> Edge | None:
    try:
        return _position(deque.__iter__(parent), rest[0])
    except RuntimeError:  # another thread is at it
        return Edge("[…]")


def _element(parent: Any, rest: Sequence[Any]) -> Edge | None:
    walk = set.__iter__ if safe.inherits(parent, set) else frozenset.__iter__
    return Edge("{…}") if any(item is rest[0] for item in walk(parent)) else None


def _class(parent: type, rest: Sequence[Any]) -> Edge:
    whole = safe.class_name(parent)
    child = rest[0]
    if type(child) is dict:
        inner = storage_edge(child, rest, "class-container") if len(rest) > 1 else Edge(".__dict__", "class-container")
        return Edge(inner.text, inner.kind, inner.takes, whole)
    for attribute in ("__bases__", "__mro__"):
        if child is type.__dict__[attribute].__get__(parent):
            return Edge(f".{attribute}", "", 1, whole)
    return Edge(" (inside its class)", "", 1, whole)


def _function(parent: Any, rest: Sequence[Any]) -> Edge:
    child: Any = rest[0]
    whole = safe.function_name(parent)
    if child is parent.__globals__:
        module = child.get("__name__")
        inner = (
            storage_edge(child, rest, "module-container") if len(rest) > 1 else Edge(".__dict__", "module-container")
        )
        return Edge(inner.text, inner.kind, inner.takes, module if type(module) is str else f"{whole}.__globals__")
    if child is parent.__closure__ and len(rest) > 1:
        takes = 3 if len(rest) > 2 and type(rest[1]) is types.CellType else 2  # noqa: PLR2004 - tuple, cell, value
        for name, cell in zip(parent.__code__.co_freevars, child, strict=False):
            if cell is rest[1]:
                return Edge(f" (closure variable {name!r})", "closure", takes, whole)
    if child is parent.__defaults__ and len(rest) > 1:
        code = parent.__code__
        names = code.co_varnames[: code.co_argcount][-len(child) :]
        for name, value in zip(names, child, strict=False):
            if value is rest[1]:
                return Edge(f" (default of {name!r})", "default-argument", 2, whole)
    if child is parent.__kwdefaults__ and len(rest) > 1:
        return Edge(f" (default of {key_of(child, rest[1])!r})", "default-argument", 2, whole)
    if type(child) is dict:
        inner = storage_edge(child, rest, "function-attribute") if len(rest) > 1 else Edge(".__dict__")
        return Edge(inner.text, "function-attribute", inner.takes, whole)
    return Edge(" (inside the function)", "", 1, whole)


def _partial(parent: Any, rest: Sequence[Any]) -> Edge | None:
    for attribute in ("args", "keywords", "func"):
        value = functools.partial.__dict__[attribute].__get__(parent, functools.partial)
        if value is not rest[0]:
            continue
        if attribute != "func" and len(rest) > 1:
            inner = edge_between(value, rest[1:])
            return Edge(f".{attribute}{inner.text}", "partial", 1 + inner.takes)
        return Edge(f".{attribute}", "partial")
    return None


def _lru_cache(parent: Any, rest: Sequence[Any]) -> Edge | None:
    names = safe.instance_namespace(parent)
    if rest[0] is names:
        return storage_edge(rest[0], rest, "function-attribute") if len(rest) > 1 else Edge(".__dict__")
    wrapped = (names or {}).get("__wrapped__")
    if rest[0] is wrapped:
        return Edge(".__wrapped__")
    function = safe.function_name(wrapped) if type(wrapped) is types.FunctionType else ""
    return Edge(f" (lru_cache of {function})" if function else " (lru_cache)", "lru-cache")


def _suspended(prefix: str, noun: str) -> Namer:
    def name(parent: Any, rest: Sequence[Any]) -> Edge:
        function = parent.__qualname__.replace(".<locals>", "") or getattr(parent, f"{prefix}_code").co_name
        local = _local(getattr(parent, f"{prefix}_frame"), rest[0])
        where = f": local {local!r}" if local else ""
        return Edge(f" ({noun} {function}(){where})", "generator")

    return name


def _local(frame: types.FrameType | None, child: Any) -> str | None:
    if frame is None:
        return None
    held = frame.f_locals
    name = key_of(dict(held), child) if type(held) is dict or type(held).__name__ == "FrameLocalsProxy" else None
    return name if type(name) is str else None


def _frame(parent: types.FrameType, rest: Sequence[Any]) -> Edge:
    if rest[0] is parent.f_back:
        return Edge(".f_back", "frame")
    local = _local(parent, rest[0])
    function = parent.f_code.co_qualname.replace(".<locals>", "")
    return Edge(f": local {local!r} in {function}()" if local else f": {function}()", "frame")


def _exception(parent: BaseException, rest: Sequence[Any]) -> Edge | None:
    named = _attributes(
        ("__traceback__", ".__traceback__", "exception"),
        ("__context__", ".__context__", "exception"),
        ("__cause__", ".__cause__", "exception"),
        ("args", ".args", "exception"),
    )(parent, rest)
    return named or instance_edge(parent, rest)


def _thread_local(_parent: Any, rest: Sequence[Any]) -> Edge:
    for depth, link in enumerate(rest):
        if type(link) is dict and depth + 1 < len(rest):
            name = key_of(link, rest[depth + 1])
            if type(name) is str:
                return Edge(f".{name}", "thread-local", depth + 2)
    return Edge(" (its values)", "thread-local", len(rest))
