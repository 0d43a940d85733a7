"""Process-global state that a test may leave changed: its readers, and the probe that compares."""

from __future__ import annotations
