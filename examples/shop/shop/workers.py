"""What the shop does in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor


ITEM = b"\x00article\x00"
READY_TIMEOUT_S = 10.0


def export_stock(items: int) -> bytes:
    """The warehouse's stock, in its own old format of 9 bytes an item."""
    return ITEM * items


class StockSync:
    """Watches one warehouse's stock in a thread of its own."""

    def __init__(self, warehouse: str, items: int) -> None:
        self.warehouse = warehouse
        self.items = items
        self.level = 0
        self._ready = threading.Event()
        self._wake = threading.Event()
        self._stopping = False

    def start(self) -> None:
        """Begin, and return when the stock is known."""
        threading.Thread(target=self._run, name=f"stock-sync {self.warehouse}", daemon=True).start()
        if not self._ready.wait(READY_TIMEOUT_S):
            raise TimeoutError(f"no stock from {self.warehouse} within {READY_TIMEOUT_S} s")

    def changed(self) -> None:
        """Count again, soon."""
        self._wake.set()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopping = True

    def _run(self) -> None:
        snapshot = export_stock(self.items)
        while not self._stopping:
            self.level = len(snapshot) // len(ITEM)
            self._ready.set()
            self._wake.wait()
            self._wake.clear()


def count_stock(sizes: Iterable[int]) -> int:
    """Count the stock of several warehouses at the same time."""
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="stock-count") as pool:
        return sum(len(snapshot) // len(ITEM) for snapshot in pool.map(export_stock, sizes))
