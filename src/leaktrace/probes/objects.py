"""Counts of Python's own objects and references."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence

from leaktrace.pristine import sys
from leaktrace.probes.build import is_free_threaded
from leaktrace.probes.model import REFS, Counter, Unread, Value


FICKLE = frozenset(
    {str, bytes, int, float, complex, bool, type(None), type, types.ModuleType, types.FunctionType}
    | {types.BuiltinFunctionType, types.CodeType}
)
"""Types of globals whose reference counts say nothing: shared by everyone, or counted already."""


class RefsProbe:
    """References, of which a C extension may forget one without allocating anything.

    A debug build counts them all (`sys.gettotalrefcount`). Elsewhere the reference counts of every class are summed up,
    and those of the globals that the test can see: a forgotten reference to a new instance shows in blocks, one to its
    class or to an old one only here. Those to None and its like keep nothing alive, and before 3.12, where they are
    not immortal, the interpreter itself drops some in every other batch, by which it would hide all others.
    """

    counter: Counter = REFS

    def __init__(self) -> None:
        self._total = getattr(sys, "gettotalrefcount", None)
        self._classes: list[type] = []
        self._namespaces: Sequence[Mapping[str, object]] = ()
        self._modules = 0
        self._why = "" if hasattr(sys, "getrefcount") else "this interpreter has no reference counts"
        if self._total is None and is_free_threaded():
            self._why = "a free-threaded CPython counts a class's references in each thread apart, and tells no sum"
        self.refresh()

    def refresh(self, namespaces: Sequence[Mapping[str, object]] = ()) -> None:
        """Learn the classes that have come since; to be called between tests, not between two readings.

        Args:
            namespaces: globals whose values are looked at, anew at each reading: to keep those would keep them alive.
        """
        self._namespaces = namespaces
        if self._total is None and not self._why and len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            self._classes = list(every_class())

    def read(self) -> Value:
        """The sum of references now."""
        if self._why:
            return Unread(counter=self.counter.name, why=self._why)
        if self._total is not None:
            return int(self._total())
        count = sys.getrefcount
        seen = sum(
            count(value) for names in self._namespaces for value in list(names.values()) if type(value) not in FICKLE
        )
        return sum(map(count, self._classes)) + seen


def every_class() -> Iterator[type]:
    """Every class, the interpreter's own too, by `type.__subclasses__`, which no metaclass of a user can intercept."""
    seen: set[int] = set()
    waiting: list[type] = [object]
    while waiting:
        cls = waiting.pop()
        if id(cls) not in seen:
            seen.add(id(cls))
            yield cls
            if cls is not type:
                waiting.extend(type.__subclasses__(cls))
    yield type
