from __future__ import annotations

import ctypes
import functools
import random
import sys
import types
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest

from leaktrace.heap.search import Search


OWN = ("leaktrace", "_pytest", "pluggy", "pytest")
SEEDS = 5


class Bag:
    """What has its references in attributes, and sometimes in a dict of its own."""

    itself: Bag


class Runners:
    """What a walk never passes, for it says that it belongs to the test runner."""

    __module__ = "_pytest.nodes"
    thing: Bag


def closure(some: Sequence[object]) -> Callable[[], object]:
    return lambda: some


def thing_of(kind: Any, number: int, some: Sequence[Any], *, dict_too: bool) -> Any:
    """One object that refers to some others."""
    if kind in (Bag, Runners):
        thing = kind()
        for place, each in enumerate(some):
            setattr(thing, f"a{place}", each)
        return (vars(thing), thing)[1] if dict_too else thing
    if kind is dict:
        return {f"k{place}": each for place, each in enumerate(some)} | {number: [number]}
    if kind is functools.partial:
        return functools.partial(len, *some)
    return closure(some) if kind is closure else kind([*some, [number]])


def tangle(seed: int) -> tuple[ModuleType, list[Any]]:
    """A module full of objects that refer to each other at random, and some of them."""
    dice = random.Random(seed)
    module = types.ModuleType(f"tangle_{seed}")
    things: list[Any] = []
    for number in range(300):
        kind = dice.choice((Bag, Bag, Runners, list, dict, tuple, functools.partial, closure))
        some = [dice.choice(things[-70:]) for _ in range(dice.randrange(1, 4)) if things]
        things.append(thing_of(kind, number, some, dict_too=dice.random() < 0.5))
    for thing in dice.sample([each for each in things if type(each) is list], 20):
        thing.append(dice.choice(things))
    for number, thing in enumerate(dice.sample(things[-60:], 12)):
        setattr(module, f"name{number}", thing)
    return module, dice.sample(things[:100], 12)


def all_but(*modules: str) -> tuple[str, ...]:
    """What to call our own, so that these modules are the only roots."""
    return tuple({name.partition(".")[0] for name in sys.modules} - {"builtins", "functools", *modules})


def answer(at_first: int, targets: set[int], own: tuple[str, ...] = OWN) -> tuple[Any, ...]:
    """What a search finds, and the ways there."""
    search = Search(own=own, at_first=at_first)
    found = search.find(targets)
    ways = {target: search.path(target) for target in targets}
    nearest = Search(own=own, at_first=at_first).nearest(targets)
    return (
        found,
        {target: (root and root.name, list(map(id, way))) for target, (root, way) in ways.items()},
        (nearest[0] and nearest[0].name, list(map(id, nearest[1]))),
    )


@pytest.mark.parametrize("at_first", [0, 1_100, 1_200])
def test_the_way_is_the_same_wherever_the_search_asks_what_leads_to_its_targets(
    at_first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(SEEDS):
        module, things = tangle(seed)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        targets, own = set(map(id, things)), all_but(module.__name__)
        assert answer(at_first, targets, own) == answer(sys.maxsize, targets, own), seed


def test_a_context_that_is_kept_is_entered_last_on_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    import contextvars

    module = types.ModuleType("kept_context")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    thing = Bag()
    variable: contextvars.ContextVar[Bag] = contextvars.ContextVar("variable")
    vars(module)["context"] = contextvars.copy_context()
    module.context.run(variable.set, thing)
    whole = answer(sys.maxsize, {id(thing)})

    assert whole[0] == {id(thing)}
    assert answer(0, {id(thing)}) == whole


def test_what_nobody_refers_to_is_not_found() -> None:
    lost = Bag()
    lost.itself, target = lost, id(lost)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(lost))
    del lost
    try:
        assert answer(0, {target}) == answer(sys.maxsize, {target}) == (set(), {target: (None, [])}, (None, []))
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.cast(target, ctypes.py_object))


def test_a_local_of_a_running_function_is_a_root_whosever_it_is() -> None:
    kept = Runners()
    kept.thing = Bag()
    target = id(kept.thing)
    whole = answer(sys.maxsize, {target})

    assert whole[0] == {target}
    assert answer(0, {target}) == whole
