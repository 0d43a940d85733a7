"""Stops what makes an interpreter grow by itself for hundreds of runs of the same test."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Uninterned:
    """`sys` as `pathlib` is to see it: all of it, but for `intern`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)

    @staticmethod
    def intern(part: str) -> str:
        return part


@contextmanager
def mortal_paths() -> Iterator[None]:
    """Let CPython 3.12 forget the parts of paths; it interns each (pathlib.py, `_parse_path`) for good.

    That is 64 bytes at each run of a test with `tmp_path`. 3.13 made interned strings mortal again.
    """
    if sys.version_info[:2] != (3, 12):
        yield
        return
    names = vars(pathlib)
    before = names["sys"]
    names["sys"] = _Uninterned()
    try:
        yield
    finally:
        names["sys"] = before
