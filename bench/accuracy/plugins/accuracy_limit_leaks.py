"""pytest plugin: marks each test with pytest-memray's limit_leaks at the size in ACCURACY_LIMIT."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        item.add_marker(pytest.mark.limit_leaks(os.environ["ACCURACY_LIMIT"]))
