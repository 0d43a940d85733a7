"""The part of the child's plugin that explains: what stays, what keeps it alive, which C code allocates.

Whatever goes wrong in here costs the explanation, never the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from leaktrace.child.leftovers import CreationTracker, name_things, relative
from leaktrace.child.measure import settle
from leaktrace.child.pytest_private import kept_instance
from leaktrace.explain.fix import fix_for
from leaktrace.explain.model import Exhibit, Holder
from leaktrace.explain.steps import explain
from leaktrace.fixture_names import plain_name, where_of
from leaktrace.heap import safe
from leaktrace.heap.retained import reached_bytes
from leaktrace.lines.allocations import Places
from leaktrace.lines.native import memray_sites
from leaktrace.pristine import os
from leaktrace.probes.model import HEAP_BYTES, REFS, RSS_BYTES, Probe
from leaktrace.probes.origins import Origins
from leaktrace.serialize import encode
from leaktrace.verdict.judge import BYTES_PER_REFERENCE
from leaktrace.verdict.model import Rate, Ruling


OWN = ("leaktrace", "_pytest", "pluggy", "pytest")
Tell = Callable[[str, Mapping[str, object]], None]


def name_left(
    run: Callable[[], None],
    tell: Tell,
    config: pytest.Config,
    probes: Callable[[Origins | None], Sequence[Probe]],
    *,
    runs: int,
) -> None:
    """Tell the very things that so many runs leave, as these probes name them."""
    creations = FixtureCreationTracker(config.rootpath)
    config.pluginmanager.register(creations, "leaktrace-births")
    try:
        things = name_things(run, probes, settle, creations.watch, runs=runs)
        tell("things", {"things": [encode(each) for each in relative(things, f"{config.rootpath}{os.sep}")]})
    except Exception as exc:  # noqa: BLE001 - an explanation may fail in any way, and costs itself alone
        _excuse(tell, f"what is left could not be named: {type(exc).__name__}: {exc}")
    finally:
        config.pluginmanager.unregister(creations)


def trace(run: Callable[[], None], tell: Tell, items: Sequence[pytest.Item], ruling: Ruling) -> None:
    """Tell what keeps it alive; that empties the holder at its end."""
    rates = ruling.rates
    references = ruling.counter == REFS.name
    mirrored = references and _mirrored(rates)
    sizes = [rates[name].estimate for name in (HEAP_BYTES.name, RSS_BYTES.name) if name in rates]
    try:
        exhibit = explain(
            run,
            settle=settle,
            own=OWN,
            plugins=plugins_of(items[0].config),
            test_files=tuple({str(item.path) for item in items}),
            root=f"{items[0].config.rootpath}{os.sep}",
            growth_bytes_per_run=None if references and not mirrored else max(sizes, default=None),
            references=references,
            mirrored=mirrored,
            counted=ruling.counter == HEAP_BYTES.name,
        )
        tell("exhibit", {"exhibit": _relative(encode(exhibit), items[0].config.rootpath)})
    except Exception as exc:  # noqa: BLE001 - an explanation may fail in any way, and costs itself alone
        _excuse(tell, f"the trace failed: {type(exc).__name__}: {exc}")


def tell_kept(tell: Tell, item: pytest.Item, *, once_bytes: int) -> None:
    """Tell which attribute of the test's instance takes most of what came once, if one does: pytest keeps it."""
    instance = kept_instance(item)
    names = dict(safe.instance_namespace(instance) or {}) if instance is not None else {}
    weights = {name: reached_bytes(value) for name, value in names.items()}
    name = max(weights, key=lambda each: weights[each], default="")
    if not name or 2 * weights[name] < once_bytes:
        return
    holder = Holder(
        name=f"{safe.qualname_of(type(instance))}.{name}",
        kind="test-instance",
        path=(),
        entries_per_run=0.0,
        retained_bytes_per_run=float(weights[name]),
    )
    fix = fix_for(holder.kind, holder=f"self.{name}", leaked="")
    tell("exhibit", {"exhibit": encode(Exhibit(holder=holder, fix=fix))})


def _mirrored(rates: Mapping[str, Rate]) -> bool:
    """Whether the objects that stay are enough to have taken the references that grow."""
    heap, taken = rates.get(HEAP_BYTES.name), rates.get(REFS.name)
    return heap is not None and taken is not None and heap.estimate >= BYTES_PER_REFERENCE * taken.estimate


def follow_native(run: Callable[[], None], tell: Tell, items: Sequence[pytest.Item], *, warmups: int) -> None:
    """Tell the stacks of what native code allocates, as memray sees them; nothing may be measured after this."""
    try:
        for _ in range(warmups):
            run()
        settle()
        sites = memray_sites(run, settle=settle, places=Places(OWN, plugins_of(items[0].config)))
        tell("exhibit", {"exhibit": _relative({"sites": encode(sites)}, items[0].config.rootpath)})
    except Exception as exc:  # noqa: BLE001 - an explanation may fail in any way, and costs itself alone
        _excuse(tell, f"memray could not follow it: {type(exc).__name__}: {exc}")


def plugins_of(config: pytest.Config) -> tuple[str, ...]:
    """The modules of the installed plugins; conftests and test modules are the suite's own."""
    installed = (plugin for plugin, _distribution in config.pluginmanager.list_plugin_distinfo())
    return tuple(plugin.__name__ for plugin in installed if isinstance(plugin, ModuleType))


def _excuse(tell: Tell, why: str) -> None:
    tell("exhibit", {"exhibit": {"notes": [why]}})


class FixtureCreationTracker:
    """Tells which fixture is being set up while things come to be."""

    def __init__(self, rootpath: Path) -> None:
        self._rootpath = rootpath
        self._births: CreationTracker | None = None

    def watch(self, births: CreationTracker | None) -> None:
        """Tell these births from now on, or nobody."""
        self._births = births

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """A fixture's own setup; those that it asks for nest."""
        births = self._births
        if births is not None:
            name, where = plain_name(fixturedef.argname), where_of(fixturedef.func, self._rootpath)
            births.begin(f"fixture `{name}` ({where})")
        try:
            return (yield)
        finally:
            if births is not None:
                births.end()


def _relative(exhibit: dict[str, Any], rootpath: Path) -> dict[str, Any]:
    """Files below the root are named from there, as node ids are."""
    root = f"{rootpath}{os.sep}"
    for site in exhibit["sites"]:
        for place in (site, *site["stack"]):
            place["file"] = place["file"].removeprefix(root)
    return exhibit
