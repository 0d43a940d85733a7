"""A task's tests, run again in turn as one run, with nothing of pytest's own left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from leaktrace.child.measure import RunFailed
from leaktrace.child.pytest_private import Footprint, QuietRuns, repeat
from leaktrace.child.records import Records


LEVELS: Mapping[str, type[pytest.Collector]] = {
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
}


class Repeat:
    """Runs the tests of one task in turn, each set up afresh.

    Args:
        quiet: runs items so that no other plugin hears of it.
        items: the tests of one run.
        scope: the scope that ends with each run; wider fixtures live on.
    """

    def __init__(self, quiet: QuietRuns, items: Sequence[pytest.Item], scope: str = "function") -> None:
        self._quiet, self._items = quiet, items
        self._next = [self._after(number, scope) for number in range(len(items))]
        self._footprints = [Footprint(item, quiet.wide) for item in items]
        self._records = Records(items[0].config, items)
        self._terminal = items[0].config.pluginmanager.get_plugin("terminalreporter")

    def _after(self, number: int, scope: str) -> pytest.Item | pytest.Collector | None:
        """What stays set up after an item: all above it, or less where a wider fixture has to end with each run."""
        item = self._items[number]
        if scope == "function" and len(self._items) > 1:
            return self._items[(number + 1) % len(self._items)]
        if scope == "session":
            return None
        node = item.getparent(LEVELS[scope]) if scope in LEVELS else item
        return (node or item).parent

    def run(self) -> None:
        """One run of the task.

        Raises:
            RunFailed: a test did not pass.
        """
        for item, after, footprint in zip(self._items, self._next, self._footprints, strict=True):
            why = repeat(self._quiet, item, after)
            footprint.erase()
            self._records.trim()
            if self._terminal is not None:
                self._terminal.stats.clear()  # what other plugins told it
            if why is not None:
                raise RunFailed(why)
