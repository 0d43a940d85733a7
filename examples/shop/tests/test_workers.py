from __future__ import annotations

from shop.workers import ITEM, StockSync, count_stock


def test_a_sync_knows_the_stock_of_its_warehouse() -> None:
    sync = StockSync("harbour", items=1_340_000)
    sync.start()
    assert sync.level == 1_340_000
    sync.stop()


def test_several_warehouses_are_counted_at_the_same_time() -> None:
    assert count_stock([400_000, 400_000, 400_000, 400_000]) == 1_600_000


def test_every_hall_has_stock(warehouse: dict[str, bytes]) -> None:
    assert all(stock.startswith(ITEM) for stock in warehouse.values())


def test_no_hall_has_half_an_article(warehouse: dict[str, bytes]) -> None:
    assert not any(len(stock) % len(ITEM) for stock in warehouse.values())
