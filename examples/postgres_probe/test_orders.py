from __future__ import annotations

import psycopg


def test_counts_orders(orders):
    assert orders.execute("SELECT 1").fetchone() == (1,)


def test_asks_over_the_shared_connection(shared):
    assert shared.execute("SELECT 2").fetchone() == (2,)


def test_closes_what_it_opens(postgres):
    with psycopg.connect(postgres, application_name="short") as connection:
        assert connection.execute("SELECT 3").fetchone() == (3,)
