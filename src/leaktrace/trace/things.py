"""Which objects a user would recognise as the leaked thing."""

from __future__ import annotations

from typing import Any

from leaktrace.trace import safe


_PLUMBING = frozenset(
    {"builtins", "collections", "functools", "weakref", "types", "typing", "abc", "_thread", "_weakref"}
)


def is_of_interest(obj: Any) -> bool:
    """Whether an object is an instance of somebody's class, rather than a builtin container or a function."""
    return is_interesting_type(type(obj)) and not safe.inherits(obj, type)


def is_interesting_type(cls: type) -> bool:
    """Whether instances of `cls` mean something to the user."""
    return safe.module_of(cls) not in _PLUMBING
