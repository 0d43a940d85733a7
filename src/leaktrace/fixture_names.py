"""Fixtures as a user knows them: by name, and by the place where they are written."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from leaktrace.pristine import os


MOST_WRAPPERS = 100
"""Decorators around one function; an object that answers every question would have wrappers without end."""


def plain_name(argname: str) -> str:
    """A fixture's name as the user knows it: xunit-style functions are fixtures with long private names."""
    if argname.startswith(("_xunit_", "_unittest_")):
        for function in ("setup_module", "setup_class", "setup_method", "setup_function", "setUpClass", "setUpModule"):
            if function in argname:
                return function
    return argname


def where_of(func: object, rootpath: Path) -> str:
    """`file:line` of a fixture's function, relative to the root where it lies below it."""
    while isinstance(func, partial):
        func = func.func
    func = _xunit_function(func) or func
    code = getattr(_unwrapped(func), "__code__", None) if callable(func) else None
    if code is None:
        return "(built in)"
    path = code.co_filename
    root = f"{rootpath}{os.sep}"
    return f"{path.removeprefix(root)}:{code.co_firstlineno}"


def _unwrapped(func: object) -> object:
    """The function that decorators have wrapped."""
    for _ in range(MOST_WRAPPERS):
        if not hasattr(func, "__wrapped__"):
            break
        func = func.__wrapped__
    return func


def _xunit_function(func: object) -> object:
    """The user's `setup_class` or the like, which pytest has wrapped into a fixture of its own; None for any other."""
    if not getattr(func, "__name__", "").startswith(("xunit_setup_", "unittest_setup_")):
        return None
    names, cells = func.__code__.co_freevars, func.__closure__ or ()  # type: ignore[attr-defined]
    held = {name: cell.cell_contents for name, cell in zip(names, cells, strict=True) if name.startswith("setup")}
    return next((each for each in held.values() if callable(each)), None)
