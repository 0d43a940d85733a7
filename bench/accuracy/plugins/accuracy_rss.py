"""The fifteen-line conftest: RSS at the start and at the end of each test, and who grew by more than 10 MB."""

from __future__ import annotations

import os

import psutil
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    before = psutil.Process(os.getpid()).memory_info().rss
    result = yield
    grew = psutil.Process(os.getpid()).memory_info().rss - before
    if grew > 10_000_000:
        print(f"LEAKED {grew // 1_000_000}MB in {item.nodeid}")
    return result
