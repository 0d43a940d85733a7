"""Listeners that are added and never taken off."""

from __future__ import annotations

import atexit
import logging
import weakref
from collections.abc import Callable
from concurrent.futures import Future


class Bus:
    def __init__(self) -> None:
        self._subscribers: dict[str, list[Callable[[], None]]] = {}

    def subscribe(self, event: str, handler: Callable[[], None]) -> None:
        self._subscribers.setdefault(event, []).append(handler)


class Widget:
    def __init__(self) -> None:
        self.drawn = 0

    def redraw(self) -> None:
        self.drawn += 1


class Observable:
    def __init__(self) -> None:
        self.observers: set[Widget] = set()


BUS = Bus()
MODEL = Observable()
READY: Future[None] = Future()
LOG = logging.getLogger("leak.shop.audit")
LOG.propagate = False


def farewell(name: str) -> None:
    assert name


def test_event_bus() -> None:
    widget = Widget()
    BUS.subscribe("order.refunded", widget.redraw)
    assert widget.drawn == 0


def test_observer_set() -> None:
    MODEL.observers.add(Widget())
    assert MODEL.observers


def test_logging_handler() -> None:
    LOG.addHandler(logging.NullHandler())
    LOG.warning("kept")


def test_atexit() -> None:
    atexit.register(farewell, "a" * 40)


def test_callbacks_of_a_pending_future() -> None:
    widget = Widget()
    READY.add_done_callback(lambda _: widget.redraw())
    assert not READY.done()


def test_finalizer_that_holds_its_object() -> None:
    widget = Widget()
    weakref.finalize(widget, widget.redraw).atexit = False
    assert widget.drawn == 0
