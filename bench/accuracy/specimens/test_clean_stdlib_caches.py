"""The caches that Python's own library keeps."""

from __future__ import annotations

import abc
import codecs
import copy
import dataclasses
import datetime
import enum
import fnmatch
import functools
import inspect
import itertools
import linecache
import pickle
import re
import struct
import typing
import urllib.parse
from collections import namedtuple
from collections.abc import Mapping, Sized


NUMBERS = itertools.count(1000)


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


@functools.singledispatch
def show(value: object) -> str:
    return "object"


@show.register
def _(value: int) -> str:
    return "int"


def test_re() -> None:
    assert re.match(rf"order-{next(NUMBERS)}|x", "x")


def test_fnmatch() -> None:
    assert fnmatch.fnmatch("report.txt", f"*{next(NUMBERS)}*") is False


def test_linecache() -> None:
    assert linecache.getline(__file__, 1).startswith('"""')


def test_struct() -> None:
    assert struct.calcsize(f"{next(NUMBERS)}s") >= 1000


def test_typing() -> None:
    class Local:
        pass

    assert typing.get_args(typing.List[Local]) == (Local,)  # noqa: UP006


def test_abc_instance_check() -> None:
    class Local:
        def __len__(self) -> int:
            return 0

    assert isinstance(Local(), Sized)
    assert not isinstance(Local(), Mapping)


def test_abc_registration() -> None:
    class Square:
        pass

    Shape.register(Square)
    assert issubclass(Square, Shape)


def test_singledispatch() -> None:
    class Local(int):
        pass

    assert show(Local(3)) == "int"


def test_codecs() -> None:
    assert codecs.encode("grüße", "utf-16-le")
    assert "ß".encode("cp1250")


def test_urlparse() -> None:
    assert urllib.parse.urlsplit(f"https://example.org/{next(NUMBERS)}").path


def test_strptime() -> None:
    assert datetime.datetime.strptime("2026-11-23", "%Y-%m-%d").day == 23


def test_signature() -> None:
    def local(left: int, right: int = 2) -> int:
        return left + right

    assert len(inspect.signature(local).parameters) == 2


def test_source() -> None:
    assert "def show" in inspect.getsource(show)


def test_class_factories() -> None:
    point = namedtuple("point", "x y")
    size = dataclasses.make_dataclass("size", ["width", "height"])
    assert point(1, 2).x == size(1, 2).width


def test_enum() -> None:
    class Color(enum.Enum):
        RED = 1
        BLUE = 2

    assert Color(2) is Color.BLUE


def test_pickle_and_copy() -> None:
    value = {"a": [1, 2, (3, "x")]}
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value)


def test_compile_and_run() -> None:
    names: dict[str, object] = {}
    exec(compile("def double(n):\n    return n * 2\n", "<made>", "exec"), names)
    assert names["double"](4) == 8
