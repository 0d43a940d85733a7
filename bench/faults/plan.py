"""Which faults, where, in which mode: the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass


MODES = ("watch", "confirm", "hunt")
SPREADS = ("plain", "n2")
IN_TESTS = ("test", "fixture", "finalizer", "setup")
IN_HOOKS = ("import", "configure", "modifyitems", "sessionfinish", "unconfigure")
IN_WORKERS = ("worker-test", "worker-modifyitems", "worker-sessionfinish", "worker-unconfigure")
IN_CHILDREN = (
    "child-import",
    "child-configure",
    "child-modifyitems",
    "child-test",
    "child-second",
    "child-fixture",
    "child-finalizer",
    "child-setup",
    "child-sessionfinish",
    "child-base",
)
AT_THE_PARENT = ("child-replay", "child-replay-workers", "report")
SIGNALS = ("sigkill", "sigterm", "sigint", "sigint2", "sigsegv", "sigabrt")
ENDS = ("os._exit", "sys.exit", "MemoryError", "RecursionError")
STATE = (
    *("RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "recursionlimit"),
    *("close-0", "close-1", "close-2", "close-above", "close-all", "close-reuse", "cwd"),
    *("gc.disable", "gc.freeze", "gc.debug", "settrace", "settrace-raises", "setprofile", "clocks"),
    *("sigchld-ignored", "signals-ignored", "signals-blocked", "environ-cleared", "umask", "setpgrp"),
    *("thread-works-on", "atexit-exits", "unraisable", "excepthook", "zombie"),
    *("sys.modules-5", "sys.modules-copy", "sys.path", "sys.stdout"),
)
PLACES = tuple(f"{what}={place}" for what in ("full", "read-only", "vanish") for place in ("root", "cache", "tmp"))
FORKS = ("fork-on", "fork-beside", "fork-exits")
SLOW = ("hang", "eats-memory")
"""Only in a child: in the user's own process they would be the suite's."""
FUNCTIONS = (
    *("json.dumps", "json.loads", "json.load", "threading.enumerate", "threading.Thread", "threading.current_thread"),
    *(
        "threading.Lock",
        "gc.collect",
        "gc.get_objects",
        "gc.get_referents",
        "gc.freeze",
        "gc.isenabled",
        "gc.get_count",
    ),
    *("time.time", "time.monotonic", "time.perf_counter", "time.perf_counter_ns", "time.time_ns", "time.sleep"),
    *("os.read", "os.write", "os.open", "os.close", "os.fstat", "os.stat", "os.listdir", "os.scandir", "os.getpid"),
    *("os.fork", "os.kill", "os.killpg", "os.waitpid", "os.pidfd_open", "os.replace", "os.makedirs", "os.fspath"),
    *("os.environ", "os.path.exists", "os.path.join", "os.getcwd", "os.pread", "os._exit", "os.unlink"),
    *("signal.signal", "signal.pidfd_send_signal", "subprocess.Popen", "subprocess.run", "select.select"),
    *("pathlib.Path.read_text", "pathlib.Path.write_text", "pathlib.Path.mkdir", "pathlib.Path.exists"),
    *("pathlib.Path.open", "pathlib.Path.resolve", "tempfile.mkdtemp", "tempfile.gettempdir", "shutil.rmtree"),
    *("builtins.open", "builtins.sorted", "builtins.print", "psutil.Process", "psutil.pid_exists", "platform.system"),
    *("platform.python_version", "sys.executable", "sys.argv", "sys._current_frames", "sys.getallocatedblocks"),
    *("sys.exc_info", "re.compile", "weakref.ref", "hashlib.sha256", "contextlib.suppress", "array.array"),
    *("io.open", "logging.getLogger", "random.random", "uuid.uuid4", "socket.socket", "datetime.datetime"),
    *("collections.Counter", "dataclasses.replace", "functools.partial", "math.sqrt", "statistics.median"),
)
MODULES = ("json", "psutil", "threading", "time", "subprocess", "tempfile", "gc", "pathlib", "shutil", "leaktrace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One fault: what it is, where, at which of the nine tests, in which mode, in one process or two workers."""

    what: str
    where: str
    mode: str
    spread: str
    instant: int

    def __str__(self) -> str:
        return f"{self.what}:{self.where}:{self.mode}:{self.spread}:{self.instant}"

    @classmethod
    def of(cls, text: str) -> Scenario:
        what, where, mode, spread, instant = text.rsplit(":", 4)
        return cls(what=what, where=where, mode=mode, spread=spread, instant=int(instant))

    @property
    def family(self) -> str:
        """The row of the table that it belongs to."""
        for name, members in FAMILIES:
            if self.what.partition("=")[0] in members or self.what in members:
                return name
        raise ValueError(f"{self.what} is no fault of this bench")

    @property
    def place(self) -> str:
        """The column of the table that it belongs to."""
        return next(name for name, members in SITES if self.where in members)


