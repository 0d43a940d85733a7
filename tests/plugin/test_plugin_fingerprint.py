"""A fingerprint is the same with another hash seed, in another order, and when its lines have moved."""

from __future__ import annotations

import sys

import pytest

from plugin.plugin_harness import Example, Ran


SHOP = """
    import ctypes

    BUS, SEEN, HANDLERS = {}, set(), []

    class Order:
        made = []
        def __init__(self, size=3_000_000): self.body = bytearray(size)
        def on_refund(self): pass

    class Session:
        def __init__(self): self.open = {}

    SESSION = Session()

    def subscribe(name, order): BUS.setdefault(name, []).append(order.on_refund)
    def see(order): SEEN.add(order)
    def make(): Order.made.append(Order())
    def login(name): SESSION.open[name] = Order()
    def handle():
        order = Order()
        HANDLERS.append(lambda: order)
    def allocate(): ctypes.CDLL(None).malloc(3_000_000)
    """
TESTS = """
    import itertools, uuid
    import pytest, shop

    @pytest.mark.parametrize("event", ["refund", "cancel"])
    def test_bus(event): shop.subscribe("order.refunded", shop.Order())
    def test_set(): shop.see(shop.Order())
    def test_class(): shop.make()
    def test_session(): shop.login(str(uuid.uuid4()))
    def test_closure(): shop.handle()
    """
if sys.platform == "linux":  # where native memory is counted exactly
    TESTS += """
    def test_native(): shop.allocate()
    """


@pytest.fixture
def suite(example: Example) -> Example:
    example.write({"shop.py": SHOP, "test_a.py": TESTS})
    return example


def marks(ran: Ran) -> dict[str, str]:
    """Fingerprints by test; empty ones are none."""
    found = {case.suspect.name.partition("::")[2]: case.exhibit.fingerprint for case in ran.book.cases}
    assert len(found) >= 5, ran.report
    assert "" not in found.values(), found
    return found


def test_a_fingerprint_stays_with_another_hash_seed_another_order_and_lines_that_moved(suite: Example) -> None:
    args = ("--leaktrace", "--leaktrace-limit=1MB")
    first = suite.run(*args, env={"PYTHONHASHSEED": "1"}, expect=0)
    suite.write({"shop.py": "\n" * 50 + SHOP, "test_a.py": "\n" * 50 + TESTS})
    backwards = [f"test_a.py::{name}" for name in reversed(first.outcomes)]
    second = suite.run(*args, *backwards, env={"PYTHONHASHSEED": "2"}, expect=0)

    assert marks(second) == marks(first)
    # Two variants of one test do the same; each other test is a cause of its own.
    assert marks(first)["test_bus[refund]"] == marks(first)["test_bus[cancel]"]
    assert len(set(marks(first).values())) == len(marks(first)) - 1
    assert "other case of the same cause, fingerprint " in first.report
