"""Who wants to know what happens in the shop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any


Handler = Callable[..., Any]


class EventBus:
    """Passes named events on to those who asked for them, in the order in which they asked."""

    def __init__(self) -> None:
        self._subscribers: defaultdict[str, list[Handler]] = defaultdict(list)

    def subscribe(self, name: str, handler: Handler) -> None:
        """Call `handler` whenever `name` is published."""
        self._subscribers[name].append(handler)

    def unsubscribe(self, name: str, handler: Handler) -> None:
        """Call `handler` no longer; ValueError if it never subscribed."""
        self._subscribers[name].remove(handler)

    def publish(self, name: str, **details: Any) -> int:
        """Tell all subscribers of `name`, and return how many were told."""
        handlers = tuple(self._subscribers.get(name, ()))
        for handler in handlers:
            handler(**details)
        return len(handlers)


BUS = EventBus()
