"""The standard library's namespaces before the first test, to be put back for as long as we are at work.

After the last test what judges, replays and reports is loaded, and uses the standard library as everybody does.
What the suite has left patched, replaced or removed by then is put back while they work, and put in again, exactly as
the suite had it, when they have done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import is_
from types import ModuleType
from typing import Any, TypeAlias

from leaktrace import pristine


OURS = ("builtins", "leaktrace", "psutil")
LATE = frozenset(
    {
        *("_compat_pickle", "_pydecimal", "contextvars", "decimal", "fractions", "hashlib", "numbers", "pickle"),
        *("platform", "random", "shlex", "shutil", "statistics", "subprocess", "textwrap", "tokenize", "tomllib"),
        *("tomllib._parser", "tomllib._re", "tomllib._types", "tracemalloc"),
    }
)
"""Modules that we import, of which some may be loaded only after the configuration. Where the suite has loaded
one meanwhile, and may have patched it, we get one of their own."""
STATE = {
    "sys": ("stdin", "stdout", "stderr", "excepthook", "displayhook", "unraisablehook", "breakpointhook", "modules"),
    "threading": ("excepthook", "_main_thread"),
    "warnings": ("showwarning", "_showwarnmsg", "_showwarnmsg_impl", "formatwarning"),
}
"""Names that change in the course of any run: pytest turns the streams and collects warnings."""
OF_CLASSES = frozenset({"__annotations__", "__annotations_cache__", "__annotate_func__", "__doc__"})
"""Names that the interpreter itself adds to a class when it is asked for them."""
LISTS = ("path", "meta_path", "path_hooks")
"""How modules are found: lists of `sys` that a suite changes in place."""
_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8

_Space: TypeAlias = "tuple[ModuleType | type, tuple[str, ...], tuple[object, ...], tuple[str, ...]]"
_Undo: TypeAlias = "list[Callable[[], object]]"


class _Missing:
    """Stands for a name that is not there."""


class Snapshot:
    """The names of the standard library's loaded modules and of their classes, and how modules are found."""

    def __init__(self) -> None:
        self._registry = sys.modules
        self._lists = {name: tuple(getattr(sys, name)) for name in LISTS}
        self._limit = sys.getrecursionlimit()
        self._trace, self._profile = sys.gettrace(), sys.getprofile()
        known = sys.stdlib_module_names.union(OURS)
        self._modules = {
            name: module
            for name, module in sys.modules.items()
            if isinstance(name, str) and name.partition(".")[0] in known and name != "__main__"
        }
        self._own: dict[str, ModuleType] = {}
        self._builtins = dict(vars(sys.modules["builtins"]))
        self._spaces = tuple(_spaces(self._modules))

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """For a while all is what it was; then it is what it had become."""
        undo: _Undo = []
        try:
            self._interpreter(undo)
            self._registered(undo)
            for space in self._spaces:
                _put_back(space, self._builtins, undo)
            yield
        finally:
            self._keep_own()
            for step in reversed(undo):
                step()

    def _interpreter(self, undo: _Undo) -> None:
        """No function of the suite's traces what we do, the recursion limit is not lower, and modules are found."""
        real, copy = self._modules["sys"], pristine.sys
        trace, profile = copy.gettrace(), copy.getprofile()
        if trace is not None and trace is not self._trace:
            copy.settrace(None)
            undo.append(lambda: copy.settrace(trace))
        if profile is not None and profile is not self._profile:
            copy.setprofile(None)
            undo.append(lambda: copy.setprofile(profile))
        limit = copy.getrecursionlimit()
        if limit < self._limit:
            copy.setrecursionlimit(self._limit)
            undo.append(lambda: copy.setrecursionlimit(limit))
        for name, entries in self._lists.items():
            _set(real, name, list(entries), undo)

    def _registered(self, undo: _Undo) -> None:
        """`sys.modules` is the interpreter's own, and has our modules and the standard library's under their names."""
        registry = self._registry
        if vars(self._modules["sys"]).get("modules") is not registry:
            _set(self._modules["sys"], "modules", registry, undo)
        for key in [key for key in registry if type(key) is not str]:
            _enter(registry, key, _Missing, undo)
        for name in LATE & registry.keys():
            if name not in self._modules and name not in self._own and _is_python(registry[name]):
                _enter(registry, name, _Missing, undo)
        for known in (self._modules, self._own):
            for name, module in known.items():
                if registry.get(name) is not module:
                    _enter(registry, name, module, undo)

    def _keep_own(self) -> None:
        """Remember what has been loaded meanwhile, for the next time."""
        known = self._modules
        for name, module in list(self._registry.items()):
            if name not in known and (name in LATE or name.partition(".")[0] == "leaktrace"):
                self._own[name] = module


