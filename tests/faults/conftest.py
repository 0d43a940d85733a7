"""Where a harmful suite is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.faults_harness import Suite, suite_or_skip


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Namespaces of its own: its faults reach nothing else."""
    return suite_or_skip(tmp_path)


@pytest.fixture(params=[(), ("-n2",)], ids=["plain", "n2"])
def spread(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Arguments for one process, and for two workers."""
    arguments: tuple[str, ...] = request.param
    return arguments
