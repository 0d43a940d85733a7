"""Frozen dataclasses to plain JSON values and back, validated by their own type hints.

Reading is lenient where the future may differ (unknown keys are ignored) and strict where a program would break: a
missing key without default, or a value of another type, is an error that names its place.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

from leaktrace.errors import FileError
from leaktrace.probes.model import Unread


T = TypeVar("T")


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


def decode(cls: type[T], data: object, *, at: str = "") -> T:
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
            given[field.name] = _value(hints[field.name], data[field.name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise FileError(f"{place} is missing", slug="schema")
    return cls(**given)


@lru_cache(maxsize=64)
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _value(hint: Any, data: Any, at: str) -> Any:  # noqa: PLR0911 - one return for each form of a hint
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return data
    if origin in (typing.Union, types.UnionType):
        return _one_of(args, data, at)
    if origin is typing.Literal:
        return _word(args, data, at)
    if origin is not None:
        return _items(args, data, at) if origin is tuple else _mapping(args, data, at)
    if issubclass(hint, Enum):
        return hint(_word([each.value for each in hint], data, at))
    if dataclasses.is_dataclass(hint):
        return decode(hint, data, at=at)  # type: ignore[arg-type]
    return _atom(hint, data, at)


def _word(words: Sequence[object], data: Any, at: str) -> Any:
    if data not in words:
        raise _misfit(at, " or ".join(map(repr, words)), data)
    return data


def _mapping(args: tuple[Any, ...], data: Any, at: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise _misfit(at, "an object", data)
    return {str(key): _value(args[1], each, f"{at}.{key}") for key, each in data.items()}


def _items(args: tuple[Any, ...], data: Any, at: str) -> tuple[Any, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise _misfit(at, "an array", data)
    kinds = [args[0]] * len(data) if args[-1] is Ellipsis else list(args)
    if len(kinds) != len(data):
        raise _misfit(at, f"an array of {len(kinds)}", data)
    return tuple(_value(kind, each, f"{at}[{i}]") for i, (kind, each) in enumerate(zip(kinds, data, strict=True)))


def _one_of(args: tuple[Any, ...], data: Any, at: str) -> Any:
    if data is None and type(None) in args:
        return None
    if Unread in args and isinstance(data, Mapping) and set(data) == {"unread"}:
        return Unread(counter=at.rpartition(".")[2].partition("[")[0], why=str(data["unread"]))
    rest = [arg for arg in args if arg not in (type(None), Unread)]
    return _value(rest[0], data, at)


def _atom(hint: Any, data: Any, at: str) -> Any:
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, hint) or (hint is int and isinstance(data, bool)):
        raise _misfit(at, hint.__name__, data)
    return data


def _misfit(at: str, wanted: str, data: object) -> FileError:
    shown = repr(data)
    return FileError(f"{at} needs {wanted}, got {shown[:60]}{'…' if len(shown) > 60 else ''}", slug="schema")  # noqa: PLR2004
