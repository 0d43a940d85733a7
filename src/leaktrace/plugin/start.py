"""What this process was like before the first test could change it."""

from __future__ import annotations

import builtins
import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest


PATCHED = (builtins, os, time, gc)
"""Modules that tests patch, and that we need when the last test has ended."""


class Start:
    """How pytest was called, what a replay child is to take over, and the interpreter's own functions."""

    def __init__(self, config: pytest.Config) -> None:
        self.args = tuple(config.invocation_params.args)
        self.cwd = str(config.invocation_params.dir)
        self.sys_path = tuple(str(entry) for entry in sys.path)
        self.environ = dict(os.environ)
        self._names = tuple((module, dict(vars(module))) for module in PATCHED)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """For a while, `open`, `time`, `os` and the path of imports are what they were, whatever a test has left."""
        changed = [(module, _changes(module, names)) for module, names in self._names]
        path = list(sys.path)
        for module, names in self._names:
            vars(module).update(names)
        sys.path[:] = self.sys_path
        try:
            yield
        finally:
            sys.path[:] = path
            for module, names in changed:
                vars(module).update(names)


def _changes(module: ModuleType, names: dict[str, object]) -> dict[str, object]:
    """What tests have put into a module in place of what was there."""
    return {name: value for name, value in vars(module).items() if name in names and value is not names[name]}
