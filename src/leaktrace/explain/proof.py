"""Take the holder's new entries out and look what dies: only at the very end, only in a throw-away process."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import compress

from leaktrace.explain.model import Proof
from leaktrace.heap.growth import living
from leaktrace.heap.retained import Retained
from leaktrace.heap.safe import class_name
from leaktrace.probes.memory import HeapProbe


_ENOUGH = 0.95
_ENOUGH_BYTES = 0.5
_FEW = 3
_LIGHT_BYTES = 4_096
_MOST_BALANCING = 5


@dataclass(frozen=True, slots=True)
class Removal:
    """One way of taking entries out.

    Attributes:
        holder: name of what they are taken out of.
        entries: how many; 0 where they are cut off as a whole.
        act: does it; may raise anything.
        dry_run: goes the same way and takes nothing out: what the interpreter keeps of a first call is there then.
        whole: whether older entries go with them.
    """

    holder: str
    entries: int
    act: Callable[[], object]
    dry_run: Callable[[], object] = int
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What should die.

    Attributes:
        ids: identities of all tracked objects.
        noun: type of the leaked thing, for the sentence.
        noun_ids: those of them that are of this type.
        noun_type: identity of the type.
        bytes_exclusive: what the entries alone retain.
        cut: whether the holder itself is cut off, rather than relieved of entries.
    """

    ids: frozenset[int]
    noun: str
    noun_ids: frozenset[int]
    noun_type: int
    bytes_exclusive: int
    cut: bool = False


def prove(
    removals: list[Removal], expected: Expected, *, settle: Callable[[], object], heap_bytes: Callable[[], int | None]
) -> Proof:
    """Remove from the holder, then from the others that hold the same things, until all is released.

    Returns:
        proved when what was expected died, refuted when something else still holds it, untried when it could not be
        removed or nothing could be watched.
    """
    watched, kind = (expected.noun_ids, expected.noun_type) if expected.noun_ids else (expected.ids, 0)
    acted, numbered = bytearray(len(removals)), iter([*enumerate(removals)])  # made before anything is weighed
    scales = _Scales(settle, heap_bytes)
    for removal in () if watched else removals:
        with suppress(Exception):  # the removal itself tells
            removal.dry_run()
    if not watched and not (expected.bytes_exclusive and scales.balance()):
        return Proof(status="untried", detail="what is leaked can neither be counted nor weighed")
    for number, removal in numbered:
        try:
            removal.act()
        except Exception as error:  # noqa: BLE001 - a holder may refuse in any way
            if not any(acted):
                why = f"{removal.holder} cannot be emptied: {class_name(type(error))}"
                return Proof(status="untried", detail=why)
            continue
        acted[number] = True
        settle()
        left = alive(watched, kind) if watched else 0
        if not watched:
            scales.weigh()
        if _released(len(watched), left, scales, expected.bytes_exclusive):
            done = [*compress(removals, acted)]
            return Proof(status="proved", detail=_proved(done, expected, len(watched), left, scales.freed()))
    first = next(compress(removals, acted))
    return _still_held(first, expected, len(watched), alive(watched, kind) if watched else 0, scales.freed())


class _Scales:
    """Weighs what removals release: a few plain values weigh no more than the book of the weighing would.

    So all that has to be there is made before the first reading, and readings go into an array.
    """

    def __init__(self, settle: Callable[[], object], heap_bytes: Callable[[], int | None]) -> None:
        self._settle, self._heap_bytes = settle, heap_bytes
        self._weights = array("q", (0, 0, 0))  # the last two before anything is taken out, and now

    def balance(self) -> bool:
        """Read until the heap lies still, with nothing done in between; False where it cannot be read."""
        self.weigh()  # what its first call leaves is there before the first reading that counts
        for _ in range(_MOST_BALANCING):
            self._weights[0] = self._weights[1]
            self._settle()  # what the trace itself has left would be weighed as released
            if not self._read(1):
                return False
            if not self.noise():
                break
        return True

    def weigh(self) -> None:
        """Read again."""
        self._read(2)

    def _read(self, number: int) -> bool:
        weight = self._heap_bytes()
        self._weights[number] = weight or 0
        return weight is not None

    def freed(self) -> int:
        """By how many bytes the heap has become smaller."""
        return self._weights[1] - self._weights[2]

    def noise(self) -> int:
        """By how many bytes the heap changed with nothing done."""
        return abs(self._weights[0] - self._weights[1])


