"""A heap of about a million objects, and ways of leaking into it or past it: the suspect of `cost.py`."""

from __future__ import annotations

import ctypes
import functools


TRIPLES = 330_000
LEAKED_BYTES = 10_000


class Thing:
    """What leaks."""


class Record:
    """What the heap consists of."""

    def __init__(self, number):
        self.number = number
        self.tags = [number]


class Node:
    def __init__(self, rest):
        self.rest = rest


HEAP = {}
KEPT = []
HEAD = None
COPIED = ()
COUNT = 0
LIBC = ctypes.CDLL(None)
LIBC.malloc.argtypes, LIBC.malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
LOST_LIST = 0


def fill(kind):
    """Records in tuples in a dict: `plain` ones with their attributes inline, where CPython does that, or with `dicts`."""
    for number in range(TRIPLES):
        record = Record(number)
        if kind == "dicts":
            vars(record)
        HEAP[number] = (record,)
    for number in range(4):
        cached(-number)


def module_list():
    """a list in a module"""
    KEPT.append(Thing())


def deep():
    """a list five steps down, the last one met"""
    HEAP[TRIPLES - 1][0].tags.append(Thing())


def chain():
    """a chain, each link holds the one before"""
    global HEAD
    HEAD = Node(HEAD)


def replaced():
    """a tuple that is replaced by a longer one"""
    global COPIED
    COPIED = (*COPIED, Thing())


def lost():
    """nothing: C code lost the references"""
    forget(Thing())


def lost_list():
    """nothing: the list itself is lost, and grows"""
    global LOST_LIST
    if not LOST_LIST:
        LOST_LIST = id(forget([]))
    ctypes.cast(LOST_LIST, ctypes.py_object).value.append(Thing())


@functools.lru_cache(maxsize=4)
def cached(number):
    return Thing()


def full_cache():
    """nothing, beside a cache that is full"""
    global COUNT
    COUNT += 1
    cached(COUNT)
    forget(Thing())


def native():
    """nothing: memory of C code"""
    LIBC.malloc(LEAKED_BYTES)


def forget(thing):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    return thing


SHAPES = (module_list, deep, chain, replaced, lost, lost_list, full_cache, native)
