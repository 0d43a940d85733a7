"""The one line of a run with nothing to report."""

from __future__ import annotations

from leaktrace.words import count, megabytes


def all_well(tests: int, limit_bytes: int) -> str:
    """It names what was watched, and the limit."""
    return f"leaktrace: {count(tests, 'test')} watched, none kept more than {megabytes(limit_bytes)}"
