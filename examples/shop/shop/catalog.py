"""What the shop has to sell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count


FEED_PAGE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Product:
    """One thing to sell, with the text of its page."""

    name: str
    text: str


class Catalog:
    """The products of one season."""

    def __init__(self, products: Iterable[Product]) -> None:
        self.products = tuple(products)

    @classmethod
    def of_season(cls, season: str, size: int) -> Catalog:
        """The catalogue that the wholesaler sends for a season: `size` products of 2,000 letters each."""
        return cls(Product(f"{season} {number}", f"{number:06d} " + "tea " * 500) for number in range(size))

    @lru_cache(maxsize=None)
    def find(self, word: str) -> tuple[str, ...]:
        """Names of the products whose page has `word` in it."""
        return tuple(product.name for product in self.products if word in product.text)


class Category:
    """A branch of the catalogue; it knows its parent and its children."""

    def __init__(self, name: str, parent: Category | None = None, *, banner: bytes = b"") -> None:
        self.name = name
        self.parent = parent
        self.banner = banner
        self.children: list[Category] = []
        if parent is not None:
            parent.children.append(self)

    def path(self) -> str:
        """The names from the top down to here."""
        return self.name if self.parent is None else f"{self.parent.path()} / {self.name}"


def feed_pages(products: Iterable[Product]) -> Iterator[bytes]:
    """The price-comparison feed of the products, page by page."""
    document = "\n".join(f"{product.name}\t{product.text}" for product in products).encode()
    for start in range(0, len(document), FEED_PAGE_BYTES):
        yield document[start : start + FEED_PAGE_BYTES]


class FeedServer:
    """Hands feeds out page by page, to partners who come back for the next one."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._open: dict[int, Iterator[bytes]] = {}

    def open(self, products: Iterable[Product]) -> int:
        """Start a feed, and return the number under which its pages can be had."""
        number = next(self._numbers)
        self._open[number] = feed_pages(products)
        return number

    def page(self, number: int) -> bytes:
        """The next page of a feed, or b"" after the last one."""
        return next(self._open[number], b"")


FEEDS = FeedServer()