def _spaces(modules: dict[str, ModuleType]) -> Iterator[_Space]:
    """Names and values of each module, and of each class in it that can be changed; the built-in names first."""
    seen: set[int] = set()
    for name in sorted(modules, key=lambda name: name != "builtins"):
        module = modules[name]
        if name.partition(".")[0] == "leaktrace" or type(getattr(module, "__dict__", None)) is not dict:
            continue
        names = dict(vars(module))
        yield module, (*names,), (*names.values(),), STATE.get(name, ())
        for value in names.values():
            if isinstance(value, type) and id(value) not in seen and _can_be_changed(value):
                seen.add(id(value))
                inside = vars(value)
                yield value, (*inside,), (*inside.values(),), ()


def _can_be_changed(cls: type) -> bool:
    flags = type.__dict__["__flags__"].__get__(cls)
    return bool(flags & _HEAP_TYPE and not flags & _IMMUTABLE_TYPE)


def _is_python(module: object) -> bool:
    """Whether a module can be loaded once more without harm; whatever stands in for one is not kept either."""
    if type(module) is not ModuleType:
        return True
    file = vars(module).get("__file__")
    return type(file) is not str or file.endswith(".py")


def _put_back(space: _Space, builtins: dict[str, Any], undo: _Undo) -> None:
    owner, names, values, state = space
    inside = vars(owner)
    found = tuple(inside.values())
    if len(found) == len(values) and all(map(is_, found, values)):
        return
    now, is_class = dict(inside), isinstance(owner, type)
    for name, value in zip(names, values, strict=True):
        if now.get(name, _Missing) is not value and name not in state and (is_class or not _is_state(value)):
            _set(owner, name, value, undo)
    # Of what was added to a class all hides what it inherits; of what was added to a module, what is built in.
    for name in (now.keys() - OF_CLASSES if is_class else now.keys() & builtins.keys()).difference(names):
        _set(owner, name, _Missing, undo)


def _is_state(value: object) -> bool:
    """Whether a module's own code may have put something else in its place meanwhile."""
    return value is None or type(value) in (list, dict, set)


def _set(owner: ModuleType | type, name: str, value: object, undo: _Undo) -> None:
    """Bind a name of a module or class, or remove it, past whatever its class has to say about that."""
    now = vars(owner).get(name, _Missing)
    setter, remover = (
        (type.__setattr__, type.__delattr__)
        if isinstance(owner, type)
        else (ModuleType.__setattr__, ModuleType.__delattr__)
    )

    def bind(value: object) -> None:
        if value is not _Missing:
            setter(owner, name, value)
        elif name in vars(owner):
            remover(owner, name)

    bind(value)
    undo.append(lambda: bind(now))


def _enter(registry: dict[str, Any], name: str, value: object, undo: _Undo) -> None:
    """Enter a module under a name, or take it out."""
    now = registry.get(name, _Missing)

    def bind(value: object) -> None:
        if value is _Missing:
            registry.pop(name, None)
        else:
            registry[name] = value

    bind(value)
    undo.append(lambda: bind(now))
