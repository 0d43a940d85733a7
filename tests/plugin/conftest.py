"""Where an example is run."""

from __future__ import annotations

import pytest

from plugin.plugin_harness import Example


@pytest.fixture
def example(tmp_path):
    """Run in one process."""
    return Example(tmp_path)


@pytest.fixture(params=[(), ("-n2",)], ids=["plain", "n2"])
def spread(request, tmp_path):
    """Run in one process, and in two workers."""
    return Example(tmp_path, request.param)
