"""pytest plugin: pyleak's marker on every test, with all that it can look for but a blocked event loop."""

from __future__ import annotations

import pytest


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "no_leaks: pyleak's")


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        item.add_marker(pytest.mark.no_leaks(tasks=True, threads=True, exclude_daemon_threads=False, blocking=False))
