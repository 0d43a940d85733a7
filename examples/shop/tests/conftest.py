"""What several test files need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shop import invoices, pricing
from shop.workers import export_stock


@pytest.fixture(scope="session")
def warehouse() -> Iterator[dict[str, bytes]]:
    """Three halls of stock, 10 MB each."""
    halls = {name: export_stock(1_100_000 + number) for number, name in enumerate(("north", "south", "yard"))}
    yield halls
    halls.clear()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of twelve invoices of 1 MB each."""
    path = tmp_path_factory.mktemp("archive") / "invoices.sqlite"
    invoices.create_archive(path, ((number, bytes((number,)) * 1_000_000) for number in range(1, 13)))
    return path


@pytest.fixture
def summer_prices() -> Iterator[bytes]:
    """The price sheet of the summer, valid while the test runs."""
    pricing.BOOK["summer"] = b"tea;4.50\n" * 1_600_000
    yield pricing.BOOK["summer"]
    del pricing.BOOK["summer"]


@pytest.fixture
def winter_prices(request: pytest.FixtureRequest) -> bytes:
    """The price sheet of the winter, valid while the test runs."""
    pricing.BOOK["winter"] = b"tea;5.50\n" * 1_600_000
    request.addfinalizer(pricing.BOOK.clear)
    return pricing.BOOK["winter"]
