"""Prices: lists of them, discounts on them, and labels with them."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from array import array
from collections.abc import Iterable
from functools import cache
from pathlib import Path


SOURCE = Path(__file__).parent / "native" / "pricing.c"
BUILD = Path(__file__).parent.parent / "build"
LABEL_WIDTH, LABEL_HEIGHT, PIXEL_BYTES = 1_000, 1_000, 4
BELOW_FLOOR = -1

BOOK: dict[str, bytes] = {}
"""Price sheets that are valid now, by season."""


@cache
def exchange_rates() -> array[float]:
    """The rates of each day and currency since the shop opened, as one flat table."""
    return array("d", [0.5 + day / 1_000 for day in range(1_000)]) * 1_500


@cache
def kernel() -> ctypes.CDLL | None:
    """The C library, compiled if it is not there yet; None where there is no C compiler."""
    library = BUILD / "pricing.so"
    if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if compiler is None:
            return None
        BUILD.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            # Several processes may start at once; each moves a whole library into its place.
            fresh = Path(folder) / library.name
            subprocess.run([compiler, "-std=c99", "-g", "-O1", "-fPIC", "-shared", "-o", fresh, SOURCE], check=True)
            fresh.replace(library)
    loaded = ctypes.CDLL(str(library))
    loaded.markdown.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_double, ctypes.c_double]
    loaded.markdown.restype = ctypes.c_long
    return loaded


def markdown(prices: array[float], factor: float, floor: float) -> bool:
    """Multiply all prices by `factor`, unless one of them fell below `floor` by it: then none is changed."""
    library = kernel()
    if library is None:
        raise RuntimeError("price lists need the C library, and no C compiler was found")
    address, count = prices.buffer_info()
    changed = library.markdown(address, count, factor, floor)
    if changed not in (count, BELOW_FLOOR):
        raise MemoryError(f"no memory for {count} prices")
    return bool(changed != BELOW_FLOOR)


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
    return libc


class Bitmap:
    """A white picture in memory that the label printer's driver can read."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width * height * PIXEL_BYTES
        self.address = _libc().malloc(self.size)
        if not self.address:
            raise MemoryError(f"no memory for a bitmap of {self.size} bytes")
        ctypes.memset(self.address, 0xFF, self.size)

    def write(self, text: str) -> None:
        """Put the text into the first row."""
        data = text.encode()[: self.size]
        ctypes.memmove(self.address, data, len(data))

    def head(self, length: int) -> bytes:
        """The first `length` bytes, as the printer gets them."""
        return ctypes.string_at(self.address, min(length, self.size))

    def close(self) -> None:
        """Give the memory back."""
        _libc().free(self.address)
        self.address = None


def shelf_labels(names: Iterable[str]) -> list[bytes]:
    """What goes to the printer for each of the names."""
    heads = []
    for name in names:
        bitmap = Bitmap(LABEL_WIDTH, LABEL_HEIGHT)
        bitmap.write(name)
        heads.append(bitmap.head(len(name)))
    bitmap.close()
    return heads
