from __future__ import annotations

import unittest

from shop.orders import Line, total_cents


class CheckoutTest(unittest.TestCase):
    def setUp(self) -> None:
        self.lines = [Line(f"article {number}", 1, 100) for number in range(1_000)]
        self.camera = b"\x33" * 25_000_000

    def tearDown(self) -> None:
        del self.lines, self.camera

    def test_all_articles_are_paid(self) -> None:
        self.assertEqual(total_cents(self.lines), 100_000)

    def test_the_camera_saw_the_customer(self) -> None:
        self.assertEqual(self.camera[-1], 0x33)
