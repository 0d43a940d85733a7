"""The few places where pytest has no public name for what we need; each is tested against pytest's newest release."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol


def run_phases(item: pytest.Item, nextitem: pytest.Item | pytest.Collector | None) -> list[pytest.TestReport]:
    """Set up, call and tear down an item once, telling no plugin of the reports; a fresh request each time.

    `nextitem` may be any node: what is above it stays set up. That it is not an item, pytest does not check.
    """
    return runtestprotocol(item, log=False, nextitem=nextitem)  # type: ignore[arg-type]


def tear_down(session: pytest.Session, nextitem: pytest.Item | None) -> None:
    """Tear down all that `nextitem` does not need."""
    session._setupstate.teardown_exact(nextitem)  # noqa: SLF001


def forget_run(item: pytest.Item, properties: int) -> None:
    """Drop what pytest keeps on the item of each run: captured output, and properties that the test recorded."""
    item._report_sections.clear()  # noqa: SLF001
    del item.user_properties[properties:]


def fixture_definitions(item: pytest.Item) -> Iterator[pytest.FixtureDef[Any]]:
    """Every fixture definition that an item may use."""
    info = getattr(item, "_fixtureinfo", None)
    if info is not None:
        for definitions in info.name2fixturedefs.values():
            yield from definitions


class FinalizerLists:
    """Undoes what pytest adds to the wider fixtures of an item at each repeat.

    Each function fixture that uses a wider one appends a finalizer to it, which stays until the wider one ends: about
    ten blocks a run for `tmp_path`. Those of fixtures that have ended already do nothing, so they can go.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._wide = [each for each in fixture_definitions(item) if each.scope != "function"]
        self._kept: dict[int, tuple[object, int]] = {}

    def trim(self) -> None:
        """Call after each run: the first call remembers, later ones cut back to what was remembered."""
        for definition in self._wide:
            finalizers: list[object] = definition._finalizers  # type: ignore[assignment]  # noqa: SLF001
            known = self._kept.get(id(definition))
            if known is not None and known[0] is definition.cached_result and len(finalizers) > known[1]:
                del finalizers[known[1] :]
            else:
                self._kept[id(definition)] = (definition.cached_result, len(finalizers))