FAMILIES = (
    ("SIGKILL", ("sigkill",)),
    ("SIGTERM", ("sigterm",)),
    ("SIGINT, once and twice", ("sigint", "sigint2")),
    ("SIGSEGV, SIGABRT", ("sigsegv", "sigabrt")),
    ("`os._exit`, `sys.exit`", ("os._exit", "sys.exit")),
    ("MemoryError, RecursionError", ("MemoryError", "RecursionError", "recursionlimit")),
    ("resource limits, memory eaten", ("RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "eats-memory")),
    ("full disk", ("full",)),
    ("read-only and vanished folders, working directory gone", ("read-only", "vanish", "cwd", "umask")),
    ("descriptors closed", tuple(each for each in STATE if each.startswith("close-"))),
    ("forks that go on", FORKS),
    ("functions patched", ("patch",)),
    ("modules replaced or gone", ("module", "sys.modules-5", "sys.modules-copy", "sys.path", "sys.stdout")),
    (
        "collector, tracing, clocks",
        ("gc.disable", "gc.freeze", "gc.debug", "settrace", "settrace-raises", "setprofile", "clocks"),
    ),
    ("signal handlers, environment, exit hooks, threads", (*STATE, "hang")),
)
SITES = (
    ("tests", ("test", "setup")),
    ("fixtures, finalizers", ("fixture", "finalizer")),
    ("hooks", IN_HOOKS),
    ("xdist worker", IN_WORKERS),
    ("child: base", ("child-import", "child-configure", "child-modifyitems", "child-base", "child-sessionfinish")),
    ("child: worker", ("child-test", "child-second", "child-fixture", "child-finalizer", "child-setup")),
    ("while replaying", ("child-replay", "child-replay-workers")),
    ("report", ("report",)),
)


def plan(number: int, seed: int) -> list[Scenario]:
    """So many scenarios: every kind of fault comes once before any comes twice, every place likewise within a kind."""
    chance = random.Random(seed)
    drawn: list[Scenario] = []
    seen: set[str] = set()
    pools = {what: _where(what) for what in _kinds()}
    rounds: dict[str, list[str]] = {what: [] for what in pools}
    while len(drawn) < number:
        for what in sorted(pools, key=lambda _: chance.random()):
            if not rounds[what]:
                rounds[what] = sorted(pools[what], key=lambda _: chance.random())
            scenario = _draw(chance, _detailed(chance, what), rounds[what].pop())
            if str(scenario) not in seen:
                seen.add(str(scenario))
                drawn.append(scenario)
    return drawn[:number]


def _kinds() -> list[str]:
    return [
        # Signals have three times as many places as other faults, so they are drawn three times as often.
        *(f"{what} {n}" for what in SIGNALS for n in range(3)),
        *ENDS,
        *STATE,
        *PLACES,
        *FORKS,
        *SLOW,
        *(f"patch {n}" for n in range(12)),
        *("module a", "module b"),
    ]


def _detailed(chance: random.Random, what: str) -> str:
    if what.startswith("patch"):
        target = chance.choice(FUNCTIONS)
        return f"patch={target}={'none' if target.startswith('sys.exe') else chance.choice(('mock', 'mock', 'raises', 'none'))}"
    if what.startswith("sig") and " " in what:
        return what.partition(" ")[0]
    if what.startswith("module"):
        return f"module={chance.choice(MODULES)}={chance.choice(('gone', 'mock'))}"
    return what


def _where(what: str) -> tuple[str, ...]:
    if what.partition(" ")[0] in SIGNALS:
        return (
            *IN_TESTS,
            *IN_HOOKS,
            *IN_WORKERS,
            *IN_CHILDREN,
            *AT_THE_PARENT,
            "child-replay",
            "child-replay",
            "report",
        )
    if what in ENDS:
        return (*IN_TESTS, *IN_HOOKS, *IN_WORKERS, *IN_CHILDREN)
    if what in SLOW:
        return ("child-import", "child-test", "child-second", "child-finalizer", "child-modifyitems")
    if what in FORKS:
        return (*IN_TESTS, "test", "test", "sessionfinish", "child-test")
    return (
        *IN_TESTS,
        "test",
        "test",
        "configure",
        "sessionfinish",
        "unconfigure",
        "child-test",
        "child-import",
        "worker-test",
    )


def _draw(chance: random.Random, what: str, where: str) -> Scenario:
    spread = (
        "n2" if where.startswith("worker-") or where.endswith("workers") else chance.choice(("plain", "plain", "n2"))
    )
    needs_child = where.startswith("child-") or where == "report"
    mode = chance.choice(MODES[1:] if needs_child else MODES)
    if where == "child-second":
        mode = "hunt"
    return Scenario(what=what, where=where, mode=mode, spread=spread, instant=chance.randint(1, 9))
