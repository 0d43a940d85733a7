"""Reading strangers' objects without running a line of their code.

Nothing here calls `len`, `hash`, `==`, `repr`, `getattr` or `isinstance` on an object whose type is not known to be
the interpreter's own: a user's `__class__`, `__getattr__` or metaclass must not even notice that it was looked at.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

from leaktrace.pristine import sys


_MRO = type.__dict__["__mro__"].__get__
_QUALNAME = type.__dict__["__qualname__"].__get__
_MODULE = type.__dict__["__module__"].__get__
_NAMESPACE = type.__dict__["__dict__"].__get__
_FLAGS = type.__dict__["__flags__"].__get__
_MODULE_NAMESPACE = vars(types.ModuleType)["__dict__"].__get__

_PLAIN = (str, int, float, bool, bytes, type(None))
_LONGEST_KEY = 60
_GC_HEADER_BYTES = 16
_POINTER_BYTES = 8


def mro(cls: type) -> tuple[type, ...]:
    """The classes of `cls`, itself first; none of a class that is half made, or half gone."""
    found: tuple[type, ...] = _MRO(cls) or ()
    return found


def inherits(obj: object, base: type) -> bool:
    """Whether the real type of `obj` is `base` or derived from it; `base` must be of no metaclass but `type`.

    `isinstance` would ask the object's own `__class__`, and a metaclass its `__subclasscheck__`; this asks neither.
    """
    return issubclass(type(obj), base)


def namespace(cls: type) -> Mapping[str, Any]:
    """What is defined on `cls` itself, read-only."""
    found: Mapping[str, Any] = _NAMESPACE(cls)
    return found


def module_namespace(module: types.ModuleType) -> dict[str, Any] | None:
    """The globals of a module; None for a half-made one."""
    found = _MODULE_NAMESPACE(module)
    return found if type(found) is dict else None


def never_asked() -> frozenset[int]:
    """Identities of the objects whose references must not be asked for.

    Up to CPython 3.12.5 the module `_asyncio` shows the collector its free list, dead objects included: asking for its
    references brings them back to life, they die twice, and the next collection never ends (CPython gh-122695).
    """
    module = sys.modules.get("_asyncio")
    return frozenset((id(module),)) if module is not None and sys.version_info < (3, 12, 6) else frozenset()


def module_of(cls: type) -> str:
    """The module in which `cls` says that it was defined, or "" where that is not a plain string."""
    try:
        found = _MODULE(cls)
    except AttributeError:  # it was made or has been left without one
        return ""
    return found if type(found) is str else ""


def module_of_frame(frame: types.FrameType) -> str:
    """The module in which a frame's function was defined, or "" where that is not a plain string."""
    found = dict.get(frame.f_globals, "__name__")
    return found if type(found) is str else ""


def qualname_of(cls: type) -> str:
    """The qualified name of a class inside its module."""
    return str(_QUALNAME(cls))


def class_name(cls: type) -> str:
    """`module.qualname`, without `builtins.`."""
    module = module_of(cls)
    return qualname_of(cls) if module in {"", "builtins"} else f"{module}.{qualname_of(cls)}"


def type_name(obj: object) -> str:
    """The qualified name of the real type of `obj`."""
    return class_name(type(obj))


def function_name(function: types.FunctionType) -> str:
    """`module.qualname` of a function, without `<locals>` noise; a decorator's wrapper has both from what it wraps."""
    module: Any = function.__module__
    name = function.__qualname__.replace(".<locals>", "")
    return f"{module}.{name}" if type(module) is str else name


def callable_name(obj: object) -> str | None:
    """`module.qualname` of a function or bound method; None for anything else."""
    if type(obj) is types.MethodType:
        obj = obj.__func__
    return function_name(obj) if type(obj) is types.FunctionType else None


def class_attribute(cls: type, name: str) -> object | None:
    """What `cls` or a base defines under `name`, unbound; None where nothing is."""
    for base in mro(cls):
        found = _NAMESPACE(base).get(name)
        if found is not None:
            return found  # type: ignore[no-any-return]
    return None


