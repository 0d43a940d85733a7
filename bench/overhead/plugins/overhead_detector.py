"""The detector that people write by hand: two readings of RSS around each test."""

import psutil
import pytest


process = psutil.Process()
leaks = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    before = process.memory_info().rss
    yield
    grown = process.memory_info().rss - before
    if grown > 10_000_000:
        leaks.append((item.nodeid, grown))


def pytest_terminal_summary(terminalreporter):
    for nodeid, grown in leaks:
        terminalreporter.write_line(f"LEAKED {grown // 10**6}MB in {nodeid}")
