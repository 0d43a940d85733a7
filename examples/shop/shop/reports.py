"""Reports for the tax office, for the owner, and for whoever has to find out what went wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


COLUMNS = 3


@dataclass(frozen=True)
class TaxReport:
    """A region's turnover, ready to be sent."""

    region: str
    body: str


class ReportDesk:
    """Writes reports and knows which were written."""

    def __init__(self) -> None:
        self.history: list[TaxReport] = []

    def write(self, region: str, sales: int) -> TaxReport:
        """The tax report of one region."""
        report = TaxReport(region, f"{region};00019.00;EUR\n" * sales)
        self.history.append(report)
        return report


DESK = ReportDesk()


class ErrorLog:
    """The errors that did not stop the shop, for the morning's round."""

    def __init__(self) -> None:
        self._errors: list[Exception] = []

    def record(self, error: Exception) -> None:
        """Note an error that was survived."""
        self._errors.append(error)

    def summary(self) -> Counter[str]:
        """How often each kind of error happened."""
        return Counter(type(error).__name__ for error in self._errors)


ERRORS = ErrorLog()


def count_sales(export: bytes) -> int:
    """How many sales a till's export has; ValueError if it is damaged."""
    text = export.decode("ascii")
    _, _, body = text.partition("\n")
    sales = body.count("\n")
    if body.count(";") != sales * (COLUMNS - 1):
        raise ValueError(f"a sale without {COLUMNS} columns among {sales}")
    return sales


def import_sales(export: bytes) -> int:
    """Count a till's sales; a damaged export counts as none and is noted."""
    try:
        return count_sales(export)
    except ValueError as error:
        ERRORS.record(error)
        return 0


def spreadsheet(rows: int) -> bytes:
    """The sales as a spreadsheet."""
    cells = b"<c><v>19.00</v></c>" * rows
    raise NotImplementedError(f"{len(cells)} bytes of cells, and nobody who zips them")
