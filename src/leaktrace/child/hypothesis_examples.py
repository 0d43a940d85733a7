"""Repeats a Hypothesis test with the same examples; by names of Hypothesis's own, which are looked for before use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


SETTINGS, SEED = "_hypothesis_internal_use_settings", "_hypothesis_internal_use_seed"
STRATEGY_CACHES = (
    ("hypothesis.internal.conjecture.data", "STRUCTURAL_COVERAGE_CACHE"),
    ("hypothesis.strategies._internal.utils", "_STRATEGY_CACHE"),
)
"""What Hypothesis remembers of each strategy object: one made within a test is another at each run."""


@contextmanager
def repeatable(item: pytest.Item) -> Iterator[None]:
    """Let every run of a Hypothesis test draw the same examples, take its time, and be checked for the examples alone.

    Other examples at each run would fill Hypothesis's own caches, and those of what is tested, as if something leaked.
    A test of a class gets a new instance at each run, which Hypothesis takes for a second executor.
    """
    obj = getattr(item, "obj", None)
    function = getattr(obj, "__func__", obj)
    settings = getattr(function, SETTINGS, None)
    if settings is None:
        yield
        return
    from hypothesis import HealthCheck  # noqa: PLC0415 - the test has imported it

    seed = getattr(function, SEED, None)
    calm = type(settings)(settings, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    try:
        setattr(function, SETTINGS, calm)
        setattr(function, SEED, 0 if seed is None else seed)
        yield
    finally:
        setattr(function, SETTINGS, settings)
        setattr(function, SEED, seed)
        for module, name in STRATEGY_CACHES:
            cache = getattr(sys.modules.get(module), name, None)
            if cache is not None:
                cache.clear()