def alive(ids: frozenset[int], kind: int = 0) -> int:
    """How many of some tracked objects still live; to be asked right after a collection, before ids are reused.

    Args:
        ids: their identities.
        kind: identity of their common type, or 0 where they have none; guards against a reused identity.
    """
    return sum(1 for obj in living(ids) if not kind or id(type(obj)) == kind)


def expect(kept: Retained, preferred: type | None) -> Expected:
    """What should die with the entries; the sentence is about the type of the leaked thing, else the most frequent."""
    ids = kept.ids
    best = id(preferred) if id(preferred) in ids else max(ids, key=lambda key: len(ids[key]), default=0)
    return Expected(
        ids=frozenset(kept.objects),
        noun=class_name(kept.types[best]) if best else "",
        noun_ids=frozenset(ids.get(best, ())),
        noun_type=best,
        bytes_exclusive=kept.bytes_exclusive,
    )


def heap_reader() -> Callable[[], int | None]:
    """What reads the living bytes of the C heap: None where nobody tells, or Python's objects are not among them.

    One and the same for all readings of a weighing: an object that is made for each would be weighed.
    """
    probe = HeapProbe()

    def read() -> int | None:
        value = probe.read()
        return value if isinstance(value, int) else None

    return read


def _released(watched: int, left: int, scales: _Scales, exclusive: int) -> bool:
    if watched:
        # The latest one may still be in the hands of a running function or a suspended generator.
        return left <= max(1 if watched > _FEW else 0, (1 - _ENOUGH) * watched)
    return scales.freed() >= _ENOUGH_BYTES * exclusive + scales.noise()


def _proved(done: list[Removal], expected: Expected, watched: int, left: int, freed: int) -> str:
    if watched:
        what = f"{watched - left} of {watched} {_noun(expected)}" if left else f"all {watched} {_noun(expected)}"
    else:
        what = f"{freed:,} bytes"
    if len(done) == 1 and expected.cut:
        return f"setting {done[0].holder} to None released {what}: this holder is the only cause"
    if len(done) == 1:
        return f"{_taking(done[0])} released {what}: this holder is the only cause"
    names = " and of ".join(removal.holder for removal in done)
    return f"taking the new entries out of {names} released {what}: only together do they hold them"


def _still_held(first: Removal, expected: Expected, watched: int, left: int, freed: int) -> Proof:
    """What is said where all that could be taken out did not release enough."""
    if watched:
        released = f"{watched - left} of {watched} {_noun(expected)}"
    elif expected.bytes_exclusive < _LIGHT_BYTES:
        why = f"{_taking(first)} released plain values at most, which weigh too little to be seen"
        return Proof(status="untried", detail=why)
    else:
        released = f"{max(0, freed):,} of {expected.bytes_exclusive:,} bytes"
    return Proof(status="refuted", detail=f"{_taking(first)} released only {released}: something else holds them too")


def _noun(expected: Expected) -> str:
    return f"{expected.noun.rsplit('.', 1)[-1]} objects" if expected.noun else "objects"


def _taking(removal: Removal) -> str:
    if removal.whole:
        return f"clearing {removal.holder}"
    return f"taking the {_entries(removal.entries)} out" if removal.entries > 0 else f"cutting {removal.holder} back"


def _entries(count: int) -> str:
    return f"{count} new entries" if count != 1 else "new entry"
