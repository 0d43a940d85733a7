from __future__ import annotations

import pytest

from shop.events import EventBus


def test_an_event_reaches_all_its_subscribers() -> None:
    bus, heard = EventBus(), []
    bus.subscribe("rain", lambda where: heard.append(("first", where)))
    bus.subscribe("rain", lambda where: heard.append(("second", where)))
    assert bus.publish("rain", where="roof") == 2
    assert heard == [("first", "roof"), ("second", "roof")]


def test_an_event_without_subscribers_reaches_nobody() -> None:
    assert EventBus().publish("snow") == 0


def test_who_unsubscribed_hears_nothing() -> None:
    bus, heard = EventBus(), []
    bus.subscribe("rain", heard.append)
    bus.unsubscribe("rain", heard.append)
    assert bus.publish("rain", where="roof") == 0


def test_nobody_can_unsubscribe_who_never_subscribed() -> None:
    with pytest.raises(ValueError, match="not in list"):
        EventBus().unsubscribe("rain", print)
