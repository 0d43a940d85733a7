"""One named place that holds one thing: an attribute of a module, a class or an instance, or a key of a dict."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from leaktrace.trace import safe


class Slot:
    """A place by owner and name; keeps the owner alive, never the thing in it."""

    __slots__ = ("_changes", "_key", "_last", "_owner", "_read")

    def __init__(self, owner: Any, key: Any, read: Callable[[], Any]) -> None:
        self._owner, self._key, self._read = owner, key, read
        self._last, self._changes = id(read()), 0

    def cut(self) -> None:
        """Put None in its place."""
        if safe.inherits(self._owner, type):
            type.__setattr__(self._owner, self._key, None)
        else:
            dict.__setitem__(self._owner, self._key, None)

    def changes(self) -> int:
        """How often something else was found there since the first look."""
        now = id(self._read())
        if now != self._last:
            self._last, self._changes = now, self._changes + 1
        return self._changes


def slot_of(parent: Any, child: Any) -> Slot | None:
    """The place in `parent` that holds `child`; None where it has no plain name."""
    if safe.inherits(parent, type):
        key = _key(dict(safe.namespace(parent)), child)
        return Slot(parent, key, lambda: safe.namespace(parent).get(key)) if type(key) is str else None
    if type(parent) is types.ModuleType:
        names = safe.module_namespace(parent)
    else:
        names = parent if type(parent) is dict else safe.instance_namespace(parent)
    if names is None:
        return None
    key = _key(names, child)
    return Slot(names, key, lambda: dict.get(names, key)) if key is not None and safe.is_plain(key) else None


def _key(names: dict[Any, Any], child: Any) -> Any:
    return next((key for key, value in dict.items(names) if value is child), None)
