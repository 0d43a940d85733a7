"""Suites that leave the standard library patched, in every way that a test could think of."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

import leaktrace


OURS = Path(leaktrace.__file__).parent


def names_used() -> dict[str, set[str]]:
    """Every name of the standard library and psutil that our sources import or ask a module for."""
    known = sys.stdlib_module_names | {"psutil"}
    found: dict[str, set[str]] = defaultdict(set)
    for path in OURS.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    modules[alias.asname or alias.name.partition(".")[0]] = alias.name.partition(".")[0]
            elif isinstance(node, ast.ImportFrom) and node.module == "leaktrace.pristine":
                modules.update({alias.name: alias.name for alias in node.names})
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in known:
                found[node.module].update(alias.name for alias in node.names)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                found[modules[node.value.id]].add(node.attr)
    return {module: names for module, names in found.items() if module.partition(".")[0] in known - {"__future__"}}


RECORDING = f"""
    import builtins, importlib, json, os, sys, types

    OURS, NAMES, KEPT = {str(OURS)!r}, json.loads(os.environ["NAMES"]), []
    HITS = os.open(os.environ["HITS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    COUNT = []

    def recorded(what, getframe=sys._getframe, write=os.write):
        # What is called by us, or by what we call, must not be what the suite has put there.
        frame = getframe(1)
        while frame is not None:
            if frame.f_code.co_filename.startswith(OURS):
                write(HITS, f"{{what}} by {{frame.f_code.co_filename}}:{{frame.f_lineno}}\\n".encode())
                return
            frame = frame.f_back

    def function(real, what):
        def called(*args, **kwargs):
            recorded(what)
            return real(*args, **kwargs)
        return called

    def subclass(real, what):
        meta = type("Recording", (type(real),), {{
            "__call__": lambda cls, *args, **kwargs: (recorded(what), real(*args, **kwargs))[1],
            "__instancecheck__": lambda cls, each: isinstance(each, real),
            "__subclasscheck__": lambda cls, each: issubclass(each, real),
        }})
        return meta(real.__name__, (real,), {{}})

    def patch(owner, name, what):
        real = vars(owner).get(name)
        if type(real) is type and real.__module__ not in ("pathlib", "builtins", "types"):
            fake = subclass(real, what)
        elif isinstance(real, (types.FunctionType, types.BuiltinFunctionType)):
            fake = function(real, what)
        else:
            return
        setattr(owner, name, fake)
        COUNT.append(what)

    class Recorder(types.ModuleType):
        def __getattribute__(self, name):
            real = types.ModuleType.__getattribute__(self, "real")
            if name != "__spec__":
                recorded(f"{{real.__name__}}.{{name}}")
            return getattr(real, name)
"""
BETWEEN = """
    def test_leaks(): KEPT.append(bytearray(b"x") * 20_000_000)

    def test_leaves_a_file_and_a_socket_open():
        import socket
        KEPT.append(builtins.open(__file__))
        KEPT.append(socket.socketpair())

    def test_leaves_a_child():
        pid = os.fork()
        if not pid:
            os.execv("/bin/sleep", ["sleep", "30"])
        KEPT.append(pid)

    def test_leaves_a_thread():
        import threading
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        thread.start()

    def test_ends():
        os.kill(KEPT[-1], 9)
        os.waitpid(KEPT[-1], 0)
"""
NAMES_PATCHED = (
    RECORDING
    + """
    def test_patches():
        real = {module: importlib.import_module(module) for module in NAMES}  # all before the first is patched
        for module, names in NAMES.items():
            for name in names:
                try:
                    patch(real[module], name, f"{module}.{name}")
                except TypeError:
                    pass  # a class that cannot be derived from, so nobody puts anything in its place
        patch(builtins, "open", "builtins.open")
        print("patched", len(COUNT))
"""
    + BETWEEN
)
CLASSES_PATCHED = (
    RECORDING
    + """
    def test_patches():
        import json.encoder, json.decoder, pathlib, psutil, subprocess, tempfile, threading
        for cls in (
            json.encoder.JSONEncoder, json.decoder.JSONDecoder, pathlib.PurePath, pathlib.Path, pathlib.PosixPath,
            subprocess.Popen, tempfile.TemporaryDirectory, threading.Thread, psutil.Process,
        ):
            for name in [*vars(cls), *(("read_text", "mkdir", "exists") if cls is pathlib.PosixPath else ())]:
                real = getattr(cls, name)
                if isinstance(real, types.FunctionType):
                    setattr(cls, name, function(real, f"{cls.__name__}.{name}"))
                    COUNT.append(name)
        print("patched", len(COUNT))
"""
    + BETWEEN
)
MODULES_REPLACED = (
    RECORDING
    + """
    def test_patches():
        for module in {*NAMES, *(each.partition(".")[0] for each in NAMES)} - {"builtins", "importlib", "sys"}:
            fake = Recorder(module)
            types.ModuleType.__setattr__(fake, "real", importlib.import_module(module))
            sys.modules[module] = fake
            COUNT.append(module)
        print("patched", len(COUNT))
"""
    + BETWEEN
)
SMASHED = """
    import builtins, gc, importlib, json, os, pathlib, platform, shutil, sys, tempfile, threading, time
    from unittest import mock

    KEPT = []

    def broken(*args, **kwargs): raise RuntimeError("patched")

    def patch_json(): json.dumps = json.loads = json.dump = json.load = mock.Mock()
    def patch_encoders(): json.encoder.JSONEncoder.encode = json.encoder.JSONEncoder.iterencode = broken
    def patch_threads(): threading.enumerate = threading.Thread.start = mock.Mock()
    def patch_collector():
        gc.collect = mock.Mock(return_value=0)  # pytest itself calls it at the end
        for name in ("get_objects", "get_referents", "freeze", "unfreeze", "get_freeze_count", "isenabled"):
            setattr(gc, name, broken)
    def disable_collector(): gc.disable(), gc.freeze()
    def enter_a_number(): sys.modules[5] = sys.modules[None] = mock.Mock()
    def replace_the_modules(): sys.modules = dict(sys.modules)
    def remove_modules():
        for name in ("json", "json.encoder", "psutil", "shlex", "textwrap", "statistics", "platform"): sys.modules.pop(name, None)
    def remove_us():
        for name in [name for name in sys.modules if name.startswith("leaktrace")]: del sys.modules[name]
    def fake_psutil(): sys.modules["psutil"] = mock.MagicMock()
    def fake_late_modules():
        for name in ("statistics", "fractions", "tracemalloc", "pickle"): sys.modules[name] = mock.MagicMock()
    def patch_late_modules():
        import fractions, statistics
        statistics.median = statistics.NormalDist = fractions.Fraction = broken
    def forget_the_interpreter(): sys.executable = None
    def patch_the_platform(): platform.platform = platform.python_version = platform.system = broken
    def patch_paths():
        for cls in (pathlib.Path, pathlib.PosixPath):
            for name in ("read_text", "write_text", "mkdir", "is_dir", "open", "iterdir", "read_bytes"):
                setattr(cls, name, broken)
    def patch_temp(): tempfile.mkdtemp = tempfile.gettempdir = tempfile.TemporaryDirectory = broken
    def patch_rmtree(): shutil.rmtree = broken
    def freeze_clocks():
        for name in ("time", "time_ns", "monotonic", "perf_counter", "perf_counter_ns", "process_time", "strftime"):
            setattr(time, name, lambda *args: 0)
        time.sleep = broken
    def trace():
        sys.settrace(lambda frame, event, arg: None)
    def profile():
        def profiled(frame, event, arg): pass
        sys.setprofile(profiled)
    def break_imports():
        sys.path.clear(); sys.meta_path.clear(); sys.path_hooks.clear()
    def refuse_imports():
        real = builtins.__import__
        def refused(name, *args, **kwargs):
            if name.partition(".")[0] in ("leaktrace", "statistics", "platform", "textwrap"): raise ImportError(name)
            return real(name, *args, **kwargs)
        builtins.__import__ = refused
    def patch_open(): builtins.open = broken
    def patch_descriptors(): os.open = os.read = os.pread = os.pwrite = os.fstat = os.close = broken
    def patch_listing(): os.listdir = os.scandir = os.readlink = os.waitid = os.lstat = broken
    def recurse_little(): sys.setrecursionlimit(200)

    def test_patches():
        for how in os.environ["HOW"].split(): globals()[how]()
    def test_leaks(): KEPT.append(bytearray(b"x") * 20_000_000)
    def test_ends(): pass
"""
HOWS = {
    "names": (
        "patch_json patch_encoders patch_threads patch_collector forget_the_interpreter patch_the_platform "
        "patch_paths patch_temp patch_rmtree patch_late_modules patch_open patch_descriptors patch_listing"
    ),
    "clocks": "freeze_clocks",
    "modules": "disable_collector enter_a_number fake_psutil fake_late_modules trace profile recurse_little",
    "no modules": "remove_modules",
    "other modules": "replace_the_modules",
    "not us": "remove_us",
    "no way to import": "break_imports",
    "no import": "refuse_imports",
}
"""Ways of breaking it, as many in one process as pytest itself bears."""
