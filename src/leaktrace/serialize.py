"""Frozen dataclasses to plain JSON values and back, validated by their own type hints; TOML to plain values.

Reading is lenient where the future may differ (unknown keys are ignored) and strict where a program would break: a
missing key without default, a value of another type, a number that is not finite or has more than 64 bits, or a text
without end, is an error that names its place.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import reprlib
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn, TypeVar

from leaktrace.errors import FileError
from leaktrace.probes.model import Unread


T = TypeVar("T")
LONGEST = 1_000_000
"""No text in a file of ours is longer, be it a node id."""
NUMBER_BOUND = 1 << 63
"""No whole number in a file of ours reaches it."""
_LONGEST_PLACE, _LONGEST_SHOWN = 200, 60
_MOST_DOTS = 300
"""In a line of TOML: for a key of n parts `tomllib` takes n² steps, and thousands of such keys would take hours."""
_LONG_NUMBER = re.compile("[0-9_]{1000}")


class Bounds(NamedTuple):
    """How long a text may be, and how many items an array may have; None leaves that to the size of the file."""

    longest: int = LONGEST
    most: int | None = None


_WIDE = Bounds()


def loads(data: bytes | str) -> Any:
    """Plain values from JSON, for data that nobody vouches for.

    Raises:
        ValueError: it is no JSON, is nested too deep to be ours, or has a number that JSON does not have.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
    except UnicodeDecodeError as exc:  # its own text shows all of the data
        raise ValueError(f"it is no UTF-8: {exc.reason} at byte {exc.start}") from None
    try:
        return _decoder().decode(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


@lru_cache(maxsize=1)
def _decoder() -> json.JSONDecoder:
    # Where somebody has lifted Python's own bound of digits, a number of millions of them would take hours.
    unbounded = sys.get_int_max_str_digits() == 0
    return json.JSONDecoder(parse_constant=_no_number, parse_int=_bounded if unbounded else None)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


def _bounded(text: str) -> int:
    if len(text) > _LONGEST_SHOWN:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def loads_toml(text: str) -> dict[str, Any]:
    """Plain values from TOML, for data that nobody vouches for.

    Raises:
        ValueError: it is no TOML, is nested too deep to be ours, or has a number or a key that would take hours.
    """
    import tomllib  # noqa: PLC0415 - only for who has such a file, and where a known leak is looked for

    if _LONG_NUMBER.search(text):
        raise ValueError("a number of over 1,000 digits")
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS:
            raise ValueError(f"line {number} has more than {_MOST_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except ValueError as exc:  # it may show a key of any length
        raise ValueError(str(exc)[:_LONGEST_PLACE]) from None


def encode(value: object) -> Any:
    """Plain JSON values for a dataclass, enum, mapping, sequence or atom; an Unread is `{"unread": why}`."""
    if isinstance(value, Unread):
        return {"unread": value.why}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(each) for each in value]
    return value


def decode(cls: type[T], data: object, *, at: str = "", bounds: Bounds = _WIDE) -> T:
    """A dataclass from plain values.

    Raises:
        FileError: the data does not fit; the message names the place, what was wanted and what came.
    """
    if not isinstance(data, Mapping):
        raise _misfit(at or cls.__name__, "an object", data)
    hints = _hints(cls)  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if not field.init:
            continue
        place = f"{at}.{field.name}" if at else field.name
        if field.name in data:
            given[field.name] = _value(hints[field.name], data[field.name], place, bounds)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise FileError(f"{place[:_LONGEST_PLACE]} is missing", slug="schema")
    return cls(**given)


@lru_cache(maxsize=64)
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _value(hint: Any, data: Any, at: str, bounds: Bounds) -> Any:  # noqa: PLR0911 - one return for each form of a hint
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return data
    if origin in (typing.Union, types.UnionType):
        return _one_of(args, data, at, bounds)
    if origin is typing.Literal:
        return _word(args, data, at)
    if origin is not None:
        return _items(args, data, at, bounds) if origin is tuple else _mapping(args, data, at, bounds)
    if issubclass(hint, Enum):
        return hint(_word([each.value for each in hint], data, at))
    if dataclasses.is_dataclass(hint):
        return decode(hint, data, at=at, bounds=bounds)  # type: ignore[arg-type]
    return _atom(hint, data, at, bounds)


def _word(words: Sequence[object], data: Any, at: str) -> Any:
    if data not in words:
        raise _misfit(at, " or ".join(map(repr, words)), data)
    return data


def _mapping(args: tuple[Any, ...], data: Any, at: str, bounds: Bounds) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise _misfit(at, "an object", data)
    _count(data, at, bounds)
    return {
        _atom(str, key, at, bounds): _value(args[1], each, f"{at}.{key[:_LONGEST_SHOWN]}", bounds)
        for key, each in data.items()
    }


def _items(args: tuple[Any, ...], data: Any, at: str, bounds: Bounds) -> tuple[Any, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise _misfit(at, "an array", data)
    _count(data, at, bounds)
    kinds = [args[0]] * len(data) if args[-1] is Ellipsis else list(args)
    if len(kinds) != len(data):
        raise _misfit(at, f"an array of {len(kinds)}", data)
    return tuple(
        _value(kind, each, f"{at}[{i}]", bounds) for i, (kind, each) in enumerate(zip(kinds, data, strict=True))
    )


def _count(data: Mapping[str, Any] | Sequence[Any], at: str, bounds: Bounds) -> None:
    if bounds.most is not None and len(data) > bounds.most:
        raise FileError(f"{at[:_LONGEST_PLACE]} needs at most {bounds.most} items, got {len(data)}", slug="schema")


def _one_of(args: tuple[Any, ...], data: Any, at: str, bounds: Bounds) -> Any:
    if data is None and type(None) in args:
        return None
    if Unread in args and isinstance(data, Mapping) and set(data) == {"unread"}:
        why = _atom(str, data["unread"], at, bounds)
        return Unread(counter=at.rpartition(".")[2].partition("[")[0], why=why)
    rest = [arg for arg in args if arg not in (type(None), Unread)]
    return _value(rest[0], data, at, bounds)


def _atom(hint: Any, data: Any, at: str, bounds: Bounds) -> Any:
    if isinstance(data, bool) is not (hint is bool) or not isinstance(data, (float, int) if hint is float else hint):
        raise _misfit(at, hint.__name__, data)
    if isinstance(data, str) and len(data) > bounds.longest:
        raise _misfit(at, f"a text of at most {bounds.longest:,} characters", data)
    if isinstance(data, int) and not -NUMBER_BOUND < data < NUMBER_BOUND:
        raise _misfit(at, "a number of at most 64 bits", data)
    if hint is not float:
        return data
    if not math.isfinite(data):
        raise _misfit(at, "a finite number", data)
    return float(data)


def _misfit(at: str, wanted: str, data: object) -> FileError:
    try:
        # Of a long text, or a tree of any depth, no more is looked at than is shown.
        shown = repr(data[:_LONGEST_SHOWN]) if isinstance(data, str) else reprlib.repr(data)
    except (ValueError, RecursionError):
        shown = f"{type(data).__name__} of many digits"
    cut = f"{shown[:_LONGEST_SHOWN]}{'…' if len(shown) > _LONGEST_SHOWN else ''}"
    return FileError(f"{at[:_LONGEST_PLACE]} needs {wanted}, got {cut}", slug="schema")
