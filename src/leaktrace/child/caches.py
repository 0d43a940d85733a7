"""The interpreter's caches, emptied between two readings of a test that is screened."""

from __future__ import annotations

from leaktrace.probes.settle import clear_caches


SETTINGS = frozenset({"mimetypes", "urllib.request"})
"""Modules in whose cache lies what the suite itself has set: types that it has added, the opener that it installed."""
SELDOM = frozenset({"importlib", "sys", "warnings"})
"""Modules whose cache takes longest to empty, and hardly ever grows with a test that is repeated."""


def empty(*, thoroughly: bool) -> None:
    """Empty the interpreter's caches, but for those that hold settings; those that seldom grow only `thoroughly`."""
    clear_caches(spared=SETTINGS if thoroughly else SETTINGS | SELDOM)
