"""Caches emptied between two readings, in a process that lives on: what the suite had in them is put back."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from leaktrace.probes.settle import clear_caches


SETTINGS = frozenset({"mimetypes", "urllib.request"})
"""Modules in whose cache lies what the suite itself has set: types that it has added, the opener that it installed."""
SELDOM = frozenset({"importlib", "sys", "warnings"})
"""Modules whose cache takes longest to empty, and hardly ever grows with a test that is repeated."""
PATTERNS = ("_cache", "_cache2")
"""Where `re` keeps compiled patterns; 3.13 has a second, smaller cache."""

STEADY_SINCE = (3, 11)
"""Before, each entry of the type attribute cache that is emptied takes a reference to None until it is filled again."""


def empty(*, thoroughly: bool) -> None:
    """Empty the interpreter's caches, but for those that hold settings; those that seldom grow only `thoroughly`."""
    clear_caches(
        spared=SETTINGS if thoroughly else SETTINGS | SELDOM,
        types=thoroughly or sys.version_info >= STEADY_SINCE,
    )


@contextlib.contextmanager
def patterns_kept() -> Iterator[None]:
    """Give `re` its compiled patterns back at the end: pytest's own reports would compile theirs anew at each test."""
    caches = [cache for name in PATTERNS if type(cache := getattr(sys.modules.get("re"), name, None)) is dict]
    before = [dict(cache) for cache in caches]
    try:
        yield
    finally:
        for cache, patterns in zip(caches, before, strict=True):
            cache.update(patterns)
