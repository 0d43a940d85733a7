"""The standard library as it was before the first test: what a suite patches, and leaves patched, does not reach us.

All that runs between two tests takes its modules from here. Each is a copy of the module's names, made when pytest
loads the plugin: `os.open` of a copy stays what it was when a test puts a fake into `os`, puts another object into
`sys.modules`, or when a library that freezes clocks goes through the names of all loaded modules. What a copied
function itself looks up by name, it still looks up in the real module: so between tests only functions of C are used,
or such as need nothing that tests patch. The state of the interpreter (the working directory, the hooks in force, the
streams) is asked of the real modules. For what runs after the last test see `leaktrace.snapshot`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    import fcntl
    import gc
    import os
    import resource
    import stat
    import sys
    import tempfile
    import threading
    import time

    import psutil
else:
    from contextlib import suppress
    from importlib import import_module
    from types import ModuleType

    def _copied(name: str) -> ModuleType:
        copy = ModuleType(name)
        with suppress(ImportError):  # not on Windows: whatever is asked of it is an AttributeError
            vars(copy).update(vars(import_module(name)))
        return copy

    fcntl, gc, os, resource, stat, sys, tempfile, threading, time = map(
        _copied, ("fcntl", "gc", "os", "resource", "stat", "sys", "tempfile", "threading", "time")
    )

    def __getattr__(name: str) -> ModuleType:
        """psutil, which costs its import, is copied when a watch asks for it first, and not where leaktrace is off."""
        if name != "psutil":
            raise AttributeError(name)
        globals()[name] = _copied(name)
        return globals()[name]


__all__ = ["dumps", "fcntl", "gc", "os", "psutil", "resource", "stat", "sys", "tempfile", "threading", "time"]


def _encoder() -> Any:
    """What turns plain values into pieces of JSON, without a function of Python's that could be patched."""
    from json import encoder  # noqa: PLC0415 - its names are of no use to anybody else

    compiled = getattr(encoder, "c_make_encoder", None)
    if compiled is None:  # an interpreter without the part in C
        return encoder.JSONEncoder().iterencode
    # Markers, default, quoting, indent, separators; sorted keys, skipped keys, whether NaN is allowed.
    return compiled(None, _refuse, encoder.encode_basestring_ascii, None, ": ", ", ", *(False, False, True))


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is no plain value")


def dumps(value: object, *, _pieces: Any = _encoder()) -> str:  # noqa: B008 - bound here: a test may patch `json`
    """A plain value as one line of JSON, as `json.dumps` writes it."""
    return "".join(_pieces(value, 0))
