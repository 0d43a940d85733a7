from __future__ import annotations

from pathlib import Path

import pytest

from shop.invoices import Invoice, InvoicePrinter, read_document, yearly_volume


def test_an_invoice_carries_the_letterhead_of_the_shop() -> None:
    printer = InvoicePrinter("Tea & Pots")
    for number in range(15):
        document = printer.render(Invoice(number, "Ada", 1_250))
        assert document.startswith(b"%PDF-1.7 Tea & Pots")
        assert document.endswith(b"12.50\n%%EOF")


def test_the_archive_gives_back_what_was_put_in(archive: Path) -> None:
    assert all(read_document(archive, number)[0] == number for number in range(1, 13))


def test_a_document_that_is_not_there_is_an_error(archive: Path) -> None:
    with pytest.raises(KeyError):
        read_document(archive, 13)


def test_the_yearly_volume_counts_all_documents(archive: Path) -> None:
    assert yearly_volume(archive) == 12_000_000


@pytest.mark.skip(reason="needs the label printer that stands in the shop")
def test_an_invoice_can_be_printed_on_paper() -> None:
    raise AssertionError
