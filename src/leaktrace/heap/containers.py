"""The containers whose length can be read, copied and put back without a user's code having a say."""

from __future__ import annotations

import array
import functools
import io
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from leaktrace.heap import safe


@dataclass(frozen=True, slots=True)
class Container:
    """How to handle one builtin kind of container, by the builtin's own methods alone.

    Attributes:
        base: the builtin type.
        length: entries, or bytes for a buffer.
        copy: all of its present content, to be given to `restore`; takes no hash and compares nothing.
        restore: puts a copied content back in place of the present one.
        entries: what it refers to, keys and values alike; empty for a buffer.
        buffer: whether it holds bytes instead of references.
    """

    base: type
    length: Callable[[Any], int]
    copy: Callable[[Any], Any]
    restore: Callable[[Any, Any], object]
    entries: Callable[[Any], list[Any]]
    buffer: bool = False


def containers() -> tuple[Container, ...]:
    """All kinds that can be handled; a more special one comes before a more general one."""
    return (
        Container(list, list.__len__, list.copy, _restore_list, list.copy),
        Container(OrderedDict, OrderedDict.__len__, _items, _restore_ordered, _dict_entries),
        Container(dict, dict.__len__, _copy_dict, _restore_dict, _dict_entries),
        Container(set, set.__len__, set.copy, set.intersection_update, lambda s: list(set.__iter__(s))),
        Container(deque, deque.__len__, _deque_entries, _restore_deque, _deque_entries),
        Container(bytearray, bytearray.__len__, bytearray.copy, _restore_bytearray, _nothing, buffer=True),
        Container(array.array, _array_bytes, array.array.tobytes, _restore_array, _nothing, buffer=True),
        Container(io.BytesIO, io.BytesIO.__sizeof__, io.BytesIO.getvalue, _restore_bytes_io, _nothing, buffer=True),
        Container(io.StringIO, io.StringIO.__sizeof__, io.StringIO.getvalue, _restore_text_io, _nothing, buffer=True),
    )


class Handlers:
    """Finds the handler of an object by its real type; remembers by identity, because a metaclass may have a hash."""

    __slots__ = ("_by_type", "_kept", "_kinds")

    def __init__(self) -> None:
        self._kinds = containers()
        self._kept: list[type] = []
        self._by_type: dict[int, Container | None] = {id(kind.base): kind for kind in self._kinds}
        views: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()), types.MappingProxyType)
        fixed: tuple[type, ...] = (str, bytes, tuple, frozenset, range, memoryview, *views)
        self._by_type.update((id(kind), None) for kind in fixed)

    def of(self, obj: object) -> Container | None:
        """The handler, or None for what has no length that we may read."""
        return self.of_type(type(obj))

    def of_type(self, cls: type) -> Container | None:
        """The handler for instances of a type, or None."""
        try:
            return self._by_type[id(cls)]
        except KeyError:
            return self._learn(cls)

    def _learn(self, cls: type) -> Container | None:
        found = None
        for base in safe.mro(cls):
            found = next((kind for kind in self._kinds if kind.base is base), None)
            if found is not None:
                break
        if found is None:
            length = safe.c_length(cls)
            if length is not None and _is_mutable(cls):
                found = Container(cls, _forgiving(length), _nothing, _cannot_restore, _nothing)
        self._kept.append(cls)  # an id stays true only as long as its owner lives
        self._by_type[id(cls)] = found
        return found


def lru_caches() -> type:
    """The C type of what `functools.lru_cache` returns."""
    return functools._lru_cache_wrapper  # noqa: SLF001 - it has no public name


def fill_of(obj: object) -> tuple[int | None, int] | None:
    """How many entries an `lru_cache` takes at most (None: no bound) and has now; None for anything else."""
    if type(obj) is not lru_caches():
        return None
    info = lru_caches().cache_info(obj)  # type: ignore[attr-defined]
    return info.maxsize, info.currsize


def _is_mutable(cls: type) -> bool:
    names = ("append", "add", "put", "insert", "__setitem__", "extend", "register")
    return any(safe.class_attribute(cls, name) is not None for name in names)


def _forgiving(length: Callable[[Any], int]) -> Callable[[Any], int]:
    def read(obj: object) -> int:
        try:
            return length(obj)
        except Exception:  # noqa: BLE001 - a C type may refuse its length in any way; it then has none
            return 0

    return read


def _cannot_restore(obj: object, _content: object) -> None:
    raise TypeError(f"{safe.type_name(obj)} cannot be emptied from outside")


def _nothing(_obj: object) -> list[Any]:
    return []


def _items(mapping: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return list(dict.items(mapping))


def _dict_entries(mapping: dict[Any, Any]) -> list[Any]:
    return [*dict.keys(mapping), *dict.values(mapping)]


def _deque_entries(queue: deque[Any]) -> list[Any]:
    def walk() -> Iterator[Any]:
        yield from deque.__iter__(queue)

    return list(walk())


def _restore_list(target: list[Any], content: list[Any]) -> None:
    list.__setitem__(target, slice(None), content)


def _copy_dict(mapping: dict[Any, Any]) -> dict[Any, Any] | list[tuple[Any, Any]]:
    # To copy a subclass, dict.copy would call its __iter__ and __getitem__.
    return dict.copy(mapping) if type(mapping) is dict else _items(mapping)


def _restore_dict(target: dict[Any, Any], content: dict[Any, Any] | list[tuple[Any, Any]]) -> None:
    if isinstance(content, dict):
        # A merge of an exact dict into an empty one takes the stored hashes and compares nothing.
        dict.clear(target)
        dict.update(target, content)
        return
    old = {id(key) for key, _value in content}
    while dict.__len__(target) > len(content):
        key, value = dict.popitem(target)
        if id(key) in old:  # not merely added at the end: only now are keys hashed again
            dict.__setitem__(target, key, value)
            break
    if dict.__len__(target) > len(content):
        dict.clear(target)
        for key, value in content:
            dict.__setitem__(target, key, value)


def _restore_ordered(target: OrderedDict[Any, Any], content: list[tuple[Any, Any]]) -> None:
    OrderedDict.clear(target)
    for key, value in content:
        OrderedDict.__setitem__(target, key, value)


def _restore_deque(target: deque[Any], content: list[Any]) -> None:
    deque.clear(target)
    deque.extend(target, content)


def _array_bytes(values: array.array[Any]) -> int:
    return array.array.__len__(values) * values.itemsize


def _restore_bytearray(target: bytearray, content: bytearray) -> None:
    # Emptied first: a mere cut would keep the larger memory.
    bytearray.clear(target)
    bytearray.extend(target, content)


def _restore_array(target: array.array[Any], content: bytes) -> None:
    array.array.__delitem__(target, slice(None))
    array.array.frombytes(target, content)


def _restore_bytes_io(target: io.BytesIO, content: bytes) -> None:
    io.BytesIO.seek(target, 0)
    io.BytesIO.truncate(target)
    io.BytesIO.write(target, content)


def _restore_text_io(target: io.StringIO, content: str) -> None:
    io.StringIO.seek(target, 0)
    io.StringIO.truncate(target)
    io.StringIO.write(target, content)