def instance_namespace(obj: object) -> dict[str, Any] | None:
    """The attributes of an instance, or None where it has no dict of its own.

    This materialises the dict on CPython 3.11 and 3.12: only for the few objects of a path that was already found, and
    after all measuring.
    """
    found = class_attribute(type(obj), "__dict__")
    if type(found) is not types.GetSetDescriptorType:
        return None
    try:
        value = found.__get__(obj, type(obj))
    except (AttributeError, TypeError):
        return None
    return value if type(value) is dict else None


def member_values(obj: object) -> list[tuple[str, object]]:
    """The filled slots of an instance by name: C members and `__slots__`."""
    filled: list[tuple[str, object]] = []
    for base in mro(type(obj)):
        for name, member in dict.items(dict(_NAMESPACE(base))):
            if type(member) is types.MemberDescriptorType and type(name) is str:
                try:
                    filled.append((name, member.__get__(obj, type(obj))))
                except (AttributeError, TypeError, SystemError):
                    continue
    return filled


def is_plain(obj: object) -> bool:
    """Whether `repr` of `obj` is the interpreter's own work alone."""
    if type(obj) is tuple:
        return all(type(item) in _PLAIN for item in obj) if len(obj) <= len(_PLAIN) else False
    return any(type(obj) is kind for kind in _PLAIN)


def key_text(key: object) -> str:
    """How a key is written between square brackets; a key of a user's type is named by its type alone."""
    if not is_plain(key):
        return f"<key of type {type_name(key)}>"
    if isinstance(key, str | bytes) and len(key) > _LONGEST_KEY:
        return f"{key[:_LONGEST_KEY]!r}…"
    return repr(key)


def size_bytes(obj: object, references: int) -> int:
    """How many bytes `obj` alone takes; exact for the interpreter's own types, a lower bound for others.

    Args:
        obj: what to size.
        references: how many references it holds, which stand for the values of an instance.
    """
    cls = type(obj)
    sizeof = class_attribute(cls, "__sizeof__")
    if type(sizeof) is not types.MethodDescriptorType:
        sizeof = object.__sizeof__
    try:
        own = int(sizeof(obj)) + (_GC_HEADER_BYTES if _tracked_kind(cls) else 0)
    except (TypeError, ValueError, RuntimeError, SystemError):
        return 0
    if sizeof is object.__sizeof__:
        own += _POINTER_BYTES * max(0, references - 1)
    return own


def c_length(cls: type) -> Callable[[Any], int] | None:
    """The C function behind `len` of a type that defines it in C, else None."""
    found = class_attribute(cls, "__len__")
    return found if type(found) is types.WrapperDescriptorType else None


def has_managed_dict(cls: type) -> bool:
    """Whether instances keep their dict, or inline values, in front of themselves (CPython 3.11 and later)."""
    return bool(_FLAGS(cls) & (1 << 4))


def is_heap_type(cls: type) -> bool:
    """Whether a type was made at run time, as a class statement makes it, rather than compiled in."""
    return bool(_FLAGS(cls) & (1 << 9))


def _tracked_kind(cls: type) -> bool:
    """Whether instances of `cls` carry the collector's header."""
    return bool(_FLAGS(cls) & (1 << 14))


def is_stdlib_path(path: str) -> bool:
    """Whether a source file belongs to the interpreter's own library."""
    if path.startswith("<"):
        return True
    return not is_installed_path(path) and any(path.startswith(prefix) for prefix in _library_paths())


def is_installed_path(path: str) -> bool:
    """Whether a file belongs to a package that was installed."""
    return "site-packages" in path or "dist-packages" in path


def _library_paths() -> tuple[str, ...]:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return tuple(
        {f"{prefix}/lib/python{version}/" for prefix in (sys.base_prefix, sys.base_exec_prefix)}
        | {f"{sys.base_prefix}\\Lib\\"}
        | {str(getattr(sys, "_stdlib_dir", None) or f"{sys.base_prefix}/lib/python{version}").rstrip("/") + "/"}
    )


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a module belongs to one of some packages."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)
