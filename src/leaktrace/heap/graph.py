"""One forward sweep over the object graph from named roots, with the way back recorded."""

from __future__ import annotations

import types
from array import array
from collections import deque
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextvars import Context
from typing import Any

from leaktrace.heap import safe
from leaktrace.pristine import gc, sys


_ATOMS = (
    str, bytes, int, float, complex, bool, type(None), types.CodeType, type(NotImplemented), type(Ellipsis),
    types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)  # fmt: skip
_WALK, _SKIP, _CLASS, _FRAME, _LATER = range(5)
_SEARCHED = (dict, list, tuple, set, frozenset, deque)


class Graph:
    """A breadth-first forest over all that the roots reach; grows by further roots, remembers what it has seen.

    A dict that belongs to an instance, a class or a function counts as no step of its own: else the best path would
    depend on how a CPython version stores attributes.

    Args:
        own: packages whose objects are never walked through.
        hidden: identities of objects that are not walked through, either.
        only: identities of all that may be met besides the roots; everything, where it is None.
    """

    __slots__ = (
        "_atoms",
        "_found",
        "_kept",
        "_later",
        "_manners",
        "_nodes",
        "_only",
        "_own",
        "_parents",
        "_queue",
        "_seen",
        "_shut",
    )

    def __init__(
        self, *, own: tuple[str, ...], hidden: Iterable[int] = (), only: AbstractSet[int] | None = None
    ) -> None:
        self._own, self._only = own, only
        self._seen: set[int] = set(hidden) | safe.never_asked()
        self._nodes: list[Any] = []
        self._parents = array("q")
        self._atoms = {id(kind) for kind in _ATOMS}
        self._manners: dict[int, int] = {}
        self._kept: list[type] = []
        self._found: dict[int, int] = {}
        self._queue: deque[int] = deque()
        self._later: list[int] = []
        self._shut: list[tuple[Any, int]] = []  # what is our own, and where it was met
        self._seen.update(
            id(part)
            for part in (self._seen, self._nodes, self._atoms, self._manners, self._kept, self._later, self._shut)
        )

    # Long: one tight loop over every living object, where a call more is a second more.
    def sweep(  # noqa: C901, PLR0912
        self, roots: Iterable[Any], targets: set[int], *, enough: int | None = None, most: int = sys.maxsize
    ) -> set[int]:
        """Walk on from some more roots until the targets are found; gives those of them that were.

        Args:
            roots: where to start, besides where the last sweep stopped.
            targets: identities to look for.
            enough: how many of them suffice; all, where it is None.
            most: how many references are followed at most.
        """
        nodes, parents, seen, atoms, found = self._nodes, self._parents, self._seen, self._atoms, self._found
        manners, refers, only = self._manners, gc.get_referents, self._only
        wanted = self._unmet(targets)
        queue = self._queue
        seen.update((id(roots), id(targets), id(wanted), id(queue)))
        self._plant(roots, wanted)
        searched = {id(kind) for kind in _SEARCHED}
        spare = 0 if enough is None else max(0, len(targets) - enough)
        while queue and len(wanted) > spare:
            index = queue.popleft()
            parent = nodes[index]
            children = refers(parent)
            most -= len(children)
            if most < 0:
                queue.appendleft(index)
                break
            direct = id(type(parent)) not in searched
            for child in children:
                key = id(child)
                if key in seen or (only is not None and key not in only):
                    continue
                kind = id(type(child))
                if kind in atoms:
                    if key not in wanted:
                        continue
                    manner = _WALK
                else:
                    manner = manners.get(kind, -1)
                    if manner < 0:
                        manner = self._judge(type(child))
                seen.add(key)
                if manner == _LATER:
                    self._later.append(len(nodes))
                elif manner and self._is_own(child, manner):
                    self._shut.append((child, index))
                    continue
                if key in wanted:
                    wanted.discard(key)
                    found[key] = len(nodes)
                if direct and type(child) is dict:
                    queue.appendleft(len(nodes))
                elif manner != _LATER:
                    queue.append(len(nodes))
                nodes.append(child)
                parents.append(index)
        return targets & found.keys()

    def _plant(self, roots: Iterable[Any], wanted: set[int]) -> None:
        for root in roots:
            if id(root) not in self._seen:
                self._seen.add(id(root))
                if id(root) in wanted:
                    wanted.discard(id(root))
                    self._found[id(root)] = len(self._nodes)
                self._queue.append(len(self._nodes))
                self._nodes.append(root)
                self._parents.append(-1)

    @property
    def unfinished(self) -> bool:
        """Whether the last sweep has left something to walk on from."""
        return bool(self._queue)

    @property
    def met(self) -> AbstractSet[int]:
        """Identities of all that was met, or is hidden."""
        return self._seen

    def is_closed(self, obj: Any) -> bool:
        """Whether an object is never walked through, because it is our own or leads nowhere."""
        kind = id(type(obj))
        if kind in self._atoms:
            return True
        manner = self._manners[kind] if kind in self._manners else self._judge(type(obj))
        return manner in (_SKIP, _CLASS, _FRAME) and self._is_own(obj, manner)

    def waiting(self, among: AbstractSet[int]) -> tuple[dict[int, int], dict[int, int]]:
        """Those of some objects that are still to be walked on from, and those that are contexts still to be entered.

        Their numbers by identity, each in its order.
        """
        nodes = self._nodes
        now, later = (
            {id(nodes[index]): index for index in indices if id(nodes[index]) in among}
            for indices in (self._queue, self._later)
        )
        return now, later

    def postpone(self, contexts: Iterable[Any]) -> None:
        """Take contexts for met, as roots that are still to be entered."""
        for context in contexts:
            self._seen.add(id(context))
            self._later.append(len(self._nodes))
            self._nodes.append(context)
            self._parents.append(-1)

    def enter_contexts(self) -> None:
        """Let the next sweep walk on through the contexts that were met: those that are kept, in tokens and tasks.

        What the current one holds has a name of its own, the variable's, and it is the better one.
        """
        self._queue.extend(self._later)
        self._later.clear()

    def enter(self, own: tuple[str, ...], shown: Iterable[int]) -> None:
        """Let the next sweep walk on through what was our own and is so no longer, and what is `shown` again."""
        self._own = own
        self._manners.clear()
        self._seen.difference_update(shown)
        shut = self._shut[:]
        self._shut.clear()
        for obj, parent in shut:
            manner = self._judge(type(obj))
            if manner and manner != _LATER and self._is_own(obj, manner):
                self._shut.append((obj, parent))
                continue
            self._queue.append(len(self._nodes))
            self._nodes.append(obj)
            self._parents.append(parent)

    def _unmet(self, targets: set[int]) -> set[int]:
        """The targets that were not met yet, after a look at what earlier sweeps walked through."""
        wanted = targets - self._found.keys()
        if not wanted.isdisjoint(self._seen):  # most questions are about what was not: millions need not be looked at
            for index, node in enumerate(self._nodes):
                if id(node) in wanted:
                    self._found[id(node)] = index
        return wanted - self._found.keys()

    def first(self, targets: set[int]) -> int | None:
        """Of some targets the one that was met first; None where none was."""
        return min(targets & self._found.keys(), key=self._found.__getitem__, default=None)

    def node(self, index: int) -> Any:
        """The object with this number."""
        return self._nodes[index]

    def path(self, target: int) -> list[Any]:
        """From a root to the object with this identity, both included; empty where it was not found."""
        return self.way(self._found.get(target, -1))

    def way(self, index: int) -> list[Any]:
        """From a root to the node with this number, both included."""
        way: list[Any] = []
        while index >= 0:
            way.append(self._nodes[index])
            index = self._parents[index]
        way.reverse()
        return way

    def __len__(self) -> int:
        return len(self._nodes)

    def _judge(self, cls: type) -> int:
        """How objects of a type are walked; decided once a type."""
        self._kept.append(cls)  # an id stays true only as long as its owner lives
        if safe.is_within(safe.module_of(cls), self._own):
            manner = _SKIP
        elif issubclass(cls, type):
            manner = _CLASS
        elif cls is Context:
            manner = _LATER
        else:
            manner = _FRAME if cls is types.FrameType else _WALK
        self._manners[id(cls)] = manner
        return manner

    def _is_own(self, obj: Any, manner: int) -> bool:
        if manner == _SKIP:
            return True
        module = safe.module_of_frame(obj) if manner == _FRAME else safe.module_of(obj)
        return safe.is_within(module, self._own)
