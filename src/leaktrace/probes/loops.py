"""asyncio's event loops, of whichever thread: asyncio has no list of them, and from 3.14 on no list of all tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import ref

from leaktrace.pristine import gc, sys


_GENERATIONS = (0, 1, 2)  # the youngest first: what is new is most often found there


class Loops:
    """Knows the loops that are alive, and looks for another one only when there must be one.

    Each instance refers to its class. So the references to all classes of loops, less the loops that are known, rise
    when a loop is made (or when something else begins to refer to a class, which costs one search for nothing).
    """

    def __init__(self) -> None:
        self._known: list[ref[Any]] = []
        self._unexplained = 0

    def alive(self) -> list[Any]:
        """The loops that are alive, also closed ones; empty where asyncio has not been imported."""
        base = getattr(sys.modules.get("asyncio.events"), "AbstractEventLoop", None)
        if not isinstance(base, type):
            return []
        classes = list(_derived(base))
        loops = [loop for known in self._known if (loop := known()) is not None]
        unexplained = _references(classes) - len(loops)
        found = _new_instances(classes, loops, unexplained - self._unexplained)
        self._unexplained = unexplained - len(found)
        if found or len(loops) < len(self._known):
            self._known = [ref(loop) for loop in loops + found]
        return loops + found


def _derived(base: type) -> Iterator[type]:
    kinds: list[type] = type.__subclasses__(base)
    for kind in kinds:
        yield kind
        yield from _derived(kind)


def _references(classes: list[type]) -> int:
    return sum(map(sys.getrefcount, classes))


def _new_instances(classes: list[type], known: list[Any], wanted: int) -> list[Any]:
    kinds, seen = {id(kind) for kind in classes}, {id(loop) for loop in known}
    found: list[Any] = []
    for generation in _GENERATIONS:
        if len(found) >= wanted:
            break
        found += [each for each in gc.get_objects(generation) if id(type(each)) in kinds and id(each) not in seen]
    return found
