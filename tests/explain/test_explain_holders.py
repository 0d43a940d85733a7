"""Real leaks, one for each kind of holder: the holder, its kind, the line that adds, the proof."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import pytest

from explain.loading import Load
from leaktrace.explain.steps import explain


@dataclass(frozen=True)
class Specimen:
    """One leaking module: what it contains and what the trace must say of its function `run`."""

    name: str
    source: str
    holder: str
    kind: str
    adds: str
    proof: str = "proved"


SPECIMENS = [
    # As logging does from CPython 3.14 on: a list that each run replaces is new, and nearer than what grows.
    Specimen(
        "beside_a_list_that_is_replaced",
        """
        class Box: ...
        HANDLING, STATE = Box(), Box()
        HANDLING.handlers = []
        STATE.inner = Box()
        STATE.inner.last = None
        def run():
            STATE.inner.last = [STATE.inner.last]
            HANDLING.handlers = HANDLING.handlers.copy()
        """,
        "{m}.STATE.inner.last",
        "chain",
        "STATE.inner.last = [STATE.inner.last]",
    ),
    Specimen(
        "beside_many_lists_that_are_replaced",
        """
        class Box: ...
        HANDLING, STATE = [Box() for _ in range(6)], Box()
        for each in HANDLING: each.handlers = []
        STATE.inner = Box()
        STATE.inner.within = Box()
        STATE.inner.within.last = None
        def run():
            STATE.inner.within.last = [STATE.inner.within.last]
            for each in HANDLING: each.handlers = each.handlers.copy()
        """,
        "{m}.STATE.inner.within.last",
        "chain",
        "STATE.inner.within.last = [STATE.inner.within.last]",
    ),
    Specimen(
        "bus",
        """
        class Bus:
            def __init__(self):
                self._subscribers = {"order.refunded": []}
            def subscribe(self, name, handler):
                self._subscribers[name].append(handler)
        BUS = Bus()
        class Order:
            def __init__(self):
                BUS.subscribe("order.refunded", self.on_refund)
            def on_refund(self): ...
        def run():
            Order(), Order()
        """,
        "{m}.BUS._subscribers['order.refunded']",
        "instance-container",
        "self._subscribers[name].append(handler)",
    ),
    Specimen(
        "module_dict",
        """
        import itertools
        class Thing: ...
        CACHE, COUNT = {}, itertools.count()
        def run():
            CACHE[f"key{next(COUNT)}"] = Thing()
        """,
        "{m}.CACHE",
        "module-container",
        'CACHE[f"key{next(COUNT)}"] = Thing()',
    ),
    Specimen(
        "set_of_things",
        """
        class Thing: ...
        SEEN = set()
        def run():
            SEEN.add(Thing())
        """,
        "{m}.SEEN",
        "module-container",
        "SEEN.add(Thing())",
    ),
    Specimen(
        "bytes_in_slots",
        """
        class Log:
            __slots__ = ("_lines",)
            def __init__(self):
                self._lines = []
        LOG = Log()
        def run():
            LOG._lines.append(bytes(5000))
        """,
        "{m}.LOG._lines",
        "instance-container",
        "LOG._lines.append(bytes(5000))",
    ),
    Specimen(
        "class_attribute",
        """
        class Registry:
            instances = []
            def __init__(self):
                Registry.instances.append(self)
        def run():
            Registry()
        """,
        "{m}.Registry.instances",
        "class-container",
        "Registry.instances.append(self)",
    ),
    Specimen(
        "closure",
        """
        class Thing: ...
        def make():
            items = []
            def add(thing):
                items.append(thing)
            return add
        ADD = make()
        def run():
            ADD(Thing())
        """,
        "{m}.make.add (closure variable 'items')",
        "closure",
        "items.append(thing)",
    ),
    Specimen(
        "default_argument",
        """
        class Thing: ...
        def keep(thing, kept=[]):
            kept.append(thing)
        def run():
            keep(Thing())
        """,
        "{m}.keep (default of 'kept')",
        "default-argument",
        "kept.append(thing)",
    ),
    Specimen(
        "unbounded_cache",
        """
        import functools
        class Thing: ...
        @functools.lru_cache(maxsize=None)
        def rate(thing):
            return [thing]
        def run():
            rate(Thing())
        """,
        "{m}.rate (lru_cache)",
        "lru-cache",
        "rate(Thing())",
    ),
    Specimen(
        "thread_local",
        """
        import threading
        class Thing: ...
        LOCAL = threading.local()
        LOCAL.kept = []
        def run():
            LOCAL.kept.append(Thing())
        """,
        "{m}.LOCAL.kept",
        "thread-local",
        "LOCAL.kept.append(Thing())",
    ),
    Specimen(
        "context_variable",
        """
        import contextvars
        class Thing: ...
        CURRENT = contextvars.ContextVar("leaktrace_specimen")
        CURRENT.set([])
        def run():
            CURRENT.get().append(Thing())
        """,
        "contextvar 'leaktrace_specimen'",
        "contextvar",
        "CURRENT.get().append(Thing())",
    ),
    Specimen(
        "generator",
        """
        class Thing: ...
        def collect():
            kept = []
            while True:
                kept.append((yield))
        COLLECT = collect()
        next(COLLECT)
        def run():
            COLLECT.send(Thing())
        """,
        "{m}.COLLECT (generator collect(): local 'kept')",
        "generator",
        "kept.append((yield))",
    ),
    Specimen(
        "finalizer",
        """
        import weakref
        class Thing: ...
        OWNER = Thing()
        def run():
            weakref.finalize(OWNER, print, Thing()).atexit = False
        """,
        "weakref.finalize._registry",
        "weakref-callback",
        "weakref.finalize(OWNER, print, Thing()).atexit = False",
    ),
    Specimen(
        "log_handler",
        """
        import logging
        def run():
            logging.getLogger("leaktrace.specimen").addHandler(logging.NullHandler())
        """,
        "logging.getLogger('leaktrace.specimen').handlers",
        "logging",
        'logging.getLogger("leaktrace.specimen").addHandler(logging.NullHandler())',
    ),
    Specimen(
        "logger_names",
        """
        import itertools, logging
        N = itertools.count()
        def run():
            logging.getLogger(f"leaktrace.specimen.{next(N)}")
        """,
        "logging.Logger.manager.loggerDict",
        "logger-names",
        'logging.getLogger(f"leaktrace.specimen.{next(N)}")',
    ),
    Specimen(
        "wrapped_function",
        """
        import functools
        @functools.singledispatch
        def render(value): ...
        def run():
            render.register(type("Local", (), {}), str)
        """,
        "{m}.render.registry",
        "function-attribute",
        'render.register(type("Local", (), {}), str)',
    ),
    Specimen(
        "buffer",
        """
        BUFFER = bytearray()
        def run():
            BUFFER.extend(bytes(1000))
        """,
        "{m}.BUFFER",
        "module-container",
        "BUFFER.extend(bytes(1000))",
    ),
    Specimen(
        "partial",
        """
        import functools
        class Thing: ...
        PUT = functools.partial(list.append, [])
        def run():
            PUT(Thing())
        """,
        "{m}.PUT.args[0]",
        "partial",
        "PUT(Thing())",
    ),
]


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_the_true_holder_and_the_true_line_are_named_and_proved(specimen: Specimen, load: Load) -> None:
    module = load(specimen.name, specimen.source)

    exhibit = explain(module.run, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == specimen.holder.format(m=module.__name__)
    assert exhibit.holder.kind == specimen.kind
    adding = [site for site in exhibit.sites if site.adds]
    assert [site.code.splitlines()[0] for site in adding] == [specimen.adds]
    assert exhibit.proof.status == specimen.proof, exhibit.proof.detail
    assert len(exhibit.fingerprint) == 8
    assert exhibit.fix
