"""One named place that holds one thing: an attribute of a module, a class, an instance, or a key of a dict."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import partial
from typing import Any

from leaktrace.heap import safe
from leaktrace.lines.allocations import Stack


_OF_EXCEPTIONS = ("__traceback__", "__cause__", "__context__")


class Slot:
    """A place that can be read and emptied; keeps its owner alive, never the thing in it."""

    __slots__ = ("_changes", "_last", "_read", "cut", "raised")

    def __init__(
        self, read: Callable[[], Any], cut: Callable[[], object], *, raised: Callable[[], Stack] | None = None
    ) -> None:
        self._read, self.raised = read, raised
        self._last, self._changes = id(read()), 0
        self.cut = cut
        """Puts None in its place."""

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
        if type(key) is not str:
            return None
        return Slot(lambda: safe.namespace(parent).get(key), lambda: type.__setattr__(parent, key, None))
    if safe.inherits(parent, BaseException):
        for name in _OF_EXCEPTIONS:  # CPython's own descriptors: no code of the user's runs
            place = BaseException.__dict__[name]
            if place.__get__(parent) is child:
                raised = _raised_since(child, parent) if type(child) is types.TracebackType else None
                return Slot(partial(place.__get__, parent), partial(place.__set__, parent, None), raised=raised)
    if type(parent) is types.ModuleType:
        names = safe.module_namespace(parent)
    else:
        names = parent if type(parent) is dict else safe.instance_namespace(parent)
    if names is None:
        return None
    key = _key(names, child)
    if key is None or not safe.is_plain(key):
        return None
    return Slot(lambda: dict.get(names, key), lambda: dict.__setitem__(names, key, None))


def _raised_since(head: types.TracebackType, exception: BaseException) -> Callable[[], Stack]:
    """A function that tells the stack of the latest raise, innermost first; each one puts its lines before the `head`.

    A traceback is put into its exception where it is caught (up to CPython 3.11): no trace function sees the raise.
    """
    old = id(head)

    def raised() -> Stack:
        lines: list[tuple[str, int]] = []
        step = BaseException.__dict__["__traceback__"].__get__(exception)
        while step is not None and id(step) != old:
            lines.append((step.tb_frame.f_code.co_filename, step.tb_lineno))
            step = step.tb_next
        return tuple(reversed(lines))

    return raised


def _key(names: dict[Any, Any], child: Any) -> Any:
    return next((key for key, value in dict.items(names) if value is child), None)
