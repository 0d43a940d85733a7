"""What this process was like before the first test could change it, and whether it still is that process."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import pytest

from leaktrace import pristine
from leaktrace.replay.neutral import carried
from leaktrace.snapshot import Snapshot


class Start:
    """How pytest was called, what a replay child is to take over, and the standard library's own names.

    Attributes:
        pid: the process that pytest was started in, the only one that watches, judges and reports.
    """

    def __init__(self, config: pytest.Config, snapshot: Snapshot) -> None:
        self.args = (*config.invocation_params.args, *carried(config.option))
        self.cwd = str(config.invocation_params.dir)
        self.sys_path = tuple(str(entry) for entry in sys.path)
        self.environ = dict(os.environ)
        self.pid = pristine.os.getpid()
        self._manager = config.pluginmanager
        self._snapshot = snapshot
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forked(weakref.WeakMethod(self._leave)))

    @property
    def is_here(self) -> bool:
        """Whether this is the process that pytest was started in, and no fork of it."""
        return pristine.os.getpid() == self.pid

    def restored(self) -> AbstractContextManager[None]:
        """For a while, the standard library and the path of imports are what they were, whatever a test has left."""
        return self._snapshot.put_back()

    def _leave(self) -> None:
        """In a fork: take our plugins out. Should it go on running pytest, it does so as if we were not there."""
        for name, plugin in self._manager.list_name_plugin():
            if name.startswith("leaktrace-"):
                getattr(plugin, "leave", int)()
                self._manager.unregister(plugin)


def _forked(leave: weakref.WeakMethod[Callable[[], None]]) -> Callable[[], None]:
    """A function for the interpreter to keep, which keeps nothing itself: there is no way to take it back."""

    def forked() -> None:
        method = leave()
        if method is not None:
            with suppress(Exception):  # nobody is there whom it could be told
                method()

    return forked
