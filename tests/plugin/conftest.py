"""Where an example is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin.plugin_harness import Example


@pytest.fixture
def example(tmp_path: Path) -> Example:
    """Run in one process."""
    return Example(tmp_path)


@pytest.fixture(params=[(), ("-n2",)], ids=["plain", "n2"])
def spread(request: pytest.FixtureRequest, tmp_path: Path) -> Example:
    """Run in one process, and in two workers."""
    return Example(tmp_path, request.param)
