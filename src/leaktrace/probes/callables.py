"""Names of code in the user's words, found without running any of the user's code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FrameType, FunctionType, MethodType
from typing import Any


_STDLIB = str(Path(os.__file__).parent) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_CALLS_TESTS = f"{os.sep}pluggy{os.sep}"
_OURS = str(Path(__file__).parent.parent) + os.sep

_FUNCTIONS = (FunctionType, BuiltinFunctionType, type)


def callable_name(target: Any) -> str:
    """`module.qualname` of a function, class or method; the type's name for anything else that can be called."""
    while isinstance(target, partial):
        target = target.func
    if isinstance(target, MethodType):
        target = target.__func__
    if not isinstance(target, _FUNCTIONS):
        target = type(target)
    # A method of a built-in object belongs to no module.
    return f"{target.__module__}.{target.__qualname__}" if target.__module__ else str(target.__qualname__)


def is_users(filename: str) -> bool:
    """Whether a code object's file is neither the standard library's, nor frozen, nor ours."""
    if filename.startswith(("<", _OURS)):
        return False
    return not filename.startswith(_STDLIB) or any(part in filename for part in _INSTALLED)


def telling_place(calls: Iterable[tuple[str, int]]) -> str | None:
    """`file:line` of the innermost call that the user wrote; one of a library where the user wrote none.

    What is further out than pytest's call of a test or fixture runs tests and has made nothing.

    Args:
        calls: file and line of each, innermost first.
    """
    library = None
    for file, line in calls:
        if _CALLS_TESTS in file:
            break
        if is_users(file):
            if not any(part in file for part in _INSTALLED):
                return f"{file}:{line}"
            library = library or f"{file}:{line}"
    return library


def calls(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    """File and line of the frame and its callers, innermost first."""
    return ((each.f_code.co_filename, each.f_lineno) for each in outward(frame))


def users_frame(frame: FrameType) -> FrameType:
    """The innermost frame of the user's or a library's code, or the innermost of all where there is none."""
    return next((each for each in outward(frame) if is_users(each.f_code.co_filename)), frame)


def outward(frame: FrameType | None) -> Iterator[FrameType]:
    """The frame and its callers, innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def frame_place(frame: FrameType) -> str:
    """`function at file:line` of the innermost frame that means something to the user."""
    found = users_frame(frame)
    return f"{found.f_code.co_name} at {found.f_code.co_filename}:{found.f_lineno}"


def is_kind_of(found: object, wanted: type) -> bool:
    """`isinstance` that asks nothing of the object's class: a metaclass may answer for it, or compare equal to all."""
    mro: tuple[type, ...] = type.__dict__["__mro__"].__get__(type(found))
    return any(base is wanted for base in mro)
