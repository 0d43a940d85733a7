from __future__ import annotations

import pytest

from shop.events import BUS, EventBus
from shop.orders import Line, Order, Parcel, delivery_days, total_cents


@pytest.mark.parametrize(("quantity", "cents"), [(0, 0), (1, 250), (4, 1_000)])
def test_a_line_costs_its_quantity_times_its_price(quantity: int, cents: int) -> None:
    assert total_cents([Line("tea", quantity, 250)]) == cents


def test_nothing_is_due_after_a_full_refund() -> None:
    orders = [Order(number, [Line("tea", 2, 250)]) for number in range(20)]
    for order in orders:
        BUS.publish("order.refunded", number=order.number, cents=500)
    assert [order.due_cents for order in orders] == [0] * 20


def test_a_refund_of_another_order_changes_nothing() -> None:
    bus = EventBus()
    order = Order(1, [Line("pot", 1, 3_000)], bus=bus)
    bus.publish("order.refunded", number=2, cents=3_000)
    assert order.due_cents == 3_000


def test_a_parcel_notes_the_stations_on_its_way() -> None:
    with Parcel("P-1") as parcel:
        BUS.publish("parcel.scanned", code="P-1", station="Graz")
        BUS.publish("parcel.scanned", code="P-2", station="Linz")
    BUS.publish("parcel.scanned", code="P-1", station="Wien")
    assert parcel.stations == ["Graz"]


def test_the_next_town_gets_its_parcel_tomorrow() -> None:
    assert delivery_days("01000") == 1
