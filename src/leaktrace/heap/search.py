"""The way from named roots to some objects, those of modules first; one sweep serves all questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leaktrace.heap import roots
from leaktrace.heap.ancestors import Ancestors, ancestors
from leaktrace.heap.graph import Graph


_MOSTLY = 0.5
"""Of the survivors: so many must be reached before what leads to one of them is said to keep them."""
AT_FIRST = 100_000
"""Some hundredths of a second; the namespaces of all modules are among it."""


class Search:
    """Looks for paths from named roots.

    Most things are found near the modules. What is not, might be at the end of millions of objects, or nowhere: then
    the walk goes on among those alone that lead to it. What it finds is the same.

    Args:
        own: packages whose objects are never walked through.
        test_files: source files whose modules come last.
        hidden: objects that are not walked through, either.
        at_first: how many references are followed before it is asked what leads to the objects that are looked for.
    """

    __slots__ = (
        "_at_first",
        "_by_id",
        "_graph",
        "_hidden",
        "_modules",
        "_near",
        "_others",
        "_own",
        "_reached",
        "_starts",
        "avoided",
    )

    def __init__(
        self,
        *,
        own: tuple[str, ...],
        test_files: frozenset[str] = frozenset(),
        hidden: Sequence[Any] = (),
        at_first: int = AT_FIRST,
    ) -> None:
        self._own, self._at_first = own, at_first
        self.avoided: set[int] = set()
        self._modules = roots.modules(own, test_files)
        self._others: list[roots.Root] | None = None
        self._hidden = [id(obj) for obj in (*hidden, *roots.own_modules(own), self._modules, *self._modules)]
        self._by_id = {id(root.obj): root for root in reversed(self._modules)}
        self.clear()

    def clear(self) -> None:
        """Let go of all that was walked through; a further question starts from the roots again."""
        self._graph = Graph(own=self._own, hidden=self._hidden)
        self._near: Graph | None = None
        self._starts: dict[int, int] = {}
        self._reached: set[int] = set()
        self._others = None

    def avoid(self, obj: object) -> None:
        """Never walk through an object again."""
        self._hidden.append(id(obj))
        self.avoided.add(id(obj))
        self.clear()

    def widen(self, own: tuple[str, ...], targets: set[int]) -> bool:
        """Take fewer packages for our own; gives whether that can lead to more of the targets.

        What was walked through already is not walked through again.
        """
        hidden = {id(obj) for obj in roots.own_modules(own)}
        shown = [id(obj) for obj in roots.own_modules(self._own) if id(obj) not in hidden]
        known = self._by_id.keys()
        more = [root for root in roots.modules(own, frozenset()) if id(root.obj) not in known]
        others = [*roots.registries(), *roots.stacks(own)]
        starts = {id(root.obj) for root in (*self._modules, *more, *others)}
        unmet, wide = targets - self._graph.met - self._reached, Graph(own=own)
        lead = ancestors(
            unmet,
            met=self._graph.met,
            is_closed=lambda obj: id(obj) in self.avoided or (id(obj) not in starts and wide.is_closed(obj)),
        )
        if lead is not None and not lead.edge and lead.ids.isdisjoint(starts):
            return False
        if len(self._graph):
            self._sweep({id(self)}, None)  # to the end, for what the user's own things lead to comes first
        self._own, self._modules, self._others = own, [*self._modules, *more], None
        self._by_id.update((id(root.obj), root) for root in more)
        self._graph.enter(own, shown)
        return True

    def find(self, targets: set[int], *, enough: int | None = None) -> set[int]:
        """The targets that a root reaches; stacks and hooks are asked only for what no module reaches."""
        found = self._find(targets, enough)
        self._reached |= found
        return found

    def _find(self, targets: set[int], enough: int | None) -> set[int]:
        self._near = None
        found = self._graph.sweep([root.obj for root in self._modules], targets, enough=enough, most=self._at_first)
        if len(found) >= (enough or len(targets)) or not self._graph.unfinished:
            return self._sweep(targets, enough)
        unmet = targets - found
        elsewhere = {id(root.obj) for root in self._elsewhere()}  # from a root the walk starts, whosever it is
        lead = ancestors(
            unmet,
            met=self._graph.met,
            is_closed=lambda obj: id(obj) not in elsewhere and self._graph.is_closed(obj),
        )
        if lead is None:
            return self._sweep(targets, enough)
        return found | self._sweep_near(lead, unmet, None if enough is None else enough - len(found))

    def _sweep(self, targets: set[int], enough: int | None) -> set[int]:
        return self._onward(self._graph, [root.obj for root in self._modules], targets, enough)

    def _onward(
        self, graph: Graph, starts: list[Any], targets: set[int], enough: int | None, among: set[int] | None = None
    ) -> set[int]:
        """From some objects, then from the roots that are no modules, then through contexts, until enough is found."""
        found = graph.sweep(starts, targets, enough=enough)
        if len(found) < (enough or len(targets)):
            elsewhere = [root.obj for root in self._elsewhere() if among is None or id(root.obj) in among]
            found = graph.sweep(elsewhere, targets, enough=enough)
        if len(found) < (enough or len(targets)):
            graph.enter_contexts()
            found = graph.sweep([], targets, enough=enough)
        return found

    def _sweep_near(self, lead: Ancestors, targets: set[int], enough: int | None) -> set[int]:
        """The same among what leads to the targets, from where the great sweep has stopped."""
        graph, near = self._graph, Graph(own=self._own, only=lead.ids)
        waiting, postponed = graph.waiting(lead.edge)
        self._near, self._starts = near, {**waiting, **postponed}
        near.postpone(map(graph.node, postponed.values()))
        return self._onward(near, list(map(graph.node, waiting.values())), targets, enough, lead.ids)

    def _elsewhere(self) -> list[roots.Root]:
        """The roots that are no modules."""
        if self._others is None:
            self._others = [*roots.registries(), *roots.stacks(self._own)]
            for root in self._others:
                self._by_id.setdefault(id(root.obj), root)
        return self._others

    def path(self, target: int) -> tuple[roots.Root | None, list[Any]]:
        """The root and the objects on the way to a target that was found last, or (None, [])."""
        way = self._graph.path(target)
        if not way and self._near is not None:
            way = self._near.path(target)
            if way and id(way[0]) in self._starts:
                way[:1] = self._graph.way(self._starts[id(way[0])])
        return (self._by_id[id(way[0])], way) if way else (None, [])

    def nearest(self, targets: set[int]) -> tuple[roots.Root | None, list[Any]]:
        """The way to the first target that is met, or (None, []) where most of them cannot be reached.

        One of many that are lost may be in somebody's hands for the moment, who is then not what keeps them.
        """
        reached = self.find(targets)
        if not reached or len(reached) < _MOSTLY * len(targets):
            return None, []
        first = self._graph.first(reached)
        if first is None and self._near is not None:
            first = self._near.first(reached)
        return (None, []) if first is None else self.path(first)
