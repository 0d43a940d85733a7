"""How an object refers to its attribute: in a namespace, in a slot, or inline, as a version of CPython keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leaktrace.heap import safe


@dataclass(frozen=True, slots=True)
class Edge:
    """One reference by name.

    Attributes:
        text: what follows the name so far; "" where the name stays.
        kind: the kind of holder that this reference makes, or "".
        takes: how many objects of the path it covers.
        whole: a name that replaces all before, for what has a name of its own.
    """

    text: str
    kind: str = ""
    takes: int = 1
    whole: str = ""


def storage_edge(names: Any, rest: Sequence[Any], kind: str) -> Edge:
    """A namespace between an owner and its attribute: `rest[0]` is the namespace, `rest[1]` the attribute."""
    name = key_of(names, rest[1])
    if type(name) is str:
        return Edge(f".{name}" if name.isidentifier() else f".__dict__[{name!r}]", kind, 2)
    return Edge(".__dict__", kind)


def key_of(mapping: dict[Any, Any], child: Any) -> Any:
    """The key of a value, by identity; None where it is not there."""
    for key, value in dict.items(mapping):
        if value is child:
            return key
    return None


def instance_edge(parent: Any, rest: Sequence[Any]) -> Edge | None:
    """An attribute of an instance: in a slot, in its dict, or inline."""
    child = rest[0]
    if child is type(parent):
        return Edge("", "", 1, safe.class_name(child))
    names = safe.instance_namespace(parent)
    if names is not None:
        if child is names:
            inner = storage_edge(names, rest, "instance-container") if len(rest) > 1 else Edge(".__dict__")
            return _of_class(parent, rest[inner.takes - 1], inner) or _unwrapped(parent, inner)
        name = key_of(names, child)
        if type(name) is str:
            inner = Edge(f".{name}", "instance-container")
            return _of_class(parent, child, inner) or _unwrapped(parent, inner)
    for name, value in safe.member_values(parent):
        if value is child:
            return Edge(f".{name}", "instance-container")
    return None


def _of_class(parent: Any, child: Any, edge: Edge) -> Edge | None:
    """What an instance shares with its class is the class's: which of the instances was met first is chance."""
    for base in safe.mro(type(parent)):
        if safe.namespace(base).get(edge.text.removeprefix(".")) is child:
            return Edge(edge.text, "class-container", edge.takes, safe.class_name(base))
    return None


def _unwrapped(parent: Any, edge: Edge) -> Edge:
    """The data of a wrapper around a container is the container, to a user."""
    wrappers = ("weakref", "_weakrefset", "collections")
    wraps = any(safe.module_of(cls) in wrappers for cls in safe.mro(type(parent)))
    return Edge("", "", edge.takes) if edge.text == ".data" and wraps else edge
