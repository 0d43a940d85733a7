"""What to do about each kind of holder: one imperative sentence, with the names filled in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


FIXES: Mapping[str, str] = MappingProxyType(
    {
        "module-container": "Take the {leaked} out of {holder} when its owner is closed or the test ends, or hold it"
        " weakly (weakref.WeakSet, WeakValueDictionary).",
        "class-container": "Take the {leaked} out of the class-level {holder} again, or keep it on the instance"
        " instead: a class attribute is shared and never dies.",
        "instance-container": "Remove the {leaked} from {holder} when it is done with (unsubscribe, close, discard), or"
        " hold it weakly (weakref.WeakMethod, weakref.WeakSet).",
        "closure": "Do not let {holder} collect: give the function an owner that can be dropped, or empty it when the"
        " test ends.",
        "default-argument": "Replace the mutable default argument {holder} by None and make a new one in each call.",
        "function-attribute": "Empty {holder} in a fixture's teardown: an attribute of a function lives as long as its"
        " module.",
        "partial": "Drop the functools.partial that holds {holder}, or give it a weak reference instead.",
        "lru-cache": "Give {holder} a maxsize, key it by something that repeats, or call its cache_clear() in a"
        " fixture's teardown.",
        "thread-local": "Clear {holder} when the work is done: a thread-local lives as long as its thread.",
        "contextvar": "Reset {holder} with the token that set() returned, in a finally clause.",
        "thread": "Stop and join {leaked} in a fixture's teardown.",
        "thread-frame": "Stop the running function that holds {holder}, or let it empty its local once the"
        " work is done.",
        "generator": "Close the suspended generator or coroutine that holds {holder} (close(), aclose(), or await it).",
        "task": "Await or cancel the task that holds {holder}, and drop the reference to it.",
        "asyncio": "Cancel the timers and tasks that wait in {holder}, and close the loop.",
        "exception": "Do not keep the exception in {holder}, or drop its __traceback__: a traceback keeps the locals of"
        " every frame.",
        "frame": "Drop the frame or traceback that {holder} keeps: it holds all locals of a finished function.",
        "weakref-callback": "Keep the {leaked} out of the weakref callback in {holder}, or call detach() on the"
        " finalizer.",
        "atexit": "Call atexit.unregister() when the object is closed, or register one function at import instead of"
        " one an object.",
        "signal": "Put back the former signal handler in a finally clause or a fixture's teardown.",
        "logging": "Remove the handler or filter from {holder} in a fixture's teardown"
        " (logger.removeHandler(handler); handler.close()).",
        "logger-names": "Ask logging.getLogger for a name that repeats: {holder} keeps a logger for each name, and"
        " loggers are never dropped.",
        "timer": "Cancel the timer when its owner is closed (handle.cancel()): {holder} keeps the {leaked} until it is"
        " due.",
        "sys-hook": "Put back the former value of {holder} in a finally clause or a fixture's teardown.",
        "gc-callbacks": "Remove the callback from gc.callbacks in a fixture's teardown.",
        "mock": "Stop the patch in a teardown (patcher.stop(), or use it as a context manager).",
        "linecache": "Give generated code a file name that repeats, or drop its entry from linecache.cache.",
        "sys-modules": "Remove the module from sys.modules in a fixture's teardown (monkeypatch.delitem), and whatever"
        " else still refers to it.",
        "sys-path": "Use monkeypatch.syspath_prepend, or take the entry out of {holder} again.",
        "environ": "Set the variable with monkeypatch.setenv, so that it is taken back.",
        "warnings": "Warn with a text that repeats: {holder} keeps one entry for each different text.",
        "re-cache": "Compile the pattern once: {holder} keeps each different pattern until it is full.",
        "chain": "Cut {holder}: each run puts one more object in front of the former one.",
        "replaced": "Do not copy the former content of {holder} into a longer one on every run, or reset it when the"
        " test ends.",
        "pytest": "Nothing to do in the test: pytest itself keeps this until the session ends.",
        "c-code": "Look at the line that made it and at the extension module that was called there: no Python object"
        " refers to what is left.",
        "test-instance": "Delete {holder} in teardown_method, or make it in a fixture: pytest keeps the instance of"
        " each test until the session ends.",
        "self-class": "Do not set the __class__ of a class to the class itself: nothing can ever let go of it. Give it"
        " a metaclass of its own, or make the class once.",
        "references": "Look at the line: C code that is called there takes {holder} and does not give them back"
        " (Py_DECREF).",
        "shared-references": "Nothing to do in the test: C code takes {holder} and does not give them back (Py_DECREF),"
        " and they keep nothing alive that would go otherwise.",
        "native": "Look at the line that made it: the memory was allocated by native code and not given back.",
    }
)
_OTHERWISE = "Take the {leaked} out of {holder} when the test ends."


def fix_for(kind: str, *, holder: str, leaked: str, bound: int | None = None) -> str:
    """The sentence for a kind of holder.

    Args:
        kind: a key of the table; another gets a general sentence.
        holder: the holder's name.
        leaked: type name of what is leaked.
        bound: how many entries the holder takes at most, when it has a bound.
    """
    if bound is not None:
        return f"Nothing is lost without bound: {holder} keeps at most {bound}; lower that or clear it in a teardown."
    return FIXES.get(kind, _OTHERWISE).format(holder=holder, leaked=leaked)
