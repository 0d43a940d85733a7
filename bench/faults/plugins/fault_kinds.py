"""What can go wrong, each by name: `inject` makes it happen, to the process `pid` where it is a signal."""

# ruff: noqa: PTH103, PTH106, PTH123 - a patched pathlib must not reach what injects the patches

from __future__ import annotations

import atexit
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from importlib import import_module
from unittest import mock


KILL, FORK, EXIT, SLEEP, WAIT, SYSTEM = os.kill, os.fork, os._exit, time.sleep, os.waitpid, os.system
SIGNALS = {
    "sigkill": signal.SIGKILL,
    "sigterm": signal.SIGTERM,
    "sigint": signal.SIGINT,
    "sigint2": signal.SIGINT,
    "sigsegv": signal.SIGSEGV,
    "sigabrt": signal.SIGABRT,
}
DEADLY = {*SIGNALS, "os._exit", "sys.exit"}
PLACES = {"root": ".", "cache": ".pytest_cache", "tmp": os.environ.get("TMPDIR", "/tmp")}
PATCH_LOG = "called"
KEPT: list[object] = []


def inject(what: str, pid: int, tell) -> None:
    name, _, detail = what.partition("=")
    if what in SIGNALS:
        _signal(what, pid)
    elif name in {"patch", "module"}:
        _patch(name, detail, tell)
    elif detail:
        PLACED[name](PLACES[detail])
    else:
        PLAIN[what]()


def _signal(what: str, pid: int) -> None:
    if what == "sigint2" and FORK() == 0:
        SLEEP(0.3)
        try:
            KILL(pid, signal.SIGINT)
        finally:
            EXIT(0)
    KILL(pid, SIGNALS[what])
    if what == "sigint2" and pid != os.getpid():
        SLEEP(0.5)


class Clock:
    """A clock that stands still."""

    def __init__(self, value):
        self.value = value

    def __call__(self, *args):
        return self.value


def recorder(name: str, tell):
    """A mock whose attributes are numbers to whom asks for one (1), which tells when *we* call it."""

    def called(*args, **kwargs):
        if any("/leaktrace/" in frame.filename for frame in traceback.extract_stack(limit=12)):
            tell(PATCH_LOG, name)
        return mock.MagicMock()

    return mock.MagicMock(side_effect=called)


def _raises(name: str):
    def fails(*args, **kwargs):
        raise RuntimeError(f"{name} was patched by the suite")

    return fails


def _patch(name: str, detail: str, tell) -> None:
    if name == "module":
        target, _, how = detail.partition("=")
        # psutil is imported in a plain run only where a plugin of the suite's wants it: its absence fails no test here.
        sys.modules.pop(target, None) if how == "gone" else sys.modules.__setitem__(target, mock.MagicMock())
        return
    target, _, how = detail.partition("=")
    owner, _, attribute = target.rpartition(".")
    parts = owner.split(".")
    thing = import_module(parts[0])
    for part in parts[1:]:
        thing = getattr(thing, part)
    value = {"mock": lambda: recorder(target, tell), "raises": lambda: _raises(target), "none": lambda: None}[how]()
    setattr(thing, attribute, value)


def _recursion():
    return _recursion() + 1


def _fill(place: str) -> None:
    os.makedirs(place, exist_ok=True)
    with open(f"{place}/filler", "wb", buffering=0) as file:
        try:
            for size in (1 << 16, 1):
                while True:
                    try:
                        file.write(b"x" * size)
                    except OSError:
                        break
        finally:
            pass


def _read_only(place: str) -> None:
    # A file system with open files cannot be made read-only: a second view of the folder is laid over the first.
    path = os.path.realpath(place)
    SYSTEM(f"mount --bind '{path}' '{path}' && mount -o remount,bind,ro '{path}'")


def _vanish(place: str) -> None:
    shutil.rmtree(place, ignore_errors=True)


