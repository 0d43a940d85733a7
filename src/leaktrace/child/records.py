"""What installed plugins gather of each run in a child, taken back: it is not the test's leak."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest

from leaktrace.child.neutral import Origin, Origins


class Records:
    """Undoes what installed plugins gather at each run: lists of results, assertions, reports, fixtures made for a run.

    Looked into are the objects that such plugins have registered or have put on pytest's config, and the definitions of
    fixtures for these tests alone (pytest-bdd makes one of each step that gives a value). What was in them after the
    first run stays.
    """

    def __init__(self, config: pytest.Config, items: Sequence[pytest.Item] = ()) -> None:
        origins = Origins(config.pluginmanager)
        plugins = [each for _, each in config.pluginmanager.list_name_plugin() if not isinstance(each, ModuleType)]
        held = [each for each in vars(config).values() if hasattr(each, "__dict__")]
        owners = {id(each): each for each in (*plugins, *held) if origins.of(each) is Origin.INSTALLED}
        self._held = [each for owner in owners.values() for each in _containers(owner)]
        self._items = items
        self._kept: dict[int, frozenset[object] | int] = {}
        self._made: dict[int, int] = {}
        self._remembers = False

    def trim(self) -> None:
        """Call after each run: the first call remembers, later ones cut back to what was remembered."""
        for container in self._held:
            if not self._remembers:
                keys = isinstance(container, (dict, set))
                self._kept[id(container)] = frozenset(container) if keys else len(container)
            else:
                _cut(container, self._kept[id(container)])
        for made in _definitions(self._items):
            kept = self._made.setdefault(id(made), 0 if self._remembers else len(made))
            del made[: len(made) - kept]  # the newest comes first
        self._remembers = True


def _definitions(items: Sequence[pytest.Item]) -> Iterator[list[object]]:
    """The lists in which pytest keeps the fixtures that were made for one of these tests (from 9.2, by test)."""
    for item in items:
        manager = getattr(item.session, "_fixturemanager", None)
        for by_node in getattr(manager, "_arg2node2fixturedefs", {}).values():
            if item in by_node:
                yield by_node[item]


def _containers(owner: object) -> Iterator[Any]:
    try:
        values = list(vars(owner).values())
    except TypeError:  # it has no namespace after all
        return
    yield from (each for each in values if isinstance(each, (list, dict, set, deque)))


def _cut(container: Any, kept: frozenset[object] | int) -> None:
    if isinstance(kept, int):
        while len(container) > kept:
            container.pop()
        return
    if len(container) > len(kept):
        for key in [each for each in container if each not in kept]:
            if isinstance(container, dict):
                del container[key]
            else:
                container.discard(key)
