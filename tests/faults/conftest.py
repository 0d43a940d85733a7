"""Where a harmful suite is run."""

from __future__ import annotations

import pytest

from faults.faults_harness import suite_or_skip


@pytest.fixture
def suite(tmp_path):
    """Namespaces of its own: its faults reach nothing else."""
    return suite_or_skip(tmp_path)


@pytest.fixture(params=[(), ("-n2",)], ids=["plain", "n2"])
def spread(request):
    """Arguments for one process, and for two workers."""
    return request.param
