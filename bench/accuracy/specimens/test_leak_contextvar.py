"""Context variables whose values grow, or that are never reset."""

from __future__ import annotations

import itertools
from contextvars import Context, ContextVar, Token, copy_context


SPANS: ContextVar[list[dict[str, str]]] = ContextVar("spans")
SCOPE: ContextVar[dict[str, object] | None] = ContextVar("scope", default=None)
USER: ContextVar[list[str]] = ContextVar("user")
REQUEST: ContextVar[list[str]] = ContextVar("request")
DEFAULT: ContextVar[list[object]] = ContextVar("default", default=[])
TOKENS: list[Token[list[str]]] = []
SNAPSHOTS: list[Context] = []
NUMBERS = itertools.count()


def test_list_in_a_variable() -> None:
    if SPANS.get(None) is None:
        SPANS.set([])
    SPANS.get().append({"name": "request"})
    assert SPANS.get()


def test_scopes_that_hold_their_parent() -> None:
    SCOPE.set({"name": "child", "parent": SCOPE.get()})
    assert SCOPE.get()


def test_tokens_never_used() -> None:
    TOKENS.append(USER.set(["Ada"]))
    assert USER.get() == ["Ada"]


def test_contexts_kept() -> None:
    context = copy_context()
    context.run(REQUEST.set, ["GET", "/"])
    SNAPSHOTS.append(context)
    assert REQUEST not in copy_context()


def test_a_new_variable_each_time() -> None:
    variable: ContextVar[list[int]] = ContextVar(f"job_{next(NUMBERS)}")
    variable.set([1, 2])
    assert variable.get() == [1, 2]


def test_mutable_default() -> None:
    DEFAULT.get().append(object())
    assert DEFAULT.get()
