"""NO, YES or UNKNOWN for each hop, with the reason, and what follows from them for their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leaktrace.explain.model import Hop


def propagate(hops: Sequence[Hop]) -> tuple[Hop, ...]:
    """NO spreads up to the root, YES down to the leaked thing; a hop that is both above a NO and a YES stays NO."""
    labelled = list(hops)
    last_fine = max((i for i, hop in enumerate(labelled) if hop.leaking == "NO"), default=-1)
    for index in range(last_fine):
        hop = labelled[index]
        if hop.leaking != "NO":
            below = labelled[last_fine].name
            conflict = f"; yet {hop.reason}" if hop.leaking == "YES" and hop.reason else ""
            labelled[index] = replace(hop, leaking="NO", reason=f"{below} below it is not leaking{conflict}")
    first_leaking = next((i for i, hop in enumerate(labelled) if hop.leaking == "YES"), len(labelled))
    for index in range(first_leaking + 1, len(labelled)):
        hop = labelled[index]
        if hop.leaking == "UNKNOWN":
            above = labelled[first_leaking].name
            labelled[index] = replace(hop, leaking="YES", reason=f"{above} above it is leaking")
    return tuple(labelled)


def grows_here(noun: str, per_run: float, unit: str = "") -> str:
    """The reason of the accumulation point."""
    rate = f"{per_run:+.0f}" if abs(per_run - round(per_run)) < 0.05 else f"{per_run:+.1f}"  # noqa: PLR2004 - shown digits
    return f"{noun}, {rate}{unit} a run  <- grows here"
