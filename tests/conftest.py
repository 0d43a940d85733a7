"""Which part of the tests is run, where several Pythons share them, and on builds that lack a counter."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest

from leaktrace.probes.build import is_free_threaded


START_PROCESSES = {Path(__file__).parent / name for name in ("child", "cli", "plugin", "replay")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--share", metavar="K/N", help="of the modules whose tests start pytest, one of N shares: the K-th from 0"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("reads"):
        if is_free_threaded():
            pytest.skip(f"a free-threaded CPython cannot read {', '.join(mark.args)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share = config.getoption("--share")
    if not share:
        return
    which, shares = map(int, share.split("/"))
    ours = [item for item in items if START_PROCESSES.isdisjoint(item.path.parents) or _share(item, shares) == which]
    config.hook.pytest_deselected(items=set(items) - set(ours))
    items[:] = ours


def _share(item: pytest.Item, shares: int) -> int:
    """Tests of a module stay together, for they may share a run."""
    return crc32(item.path.name.encode()) % shares
