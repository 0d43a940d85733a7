"""Quieten the process before a reading, so that only what is really kept is left to read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress

from leaktrace.pristine import gc, psutil, sys


OWN_FROZEN = 1000


def collect() -> None:
    """Collect garbage until a pass finds no more, three passes at most (a finalizer may free further cycles)."""
    for _ in range(3):
        if not gc.collect():
            break


def has_users_freeze() -> bool:
    """Whether the user has frozen objects, which are theirs to thaw; CPython 3.12 starts with some 375 of its own."""
    return gc.get_freeze_count() > OWN_FROZEN


def trim() -> None:
    """Give malloc's free pages back to the kernel, where the platform can."""
    trimmer = getattr(psutil, "heap_trim", None)
    if trimmer is not None:
        with suppress(Exception):  # a platform that has the name but not the call
            trimmer()


def clear_caches(*, spared: Collection[str] = (), types: bool = True) -> None:
    """Empty the interpreter's own caches, those that CPython's `-R` empties (Lib/test/libregrtest/utils.py).

    Only modules that the process has already loaded are touched; for a throw-away child or between repeats, never
    during a user's only run. Those of the modules `spared` are left alone, and that of attributes of `types`, which
    keeps the names of attributes of classes that have gone, where it is not asked for.
    """
    for name, clear in CACHES:
        module = sys.modules.get(name)
        if module is not None and name not in spared:
            with suppress(Exception):  # a user's replacement of a stdlib module may lack the call
                clear(module)
    # The parser's and the type attribute cache; 3.13 names it _clear_internal_caches and warns of the old name.
    internal = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None)
    if types and internal is not None:
        internal()


def _warnings_registries(_module: object) -> None:
    for module in list(sys.modules.values()):
        registry = getattr(module, "__dict__", {}).get("__warningregistry__")
        if type(registry) is dict:
            registry.clear()


def _abc_caches(module: object) -> None:
    """Every ABC's caches: each class checked against it leaves a weak reference there."""
    # ABCMeta.__subclasses__ is a descriptor of type; walking from the collections ABCs reaches what tests use.
    abcs = [cls for cls in vars(module).values() if isinstance(cls, type) and hasattr(cls, "_abc_impl")]
    seen: set[int] = set()
    while abcs:
        cls = abcs.pop()
        if id(cls) in seen:
            continue
        seen.add(id(cls))
        if hasattr(cls, "_abc_impl"):
            with suppress(Exception):
                cls._abc_caches_clear()  # type: ignore[attr-defined]
            abcs.extend(type.__subclasses__(cls))


def _forget_files(cache: dict[str, tuple[object, ...]]) -> None:
    """Lines of files, which have a time of change; those of generated code have none and are kept by nothing else.

    A library that enters generated code under ever new names leaks (attrs did): clearing all would hide it.
    """
    for name, entry in list(cache.items()):
        if len(entry) == 1 or entry[1] is not None:
            del cache[name]


def _typing_caches(module: object) -> None:
    for clear in getattr(module, "_cleanups", ()):
        clear()


def _call(attribute: str) -> Callable[[object], None]:
    def clear(module: object) -> None:
        getattr(module, attribute)()

    return clear


CACHES: tuple[tuple[str, Callable[[object], None]], ...] = (
    ("re", _call("purge")),
    ("linecache", lambda module: _forget_files(module.cache)),  # type: ignore[attr-defined]
    ("struct", _call("_clearcache")),
    ("fnmatch", lambda module: module._compile_pattern.cache_clear()),  # type: ignore[attr-defined]  # noqa: SLF001
    ("urllib.parse", _call("clear_cache")),
    ("urllib.request", _call("urlcleanup")),
    ("mimetypes", lambda module: setattr(module, "_db", None)),
    ("filecmp", _call("clear_cache")),
    ("importlib", _call("invalidate_caches")),
    ("typing", _typing_caches),
    ("collections.abc", _abc_caches),
    ("warnings", _warnings_registries),
    ("sys", lambda module: module.path_importer_cache.clear()),  # type: ignore[attr-defined]
)
"""By module name, what empties its cache. `-R` also empties ctypes' and unittest's; those hold user's objects."""
