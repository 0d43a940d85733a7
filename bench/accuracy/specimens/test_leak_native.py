"""Native memory, and references that C code took and never gave back."""

from __future__ import annotations

import ctypes
import functools
import mmap
import sqlite3
import sys
import zlib

import pytest


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a C library that is part of the process")

SHARED = ("shared", 1.5, [])
COMPRESSORS: list[object] = []
DATABASES: list[sqlite3.Connection] = []
MAPS: list[mmap.mmap] = []
TURN = [0]


@functools.cache
def libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    for name in ("malloc", "strdup", "realloc"):
        getattr(library, name).restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.strdup.argtypes = [ctypes.c_char_p]
    library.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


@functools.cache
def take_reference() -> object:
    function = ctypes.pythonapi.Py_IncRef
    function.argtypes = [ctypes.py_object]
    function.restype = None
    return function


BLOCK: list[int | None] = [None, 0]


def test_malloc() -> None:
    assert libc().malloc(496)


def test_strdup() -> None:
    assert libc().strdup(b"a customer's name")


def test_malloc_every_second_run() -> None:
    TURN[0] ^= 1
    if TURN[0]:
        libc().malloc(96)


def test_realloc_grows() -> None:
    BLOCK[1] = (BLOCK[1] or 0) + 160
    BLOCK[0] = libc().realloc(BLOCK[0], BLOCK[1])
    assert BLOCK[0]


def test_python_raw_malloc() -> None:
    allocate = ctypes.pythonapi.PyMem_RawMalloc
    allocate.restype = ctypes.c_void_p
    allocate.argtypes = [ctypes.c_size_t]
    assert allocate(3000)


def test_object_never_released() -> None:
    take_reference()(object())


def test_reference_to_an_old_object() -> None:
    take_reference()(SHARED)


def test_compressor() -> None:
    compressor = zlib.compressobj(1, wbits=9, memLevel=1)
    COMPRESSORS.append(compressor)
    assert compressor.compress(b"") is not None


def test_database() -> None:
    DATABASES.append(sqlite3.connect(":memory:"))
    assert DATABASES[-1].execute("select 1").fetchone() == (1,)


def test_memory_map() -> None:
    area = mmap.mmap(-1, 1 << 20)
    area.write(b"x" * len(area))
    MAPS.append(area)
