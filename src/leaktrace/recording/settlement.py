"""What came of a suspicion; loaded before the first test, for by then a suite may have broken every import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leaktrace.probes.model import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What was left of a growth over the limit after the process had been quietened.

    Attributes:
        raw: growth as first read, by counter.
        garbage_bytes: what a collection alone freed: garbage that had not been collected yet.
        uss_bytes: unique set size after settling.
    """

    raw: Mapping[str, int]
    garbage_bytes: int
    uss_bytes: Value
