"""References that somebody takes and never gives back, where nothing is allocated: whose count grows."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable
from typing import Any

from leaktrace.explain.findings import HolderFound
from leaktrace.explain.labels import grows_here
from leaktrace.explain.model import Holder, Hop
from leaktrace.heap import naming, safe
from leaktrace.heap.growth import repeat
from leaktrace.heap.search import Search
from leaktrace.lines.allocations import Places, Stack
from leaktrace.lines.source import Sources
from leaktrace.pristine import gc, sys
from leaktrace.probes.objects import every_class


SINGLETONS: tuple[object, ...] = (None, True, False, Ellipsis, NotImplemented, (), "", b"", frozenset())
_BATCHES = 3
_MOST_NAMED = 20


def find(
    run: Callable[[], object],
    settle: Callable[[], object],
    search: Callable[[], Search],
    *,
    root: str = "",
    batch_runs: int = 4,
) -> HolderFound | None:
    """The object whose reference count rises most with the runs, as a finding; None where none rises in each batch.

    Of those that rise alike a class comes first, and what has no name is left out.

    Args:
        run: executes the suspect once.
        settle: quietens the process.
        search: makes a search for the way to the object; called after the runs.
        root: the folder of the suite, whose own classes are told apart from those of others.
        batch_runs: runs between two readings; four meet what is taken once in four runs.
    """
    objects = _everything()
    counts = [array("q", bytes(8 * len(objects))) for _ in range(_BATCHES + 1)]
    counts[0][:] = _counts(objects)
    for column in counts[1:]:
        repeat(run, batch_runs, settle)
        column[:] = _counts(objects)
    rising = [
        index
        for index, row in enumerate(zip(*counts, strict=True))
        if all(later > earlier for earlier, later in itertools.pairwise(row))
    ]
    risen = [(objects[index], counts[-1][index] - counts[0][index]) for index in rising]
    objects.clear()
    risen.sort(key=lambda entry: (-entry[1], not safe.inherits(entry[0], type)))
    paths = search()
    for obj, rose in risen[:_MOST_NAMED]:
        hops = _hops(obj, paths, rose / (_BATCHES * batch_runs))
        if hops is not None:
            return _finding(obj, hops, rose / (_BATCHES * batch_runs), shared=_is_shared(obj, root))
    return None


def _is_shared(obj: Any, root: str) -> bool:
    """Whether it lives as long as the process anyway: None and its like, a class that is not the suite's own."""
    if not safe.inherits(obj, type):
        return any(obj is each for each in SINGLETONS)
    return is_installed(obj, root)


def is_installed(cls: type, root: str = "") -> bool:
    """Whether a class is not the suite's own: it lives as long as the process, however often it is referred to."""
    module = sys.modules.get(safe.module_of(cls))
    file = (safe.module_namespace(module) or {}).get("__file__") if module is not None else None
    return type(file) is not str or not file.startswith(root) or safe.is_installed_path(file)


def _finding(obj: Any, hops: tuple[Hop, ...], per_run: float, *, shared: bool) -> HolderFound:
    kind = "shared-references" if shared else "references"
    holder = Holder(name=f"references to {hops[-1].name}", kind=kind, path=hops, entries_per_run=round(per_run, 3))
    return HolderFound(
        holder,
        "references",
        untried="a reference that no object has cannot be given back",
        changes=lambda: sys.getrefcount(obj),
        falls=True,
    )


def taking(found: dict[Stack, int], per_run: float, places: Places, sources: Sources) -> dict[Stack, int]:
    """Of the lines at which a count rose, the one that takes what is never given back.

    A local that holds the object raises its count as well, until its function ends: so the line is the one that raises
    it by what is left of a run, and of several such lines one with a call on it.

    Args:
        found: by how much the count rose in one run, by stack.
        per_run: by how much it grows a run.
        places: tells the suspect's files.
        sources: gives the code.
    """

    def rank(entry: tuple[Stack, int]) -> tuple[float, bool, Stack]:
        part = places.of_suspect(entry[0])
        return abs(entry[1] - per_run), not (part and sources.has_call(*part[0])), entry[0]

    risen = [entry for entry in found.items() if entry[1] > 0]
    return dict([min(risen, key=rank)]) if risen else {}


def _hops(obj: Any, search: Search, per_run: float) -> tuple[Hop, ...] | None:
    """The way to an object, which is fine, and the object, whose count grows; None where it has no name."""
    why = grows_here("reference count", per_run)
    if any(obj is each for each in SINGLETONS):
        return (Hop(edge="", name=repr(obj), type="", leaking="UNKNOWN", reason=why),)
    if safe.inherits(obj, type):
        return (Hop(edge="", name=f"class {safe.class_name(obj)}", type="type", leaking="UNKNOWN", reason=why),)
    root, path = search.path(id(obj)) if search.find({id(obj)}, enough=1) else (None, [])
    if root is None:
        return None
    *above, last = naming.steps(root, path)
    ways = [Hop(edge=s.edge, name=s.name, type=safe.type_name(s.obj), leaking="NO", reason="") for s in above]
    return (
        *ways,
        Hop(edge=last.edge, name=last.name, type=safe.type_name(obj), leaking="UNKNOWN", reason=why),
    )


def _everything() -> list[Any]:
    """All that the collector tracks, all classes, and the singletons, each once."""
    found = {id(obj): obj for obj in itertools.chain(gc.get_objects(), every_class(), SINGLETONS)}
    own = id(found)
    return [obj for key, obj in found.items() if key != own]


def _counts(objects: list[Any]) -> array[int]:
    return array("q", map(sys.getrefcount, objects))
