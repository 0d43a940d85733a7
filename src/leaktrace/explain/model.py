"""The nouns of explaining: the holder and its path, the sites, the proof. They travel as plain JSON values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leaktrace.lines.model import Site


Leaking = Literal["NO", "YES", "UNKNOWN"]
ProofStatus = Literal["proved", "refuted", "untried"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One step on the way from a named root to the leaked thing.

    Attributes:
        edge: how the one before refers to it, as the user would write it (`._subscribers`, `['order.refunded']`).
        name: the whole expression so far (`shop.events.BUS._subscribers['order.refunded']`).
        type: qualified type name of the object at the end of the edge.
        leaking: NO, YES or UNKNOWN, with a reason.
        reason: why it is labelled so; for the accumulation point what grows there.
    """

    edge: str
    name: str
    type: str
    leaking: Leaking = "UNKNOWN"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What keeps the leaked things alive.

    Attributes:
        name: the growing container as the user would write it.
        kind: the kind of holder, a key of the table of fixes (`module-container`, `lru-cache`, `thread-local`, …).
        path: from the named root to the leaked thing.
        entries_per_run: by how many entries the container grows a run.
        retained_bytes_per_run: size a run of what the new entries alone keep alive, or None where it is not known.
        shared_bytes_per_run: size a run of what they keep alive together with something else, or None likewise.
        bound: how many entries the container may hold at most (`lru_cache(maxsize)`, `deque(maxlen)`), or None.
        filled: how many it holds now, when it has a bound.
        dead: whether the new entries are dead in its owner's own terms, so that it sweeps them when they are many.
        steady: whether it grew in every batch of runs.
        endless: whether nothing can end its growth: no bound, no key that may repeat, no code that throws away where it
            is added to.
    """

    name: str
    kind: str
    path: tuple[Hop, ...]
    entries_per_run: float
    retained_bytes_per_run: float | None = None
    shared_bytes_per_run: float | None = None
    bound: int | None = None
    filled: int | None = None
    dead: bool = False
    steady: bool = True
    endless: bool = False

    @property
    def held_bytes_per_run(self) -> float:
        """What the new entries of a run keep alive, alone or with others; 0 where that is not known."""
        return (self.retained_bytes_per_run or 0.0) + (self.shared_bytes_per_run or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What happened when the holder's new entries were taken out in the throw-away child."""

    status: ProofStatus
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """All that a trace found out about one cause of a suspect's growth.

    Attributes:
        holder: what keeps it alive, or None where no Python object does.
        sites: best first.
        proof: removal of the holder's new entries.
        fix: one imperative sentence.
        types_per_run: newly kept objects a run, by qualified type name.
        fingerprint: 8 hex digits of the suspect part of the holder's path (or of the best site where no holder is).
        native: whether Python's objects explain less than half of the growth.
        notes: what could not be looked at, and why.
        quiet_runs: so many further runs left nothing behind, so that nothing is alive; 0 where growth went on.
        beside: the suspect's other causes, each with a holder of its own.
    """

    holder: Holder | None = None
    sites: tuple[Site, ...] = ()
    proof: Proof = Proof(status="untried", detail="nothing was traced")
    fix: str = ""
    types_per_run: tuple[tuple[str, float], ...] = ()
    fingerprint: str = ""
    native: bool = False
    notes: tuple[str, ...] = ()
    quiet_runs: int = 0
    beside: tuple[Exhibit, ...] = ()
