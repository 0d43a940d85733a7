"""The named places from which everything alive can be reached: modules first, stacks last."""

from __future__ import annotations

import atexit
import contextvars
import signal
import types
from dataclasses import dataclass
from typing import Any

from leaktrace.heap import safe
from leaktrace.pristine import gc, sys, threading


@dataclass(frozen=True, slots=True)
class Root:
    """A place that keeps things alive by itself.

    Attributes:
        name: as the user would write it.
        obj: the object there.
        kind: the kind of holder that it stands for, or "" for a module.
        reason: why it is alive.
        place: what it is part of, shown as a hop of its own; "" for a module.
    """

    name: str
    obj: Any
    kind: str
    reason: str
    place: str = ""


RUNNER = ("_pytest", "pytest", "pluggy")


def modules(own: tuple[str, ...], last: frozenset[str]) -> list[Root]:
    """All imported modules that are not ours; those whose file is in `last` (tests) come last.

    A module imported later comes earlier: it is more likely to define what the earlier ones import from it.
    """
    first: list[Root] = []
    late: list[Root] = []
    for name, module in reversed(list(dict.items(sys.modules))):
        if type(name) is not str or safe.is_within(name, own) or not safe.inherits(module, types.ModuleType):
            continue
        file = (safe.module_namespace(module) or {}).get("__file__")
        root = Root(name, module, "", "imported module")
        (late if type(file) is str and file in last else first).append(root)
    return [*first, *late]


def own_modules(own: tuple[str, ...]) -> list[Any]:
    """The modules that are never walked through, with their namespaces."""
    hidden: list[Any] = []
    for name, module in list(dict.items(sys.modules)):
        if type(name) is str and safe.is_within(name, own) and safe.inherits(module, types.ModuleType):
            hidden += [module, safe.module_namespace(module)]
    return hidden


def registries() -> list[Root]:
    """What is kept outside of any module: fixtures' values, signal handlers, hooks, context variables."""
    found = fixtures()
    for number in signal.Signals:
        handler = signal.getsignal(number)
        if handler is not None and not safe.inherits(handler, int):
            found.append(
                Root(f"signal handler of {number.name}", handler, "signal", "it is installed", "signal handlers")
            )
    for name, hook in (("sys.gettrace()", sys.gettrace()), ("sys.getprofile()", sys.getprofile())):
        if hook is not None:
            found.append(Root(name, hook, "sys-hook", "it is installed", "interpreter hooks"))
    context = contextvars.copy_context()
    place = "current context"
    found += [
        Root(f"contextvar {variable.name!r}", context[variable], "contextvar", "it is the current one", place)
        for variable in context
    ]
    return found


def is_runners(obj: object) -> bool:
    """Whether an object is of one of the test runner's own types."""
    return safe.is_within(safe.module_of(type(obj)), RUNNER)


def fixtures() -> list[Root]:
    """The values of the fixtures that are set up now; those that are pytest's own innards (`pytestconfig`) left out.

    pytest itself is never walked through, and it alone holds them: what a session's fixture hoards is the suite's.
    """
    definition = getattr(sys.modules.get("_pytest.fixtures"), "FixtureDef", None)
    if definition is None:
        return []
    found: list[Root] = []
    for each in gc.get_objects():
        if type(each) is definition and each.cached_result is not None:
            value, why = each.cached_result[0], f"a fixture of {each.scope} scope, still set up"
            if not safe.is_plain(value) and not is_runners(value):
                found.append(Root(f"fixture {each.argname!r}", value, "", why))
    return found


def stacks(own: tuple[str, ...]) -> list[Root]:
    """The locals of every running function of every thread, ours left out."""
    names = {thread.ident: thread_name(thread) for thread in threading.enumerate()}
    found: list[Root] = []
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the only way to see running frames
        step: types.FrameType | None = frame
        while step is not None:
            found += _locals(step, names.get(ident, "unnamed"), own)
            step = step.f_back
    return found


def thread_name(thread: threading.Thread) -> str:
    """The name of a thread, unless its class has its own idea of what a name is."""
    plain = safe.class_attribute(type(thread), "name") is threading.Thread.__dict__["name"]
    return thread.name if plain else safe.type_name(thread)


def _locals(frame: types.FrameType, thread: str, own: tuple[str, ...]) -> list[Root]:
    if safe.is_within(safe.module_of_frame(frame), own):
        return []
    held = frame.f_locals
    if held is frame.f_globals:
        return []
    if type(held) is not dict and type(held).__name__ != "FrameLocalsProxy":
        return []  # a class body may run in a namespace of the user's own making
    function = frame.f_code.co_qualname.replace(".<locals>", "")
    place = f"thread {thread!r} in {function}()"
    return [
        Root(f"{place}: local {name!r}", value, "thread-frame", "it is running", place)
        for name, value in dict(held).items()
    ]


def atexit_callbacks() -> int:
    """How many functions wait for the interpreter's end; the interpreter does not show them themselves."""
    return atexit._ncallbacks()  # noqa: SLF001 - the only way to see them
