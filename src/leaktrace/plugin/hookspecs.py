"""What other plugins and `conftest.py` files may tell leaktrace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from collections.abc import Iterable

    from leaktrace.probes.model import Probe


@pytest.hookspec
def pytest_leaktrace_probes(config: pytest.Config) -> Iterable[Probe]:  # type: ignore[empty-body]
    """Give further probes; they are read like leaktrace's own, in the watch and in each replay child.

    Called once in each process that runs tests, before the first test. A probe has a `counter` and a `read()`; with
    `inventory()` and `settle()`, too, its things are named. Each `Counter` needs a name and a kind of its own.
    """
