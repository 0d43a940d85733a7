"""The facts of process-global state, gathered by plain readers, one for each kind of state; none changes anything."""

from __future__ import annotations

import atexit
import builtins
import gc
import locale
import os
import signal
import sys
import threading
import time
import warnings
from collections import Counter as Tally
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from typing import Any, TypeAlias

from leaktrace.probes.callables import callable_name
from leaktrace.probes.procfs import text


Fact: TypeAlias = "tuple[str, str, str, Hashable]"
"""Noun, name, value; and which of several of one name, or None where there can be but one."""

SECRET_NOUN = "environment variable"  # noqa: S105 - a noun, whose values are secret

_PYTESTS = ("_pytest.", "pytest.")
_NOTSET = 0


def facts_now(*, ignored_variables: Collection[str]) -> dict[tuple[str, str, Hashable], str]:
    """The value of each fact; a reader that fails says so in its own value, the others are not lost."""
    facts: dict[tuple[str, str, Hashable], str] = {}
    for reader in READERS:
        try:
            facts.update({(noun, name, which): value for noun, name, value, which in reader()})
        except Exception as exc:  # noqa: BLE001 - the state is the user's: it may raise anything
            facts[f"state ({reader.__name__.strip('_')})", "", None] = f"cannot be read: {exc!r}"
    for name in ignored_variables:
        facts.pop((SECRET_NOUN, name, None), None)
    return facts


def working_directory() -> str:
    """The working directory, also where it has been deleted meanwhile."""
    try:
        return os.getcwd()  # noqa: PTH109 - asked at every test
    except OSError as exc:
        return f"gone: {exc.strerror}"


def is_users_handler(handler: Any) -> bool:
    """Whether a log handler is not one of those that pytest itself adds for the time of a test."""
    return not type(handler).__module__.startswith(_PYTESTS)


def _environment() -> Iterator[Fact]:
    for name, value in os.environ.items():
        yield SECRET_NOUN, name, value, None


def _places() -> Iterator[Fact]:
    yield "working directory", "", working_directory(), None
    status = text("/proc/self/status")
    if "Umask:" in status:
        yield "umask", "", status.partition("Umask:")[2].split()[0], None
    yield "time zone", "", "/".join(time.tzname), None
    yield "locale", "", locale.setlocale(locale.LC_ALL), None


def _import_system() -> Iterator[Fact]:
    yield from _each("sys.path entry", sys.path, str)
    yield from _each("sys.meta_path finder", sys.meta_path, callable_name)
    yield from _each("sys.path_hooks entry", sys.path_hooks, callable_name)


def _logging() -> Iterator[Fact]:
    logging: Any = sys.modules.get("logging")
    if logging is None:
        return
    yield "logging.disable", "", str(logging.root.manager.disable), None
    known = [("root", logging.root), *list(logging.root.manager.loggerDict.items())]
    for name, logger in known:
        if isinstance(logger, logging.Logger):
            yield from _logger(name, logger, logging)


def _logger(name: str, logger: Any, logging: Any) -> Iterator[Fact]:
    """What differs from a logger that has merely been asked for."""
    if logger.level != _NOTSET:
        yield "log level of logger", name, logging.getLevelName(logger.level), None
    if logger.disabled or not logger.propagate:
        yield "logger", name, "disabled" if logger.disabled else "not propagating", None
    handlers = filter(is_users_handler, logger.handlers)
    yield from _each("log handler", handlers, lambda handler: f"{name}: {callable_name(type(handler))}")


def _warnings() -> Iterator[Fact]:
    yield from _each("warnings filter", warnings.filters, _filter_name)


def _filter_name(entry: tuple[Any, ...]) -> str:
    action, message, category, module, line = entry
    patterns = (getattr(pattern, "pattern", pattern) or "" for pattern in (message, module))
    return ":".join((action, *patterns, category.__name__, str(line)))


def _signals() -> Iterator[Fact]:
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if handler is not None and handler is not signal.SIG_DFL:
            name = handler.name if isinstance(handler, signal.Handlers) else callable_name(handler)
            yield "signal handler", getattr(number, "name", str(number)), name, None


def _hooks() -> Iterator[Fact]:
    for module, names in HOOKED:
        for name in names:
            yield "hook", f"{module.__name__}.{name}", callable_name(getattr(module, name)), None
    for name, hook in (("trace function", sys.gettrace()), ("profile function", sys.getprofile())):
        if hook is not None:
            yield name, "", callable_name(hook), None


HOOKED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (sys, ("excepthook", "displayhook", "unraisablehook", "breakpointhook")),
    (threading, ("excepthook",)),
    (warnings, ("showwarning", "formatwarning")),
    (builtins, ("open", "print", "input", "__import__")),
    (time, ("time", "sleep", "monotonic")),
)


def _interpreter() -> Iterator[Fact]:
    yield "atexit callbacks", "", str(atexit._ncallbacks()), None  # type: ignore[attr-defined, unused-ignore]  # noqa: SLF001 - not public
    yield "recursion limit", "", str(sys.getrecursionlimit()), None
    yield "garbage collection", "", f"{'on' if gc.isenabled() else 'off'}, thresholds {gc.get_threshold()}", None
    sockets: Any = sys.modules.get("socket")
    if sockets is not None:
        yield "default socket timeout", "", str(sockets.getdefaulttimeout()), None


def _patches() -> Iterator[Fact]:
    mock: Any = sys.modules.get("unittest.mock")
    active = mock._patch._active_patches if mock is not None else ()  # noqa: SLF001 - there is no public list
    yield from _each("mock patch", active, _patch_name)


def _patch_name(patch: Any) -> str:
    parts = vars(patch)
    if "in_dict" in parts:
        return f"dictionary {_dictionary_name(parts['in_dict'])}"
    target = parts.get("target")
    owner = target.__name__ if type(target) is type(sys) else callable_name(target)
    return f"{owner}.{parts.get('attribute')}"


def _dictionary_name(given: Any) -> str:
    if isinstance(given, str):
        return given
    known = {id(os.environ): "os.environ", id(sys.modules): "sys.modules"}
    return known.get(id(given), f"of type {type(given).__name__}")


def _event_loops() -> Iterator[Fact]:
    events: Any = sys.modules.get("asyncio.events")
    policy = getattr(events, "_event_loop_policy", None)  # asking by the public name would make one
    if policy is not None and type(policy).__module__.partition(".")[0] != "asyncio":
        yield "event loop policy", "", callable_name(type(policy)), None


def _each(noun: str, entries: Iterable[Any], name_of: Callable[[Any], str]) -> Iterator[Fact]:
    """Entries that may share a name: which one it is, its identity tells; of equal texts, how many come before it."""
    seen: Tally[Hashable] = Tally()
    for entry in entries:
        which = entry if isinstance(entry, str) else id(entry)
        seen[which] += 1
        yield noun, name_of(entry), "", (which, seen[which])


READERS: tuple[Callable[[], Iterable[Fact]], ...] = (
    _environment,
    _places,
    _import_system,
    _logging,
    _warnings,
    _signals,
    _hooks,
    _interpreter,
    _patches,
    _event_loops,
)
