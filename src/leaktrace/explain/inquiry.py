"""One question why something stays alive, and all that is at hand to answer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leaktrace.explain.budget import Budget, Notes
from leaktrace.lines.allocations import Places
from leaktrace.lines.source import Sources


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What every part of an explanation is given; it is made before the first run, and nothing is added to it.

    Attributes:
        run: executes the suspect once.
        settle: quietens the process.
        places: tells the suspect's files.
        sources: gives code and function names.
        budget: the time that is left.
        notes: takes the reasons of what was left out.
        growth_bytes_per_run: by how much the suspect grows, where that is known.
        references: whether it was the number of references that was seen to grow.
        counted: whether it was malloc's bytes; else they cannot tell that growth has stopped.
    """

    run: Callable[[], object]
    settle: Callable[[], object]
    places: Places
    sources: Sources
    budget: Budget
    notes: Notes
    growth_bytes_per_run: float | None = None
    references: bool = False
    counted: bool = True
