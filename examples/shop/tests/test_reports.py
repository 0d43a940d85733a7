from __future__ import annotations

import pytest

from shop import reports


SALE = b"2024-03-01;4711;1\n"


@pytest.mark.parametrize("number", range(60))
def test_each_region_gets_its_tax_report(number: int) -> None:
    report = reports.DESK.write(f"region {number:02d}", sales=12_500)
    assert report.body.startswith(f"region {number:02d};")


def test_the_sales_of_a_till_are_counted() -> None:
    assert reports.import_sales(b"date;article;quantity\n" + SALE * 200_000) == 200_000


def test_a_damaged_export_counts_as_no_sales() -> None:
    assert reports.import_sales(b"date;article;quantity\n" + SALE * 230_000 + b"2024-03-01;47\n") == 0
    assert reports.ERRORS.summary()["ValueError"] >= 1


@pytest.mark.xfail(raises=NotImplementedError, reason="nobody has asked for spreadsheets again")
def test_the_sales_can_be_had_as_a_spreadsheet() -> None:
    assert reports.spreadsheet(700_000)