def _memory() -> None:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + (40 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _fork_on() -> None:
    """The child returns into pytest, and goes on as if it were the run."""
    pid = FORK()
    if pid:
        WAIT(pid, 0)


def _fork_beside() -> None:
    if FORK() == 0:
        SLEEP(0.05)


def _fork_exits() -> None:
    """The child raises out of the test, through pytest, while the parent waits."""
    pid = FORK()
    if pid == 0:
        raise SystemExit(7)
    WAIT(pid, 0)


def _close(first: int, beyond: int):
    return lambda: os.closerange(first, beyond)


def _reuse() -> None:
    """All is closed, and a thousand files of the user's take the numbers."""
    folder = os.environ["FAULTS_FOLDER"] + "/users"
    os.makedirs(folder, exist_ok=True)
    os.closerange(3, 1024)
    for number in range(300):
        KEPT.append(os.open(f"{folder}/{os.getpid()}-{number}", os.O_RDWR | os.O_CREAT))


def _deleted_cwd() -> None:
    folder = f"{os.environ['FAULTS_FOLDER']}/gone-{os.getpid()}"
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    os.rmdir(folder)


def _frozen_clocks() -> None:
    for name in ("time", "monotonic", "perf_counter"):
        setattr(time, name, Clock(1000.0))
        setattr(time, f"{name}_ns", Clock(10**12))


def _work_on() -> None:
    threading.Thread(target=lambda: SLEEP(1.5), daemon=False).start()


def _raise(exc):
    raise exc


PLACED = {"full": _fill, "read-only": _read_only, "vanish": _vanish}
PLAIN = {
    "os._exit": lambda: EXIT(3),
    "sys.exit": lambda: sys.exit(3),
    "MemoryError": lambda: _raise(MemoryError("injected")),
    "RLIMIT_AS": _memory,
    "RLIMIT_NOFILE": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 4096)),
    "RLIMIT_FSIZE": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY)),
    "RecursionError": _recursion,
    "recursionlimit": lambda: sys.setrecursionlimit(120),
    "close-0": lambda: os.close(0),
    "close-1": lambda: os.close(1),
    "close-2": lambda: os.close(2),
    "close-above": _close(3, 1024),
    "close-all": _close(0, 1024),
    "close-reuse": _reuse,
    "cwd": _deleted_cwd,
    "fork-on": _fork_on,
    "fork-beside": _fork_beside,
    "fork-exits": _fork_exits,
    "gc.disable": gc.disable,
    "gc.freeze": gc.freeze,
    "gc.debug": lambda: gc.set_debug(gc.DEBUG_SAVEALL),
    "settrace": lambda: (sys.settrace(lambda *_: None), threading.settrace(lambda *_: None)),
    "settrace-raises": lambda: sys.settrace(_raises("sys.settrace")),
    "setprofile": lambda: (sys.setprofile(lambda *_: None), threading.setprofile(lambda *_: None)),
    "clocks": _frozen_clocks,
    "sigchld-ignored": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    "signals-ignored": lambda: [signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)],
    "signals-blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD}),
    "environ-cleared": os.environ.clear,
    "umask": lambda: os.umask(0o777),
    "thread-works-on": _work_on,
    "atexit-exits": lambda: atexit.register(EXIT, 5),
    "unraisable": lambda: setattr(sys, "unraisablehook", _raises("sys.unraisablehook")),
    "excepthook": lambda: setattr(sys, "excepthook", _raises("sys.excepthook")),
    "zombie": lambda: KEPT.append(subprocess.Popen(["true"])),
    "sys.modules-5": lambda: sys.modules.__setitem__(5, None),
    "sys.modules-copy": lambda: setattr(sys, "modules", dict(sys.modules)),
    "sys.path": sys.path.clear,
    "sys.stdout": lambda: setattr(sys, "stdout", None),
    "hang-short": lambda: SLEEP(0.7),
    "hang": lambda: SLEEP(600),
    "eats-memory": lambda: KEPT.append(bytearray(b"x") * (200 << 20)),
    "setpgrp": os.setpgrp if os.getpid() != os.getsid(0) else (lambda: None),
}
