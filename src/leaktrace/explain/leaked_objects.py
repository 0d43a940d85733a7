"""Which objects a user would recognise as the leaked thing."""

from __future__ import annotations

import weakref
from typing import Any

from leaktrace.heap import safe
from leaktrace.heap.roots import thread_name
from leaktrace.pristine import os, sys, threading, time


_PLUMBING = (
    "builtins", "collections", "functools", "weakref", "types", "typing", "abc", "_thread", "_weakref", "_abc",
    "_weakrefset", "_functools", "_collections", "_collections_abc", "_contextvars", "contextvars", "_typing",
    "operator", "itertools",
)  # fmt: skip
_TIMER = ("asyncio.events", "TimerHandle")


def is_of_interest(obj: Any) -> bool:
    """Whether an object is a class, or an instance of one, that means something to the user."""
    if safe.inherits(obj, type):
        return safe.module_of(obj) not in _PLUMBING or _is_made_while_running(obj)
    return is_interesting_type(type(obj)) and not safe.inherits(obj, weakref.ref)


def _is_made_while_running(cls: type) -> bool:
    """Whether a class only says that it is of a module: one that calls `ABCMeta` gets the name of `abc`."""
    module = sys.modules.get(safe.module_of(cls))
    names = safe.module_namespace(module) if module is not None else None
    return not names or names.get(safe.qualname_of(cls).partition(".")[0]) is None


def is_interesting_type(cls: type) -> bool:
    """Whether instances of `cls` mean something to the user, unlike builtin containers, functions and our own things.

    The frame of a suspended generator, for one, still holds the trace function that it was watched with.
    """
    module = safe.module_of(cls)
    return module not in _PLUMBING and not safe.is_within(module, ("leaktrace",))


def is_innards(cls: type) -> bool:
    """Whether instances of `cls` are parts of a context, whose number depends on hashes; no user ever holds one."""
    return safe.module_of(cls) == "builtins" and safe.qualname_of(cls).startswith("hamt")


def label(obj: Any) -> str:
    """What the leaked thing is called in a sentence."""
    function = safe.callable_name(obj)
    if function is not None:
        return f"function {function.rsplit('.', 1)[-1]}()"
    if safe.inherits(obj, type):
        return f"class {short(obj)}"
    if safe.inherits(obj, threading.Thread):
        return f"thread {thread_name(obj)!r}"
    if any((safe.module_of(cls), safe.qualname_of(cls)) == _TIMER for cls in safe.mro(type(obj))):
        return _timer(obj)
    return short(type(obj))


def _timer(handle: Any) -> str:
    """A timer of asyncio's with what it calls, and when."""
    slots = dict(safe.member_values(handle))
    called, when = safe.callable_name(slots.get("_callback")), slots.get("_when")
    due = f", due in {max(0.0, when - time.monotonic()):,.0f} s" if isinstance(when, float) else ""
    return f"timer for {called.partition('.')[2]}(){due}" if called else f"timer{due}"


def short(cls: type) -> str:
    """The last part of a class's name."""
    return safe.qualname_of(cls).rsplit(".", 1)[-1]


def doing(thread: threading.Thread) -> str | None:
    """What a running thread is doing, as `function() at file:line`, in its innermost line outside the library."""
    plain = safe.class_attribute(type(thread), "ident") is threading.Thread.__dict__["ident"]
    frame = sys._current_frames().get(thread.ident or 0) if plain else None  # noqa: SLF001 - the only way to see it
    best = None
    while frame is not None:
        best = best or frame
        if not safe.is_stdlib_path(frame.f_code.co_filename):
            best = frame
            break
        frame = frame.f_back
    if best is None:
        return None
    function = best.f_code.co_qualname.replace(".<locals>", "")
    return f"{function}() at {os.path.basename(best.f_code.co_filename)}:{best.f_lineno}"
