"""Things that we would rather not fetch, draw or write twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from weakref import WeakValueDictionary


THUMBNAIL_BYTES = 2_000_000


@dataclass(eq=False)
class Request:
    """A visitor's request for a page."""

    path: str
    language: str = "en"
    headers: dict[str, str] = field(default_factory=dict)


class PageCache:
    """Remembers the page that was written for a request."""

    def __init__(self) -> None:
        self._entries: dict[Request, bytes] = {}

    def get(self, request: Request, write: Callable[[Request], bytes]) -> bytes:
        """The page for `request`, written only if it is not here yet."""
        page = self._entries.get(request)
        if page is None:
            page = self._entries[request] = write(request)
        return page


PAGES = PageCache()


@lru_cache(maxsize=8)
def thumbnail(photo: str) -> bytes:
    """A small picture of the photo of that name."""
    return photo.encode() + b"\x80" * THUMBNAIL_BYTES


class Basket:
    """The last things that were looked at, newest first; older ones fall out."""

    def __init__(self, length: int) -> None:
        self._views: deque[bytes] = deque(maxlen=length)

    def look_at(self, picture: bytes) -> None:
        """Note that this picture was looked at."""
        self._views.appendleft(picture)

    def newest(self) -> bytes:
        """The last picture that was looked at; IndexError if there is none."""
        return self._views[0]


RECENT = Basket(length=64)


class Image:
    """A picture that was read from the disk."""

    def __init__(self, name: str, pixels: bytes) -> None:
        self.name = name
        self.pixels = pixels


class ImageShelf:
    """Shares an image among all who use it at the same time."""

    def __init__(self) -> None:
        self._images: WeakValueDictionary[str, Image] = WeakValueDictionary()

    def take(self, name: str, size: int) -> Image:
        """The image of that name, read only if nobody has it."""
        image = self._images.get(name)
        if image is None:
            image = self._images[name] = Image(name, b"\x40" * size)
        return image

    def __len__(self) -> int:
        return len(self._images)


IMAGES = ImageShelf()
