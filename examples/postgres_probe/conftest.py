from __future__ import annotations

import psycopg
import pytest
from probe import ConnectionsProbe
from server import Server


SERVER = Server()


def pytest_leaktrace_probes(config):
    return [ConnectionsProbe(SERVER)]


@pytest.fixture(scope="session")
def postgres():
    with SERVER.running() as conninfo:
        yield conninfo


@pytest.fixture(scope="session")
def shared(postgres):
    """Open for the whole session, and closed at its end: a loan."""
    with psycopg.connect(postgres, application_name="shared") as connection:
        yield connection


@pytest.fixture
def orders(postgres):
    """Never closed: a leak of each test that uses it."""
    connection = psycopg.connect(postgres, application_name="orders")
    KEPT.append(connection)
    yield connection


KEPT = []
