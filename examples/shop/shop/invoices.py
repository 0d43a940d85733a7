"""Invoices: written as documents, kept in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


LETTERHEAD_BYTES = 1_000_000


@dataclass(frozen=True)
class Invoice:
    """What a customer owes us."""

    number: int
    customer: str
    cents: int


class InvoicePrinter:
    """Turns invoices into documents, all under one letterhead."""

    rendered: list[bytearray] = []

    def __init__(self, company: str) -> None:
        self.letterhead = f"%PDF-1.7 {company} ".encode() + b"\x20" * LETTERHEAD_BYTES

    def render(self, invoice: Invoice) -> bytearray:
        """The document for one invoice."""
        document = bytearray(self.letterhead)
        document.extend(f"{invoice.number}\t{invoice.customer}\t{invoice.cents / 100:.2f}\n%%EOF".encode())
        self.rendered.append(document)
        return document


class ConnectionPool:
    """Lends each reader a connection of its own, so that none waits for another."""

    def __init__(self) -> None:
        self._lent: list[sqlite3.Connection] = []

    def lend(self, path: Path) -> sqlite3.Connection:
        """A connection to the archive at `path`, with room for 16 MiB of its pages."""
        connection = sqlite3.connect(path, check_same_thread=False)
        connection.execute("PRAGMA cache_size = -16384")
        self._lent.append(connection)
        return connection

    def take_back(self, connection: sqlite3.Connection) -> None:
        """Close a connection that was lent."""
        self._lent.remove(connection)
        connection.close()


POOL = ConnectionPool()
PART = 3_900


def create_archive(path: Path, documents: Iterable[tuple[int, bytes]]) -> None:
    """Write a new archive of numbered documents to `path`, in parts that fit into a page."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.execute("CREATE TABLE parts (number INTEGER NOT NULL, content BLOB NOT NULL)")
            for number, document in documents:
                parts = ((number, document[at : at + PART]) for at in range(0, len(document), PART))
                connection.executemany("INSERT INTO parts VALUES (?, ?)", parts)
    finally:
        connection.close()


def read_document(path: Path, number: int) -> bytes:
    """One document of the archive; KeyError if there is none of that number."""
    connection = POOL.lend(path)
    try:
        rows = connection.execute("SELECT content FROM parts WHERE number = ? ORDER BY rowid", (number,)).fetchall()
    finally:
        POOL.take_back(connection)
    if not rows:
        raise KeyError(number)
    return b"".join(content for (content,) in rows)


def yearly_volume(path: Path) -> int:
    """How many bytes all documents of the archive have together."""
    connection = POOL.lend(path)
    return sum(len(content) for (content,) in connection.execute("SELECT content FROM parts"))
