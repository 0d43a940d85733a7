"""Which kind of holder a path leads to."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from leaktrace.heap import safe
from leaktrace.heap.naming import Step


_BY_NAME = (
    ("weakref.finalize._registry", "weakref-callback"),
    ("linecache.cache", "linecache"),
    ("sys.modules", "sys-modules"),
    ("sys.path", "sys-path"),
    ("sys.meta_path", "sys-hook"),
    ("os.environ", "environ"),
    ("gc.callbacks", "gc-callbacks"),
    ("unittest.mock._patch._active_patches", "mock"),
    ("logging.Logger.manager.loggerDict", "logger-names"),
    ("logging.", "logging"),
    ("threading._active", "thread"),
    ("threading._limbo", "thread"),
    ("threading._shutdown_locks", "thread"),
    ("threading._dangling", "thread"),
    ("re._cache", "re-cache"),
    ("warnings.", "warnings"),
)
_BY_TYPE = (("logging", ("Logger", "Handler"), "logging"), ("asyncio", ("BaseEventLoop",), "asyncio"))
_TASKS = frozenset({"Task", "Future"})
_KEYS_LOOKED_AT = 20


def kind_of(steps: Sequence[Step]) -> str:
    """The key of the table of fixes for a path that ends at the growing container."""
    name = steps[-1].name
    if "__warningregistry__" in name:
        return "warnings"
    by_name = next((kind for prefix, kind in _BY_NAME if name.startswith(prefix)), None)
    if by_name is not None:
        return by_name
    if steps[-1].edge == "._scheduled" and len(steps) > 1 and _is_event_loop(steps[-2]):
        return "timer"
    return next((kind for step in reversed(steps) if (kind := _kind_at(step))), "module-container")


def _kind_at(step: Step) -> str:
    """The kind of holder that one step of a path makes, or ""."""
    for module, classes, kind in _BY_TYPE:
        if any(safe.qualname_of(c) in classes and safe.is_within(safe.module_of(c), (module,)) for c in _mro(step)):
            return kind
    if any(safe.qualname_of(c) in _TASKS and "asyncio" in safe.module_of(c) for c in _mro(step)):
        return "task"
    return step.kind


def _is_event_loop(step: Step) -> bool:
    return any(safe.module_of(cls) == "asyncio.base_events" for cls in _mro(step))


def _mro(step: Step) -> tuple[type, ...]:
    return safe.mro(type(step.obj))


def are_lost(container: object, newborn: AbstractSet[int], *, grew: int) -> bool:
    """Whether the keys that came last to a cache are such that nothing can find them again.

    A key is, if it is or has in it an object that the runs made and that equals nothing but itself: to look it up, one
    must still have it. So it is with `lru_cache` on a method that is given new objects, or is called on them.

    Args:
        container: the cache's dict.
        newborn: identities of what the runs made.
        grew: how many entries came with them.
    """
    if not safe.inherits(container, dict) or grew < 1:
        return False
    keys: list[object] = list(dict.keys(container))[-min(grew, _KEYS_LOOKED_AT) :]  # type: ignore[arg-type]
    return all(any(id(part) in newborn and is_but_itself(type(part)) for part in _parts_of(key)) for key in keys)


def _parts_of(key: object) -> list[object]:
    return [key, *tuple.__iter__(key)] if safe.inherits(key, tuple) else [key]  # type: ignore[arg-type]


def is_but_itself(cls: type) -> bool:
    """Whether instances of a class equal nothing but themselves."""
    return safe.class_attribute(cls, "__hash__") is object.__hash__ and not issubclass(cls, type)
