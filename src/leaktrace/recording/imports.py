"""Which packages a test has brought in."""

from __future__ import annotations

from itertools import islice

from leaktrace.pristine import sys


MAX_IMPORTS = 20
"""Names of imported packages kept for one test."""


def newest_imports(count: int) -> tuple[str, ...]:
    """Top-level packages of the last `count` modules in `sys.modules`."""
    if count <= 0:
        return ()
    # A suite may enter what it likes, a number even.
    newest = [name for name in islice(reversed(sys.modules), count) if isinstance(name, str)]
    names = dict.fromkeys(name.partition(".")[0] for name in reversed(newest))
    fresh = [name for name in names if name in newest] or list(names)
    return tuple(fresh[:MAX_IMPORTS])
