"""NO, YES or UNKNOWN for each hop, with the reason, and what follows from them for their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from leaktrace.explain.leaked_objects import doing
from leaktrace.explain.model import Hop
from leaktrace.heap import roots, safe
from leaktrace.heap.naming import Step
from leaktrace.pristine import gc, threading


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


def above_of(named: Sequence[Step], root: roots.Root | None) -> list[Hop]:
    """The hops above the accumulation point, with what the root is part of before them."""
    hops = [_fine(step, index, root) for index, step in enumerate(named)]
    if root is not None and root.place:
        hops.insert(0, Hop(edge="", name=root.place, type="", leaking="NO", reason=root.reason))
    return hops


def _fine(step: Step, index: int, root: roots.Root | None) -> Hop:
    if index == 0 and root is not None and not root.place:
        why = root.reason
    elif safe.inherits(step.obj, type):
        why = "a class lives as long as its module"
    else:
        why = "existed before the runs"
    return Hop(edge=step.edge, name=step.name, type=safe.type_name(step.obj), leaking="NO", reason=why)


def born(step: Step, newborn: set[int]) -> Hop:
    """A hop below the accumulation point: leaked if it came with the runs."""
    if gc.is_tracked(step.obj):
        new = id(step.obj) in newborn
        leaking, why = ("YES", "created in these runs") if new else ("UNKNOWN", "existed before these runs")
        if (named := safe.callable_name(step.obj)) is not None:
            why = f"{why}: {named}()"
        if safe.inherits(step.obj, threading.Thread) and (busy := doing(step.obj)) is not None:
            why = f"{why}, still running {busy}"
    else:
        leaking, why = "YES", "new entry"
    return Hop(edge=step.edge, name=step.name, type=safe.type_name(step.obj), leaking=leaking, reason=why)  # type: ignore[arg-type]


def growing(step: Step, noun: str, per_run: float, unit: str = "") -> Hop:
    """The accumulation point."""
    return Hop(
        edge=step.edge,
        name=step.name,
        type=safe.type_name(step.obj),
        leaking="UNKNOWN",
        reason=grows_here(noun, per_run, unit),
    )
