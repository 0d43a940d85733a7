"""Weak references, and what clears itself."""

from __future__ import annotations

import weakref
from contextvars import ContextVar


class Session:
    pass


BY_NAME: weakref.WeakValueDictionary[str, Session] = weakref.WeakValueDictionary()
ALIVE: weakref.WeakSet[Session] = weakref.WeakSet()
NOTES: weakref.WeakKeyDictionary[Session, list[int]] = weakref.WeakKeyDictionary()
HANDLERS: list[weakref.WeakMethod] = []
USER: ContextVar[list[str] | None] = ContextVar("clean_user", default=None)


class Widget:
    def redraw(self) -> None: ...


def test_weak_values() -> None:
    session = BY_NAME.setdefault("main", Session())
    assert BY_NAME["main"] is session


def test_weak_set() -> None:
    session = Session()
    ALIVE.add(session)
    assert session in ALIVE


def test_weak_keys() -> None:
    session = Session()
    NOTES[session] = [1, 2]
    assert NOTES[session] == [1, 2]


def test_weak_listeners() -> None:
    widget = Widget()
    HANDLERS.append(weakref.WeakMethod(widget.redraw, HANDLERS.remove))
    assert HANDLERS[-1]() is not None


def test_finalizer() -> None:
    seen: list[int] = []
    session = Session()
    weakref.finalize(session, seen.append, 1)
    del session
    assert seen == [1]


def test_variable_set_and_reset() -> None:
    token = USER.set(["Ada"])
    assert USER.get() == ["Ada"]
    USER.reset(token)
