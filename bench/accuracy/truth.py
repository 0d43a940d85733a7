"""What is true of each specimen: the table that detectors are judged against.

Clean specimens need no row: all tests of `test_clean_*.py` leak nothing, whatever they seem to do at first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


SPECIMENS = Path(__file__).resolve().parent / "specimens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One seeded leak.

    Attributes:
        test: node id without its folder and without parameters.
        holders: right names of what keeps the leaked thing alive. Each is a tuple of words that a right name holds in
            this order (`("BUS", "_subscribers", "order.refunded")`); any one of them will do. Empty where nothing in
            Python holds it: then the only right name is none.
        adds: the source line that adds, as written, or "" where only C code knows.
        kind: the kind of leak, in the casebook's words.
        counter: the counter that shows it best.
        runs_per_leak: how many runs it takes to leak once.
        fixture: name of the fixture at fault, or None.
        keeps_frames: whether it keeps the frames of whoever runs the test, so that its size says nothing.
    """

    test: str
    holders: tuple[tuple[str, ...], ...]
    adds: str = ""
    kind: str = "memory"
    counter: str = "blocks"
    runs_per_leak: int = 1
    fixture: str | None = None
    keeps_frames: bool = False

    @property
    def file(self) -> str:
        return self.test.partition("::")[0]


FRAMES = {"keeps_frames": True}
_ROWS = (
    # Module lists, dicts, buffers.
    ("test_leak_module.py::test_list", "ORDERS", "ORDERS.append(order)"),
    ("test_leak_module.py::test_dict", "SESSIONS", "SESSIONS[token] = Order(token)"),
    ("test_leak_module.py::test_nested", "QUEUES open", 'QUEUES["open"].append(Order(3))'),
    ("test_leak_module.py::test_set", "SEEN", "SEEN.update(Order(n) for n in range(size))"),
    ("test_leak_module.py::test_one_per_two_runs", "AUDIT", "AUDIT.append(object())", {"runs_per_leak": 2}),
    (
        "test_leak_module.py::test_bytearray_grows_in_place",
        "TRACE",
        'TRACE.extend(b"x" * 1000)',
        {"counter": "heap_bytes"},
    ),
    (
        "test_leak_module.py::test_string_grows_in_place",
        "GREETING",
        'GREETING += f"Hello, {name}. Nice to see you again.\\n"',
        {"counter": "heap_bytes"},
    ),
    ("test_leak_module.py::test_big_pages", "PAGES", "PAGES.append(bytes(20_000))"),
    # Class and function attributes.
    (
        "test_leak_class_attribute.py::test_instances_in_a_class_list",
        "Connection opened",
        "self.opened.append(self)",
    ),
    (
        "test_leak_class_attribute.py::test_subclasses_in_a_class_dict",
        "Base plugins",
        'Base.plugins[f"{cls.__name__}-{next(Base.serial)}"] = cls',
    ),
    ("test_leak_class_attribute.py::test_new_attributes_on_a_class", "Settings", "setattr(Settings, name, [1, 2, 3])"),
    (
        "test_leak_class_attribute.py::test_dict_of_lists_on_a_class",
        "Meter by_unit seconds",
        "self.by_unit[unit].append(value * 1.5)",
    ),
    ("test_leak_class_attribute.py::test_function_attribute", "notify sent", "notify.sent.append([message])"),
    ("test_leak_class_attribute.py::test_mutable_default", "collect", "basket.append(item)"),
    # Caches without a bound.
    ("test_leak_cache.py::test_unbounded_lru_cache", "route", "assert route(request).endswith(str(request.number))"),
    ("test_leak_cache.py::test_cache_on_a_method", "Report total", "assert Report(20).total() == 190"),
    (
        "test_leak_cache.py::test_one_per_four_runs",
        "square",
        "assert square(number) == number**2",
        {"runs_per_leak": 4},
    ),
    ("test_leak_cache.py::test_dict_keyed_by_text", "RENDERED", "RENDERED[template] = template.upper()"),
    (
        "test_leak_cache.py::test_weak_keys_with_values_that_hold_them",
        "OWNERS",
        "OWNERS[pet] = Owner(pet)",
    ),
    (
        "test_leak_cache.py::test_memoizing_decorator",
        "describe results|memoize results",
        "results[argument] = function(argument)",
    ),
    # Closures.
    ("test_leak_closure.py::test_free_variable_list", "count_hit hits|make_counter hits", "hits.append([page])"),
    (
        "test_leak_closure.py::test_decorator_that_records_its_calls",
        "add calls|traced calls",
        'calls[len(calls) + 1000] = {"args": list(args)}',
    ),
    ("test_leak_closure.py::test_chain_of_closures", "PIPELINE", "PIPELINE = chain(PIPELINE)"),
    (
        "test_leak_closure.py::test_bound_methods_on_an_undo_stack",
        "push_undo undos|undo_depth undos|undo_stack undos",
        "undos.append(document.clear)",
    ),
    (
        "test_leak_closure.py::test_lambdas_with_a_payload",
        "later pending|scheduler pending",
        "pending.append(lambda: len(payload))",
    ),
    # Listeners.
    (
        "test_leak_listener.py::test_event_bus",
        "BUS _subscribers order.refunded",
        "self._subscribers.setdefault(event, []).append(handler)",
    ),
    ("test_leak_listener.py::test_observer_set", "MODEL observers", "MODEL.observers.add(Widget())"),
    (
        "test_leak_listener.py::test_logging_handler",
        "LOG handlers|leak.shop.audit handlers",
        "LOG.addHandler(logging.NullHandler())",
    ),
    ("test_leak_listener.py::test_atexit", "atexit|", 'atexit.register(farewell, "a" * 40)'),
    (
        "test_leak_listener.py::test_callbacks_of_a_pending_future",
        "READY _done_callbacks",
        "READY.add_done_callback(lambda _: widget.redraw())",
    ),
    (
        "test_leak_listener.py::test_finalizer_that_holds_its_object",
        "finalize _registry",
        "weakref.finalize(widget, widget.redraw).atexit = False",
    ),
    # Thread-locals and threads.
    (
        "test_leak_thread.py::test_thread_local_of_the_main_thread",
        "LOCAL spans",
        'LOCAL.__dict__.setdefault("spans", []).append({"name": "span"})',
    ),
    ("test_leak_thread.py::test_thread_local_of_a_worker", "STORE items", "STORE.items.append([text])"),
    (
        "test_leak_thread.py::test_waiting_thread",
        "thread|Thread|NEVER",
        "thread.start()",
        {"kind": "threads", "counter": "threads"},
    ),
    (
        "test_leak_thread.py::test_timer_not_cancelled",
        "thread|Thread|Timer",
        "timer.start()",
        {"kind": "threads", "counter": "threads"},
    ),
    (
        "test_leak_thread.py::test_executor_not_shut_down",
        "POOLS|thread|Thread",
        "assert pool.submit(sum, [1, 2]).result() == 3",
        {"kind": "threads", "counter": "threads"},
    ),
    ("test_leak_thread.py::test_queue_nobody_reads", "JOBS queue", "JOBS.put([1, 2, 3])"),
    # Context variables.
    ("test_leak_contextvar.py::test_list_in_a_variable", "SPANS|spans", 'SPANS.get().append({"name": "request"})'),
    (
        "test_leak_contextvar.py::test_scopes_that_hold_their_parent",
        "SCOPE|scope",
        'SCOPE.set({"name": "child", "parent": SCOPE.get()})',
    ),
    ("test_leak_contextvar.py::test_tokens_never_used", "TOKENS", 'TOKENS.append(USER.set(["Ada"]))'),
    ("test_leak_contextvar.py::test_contexts_kept", "SNAPSHOTS", "SNAPSHOTS.append(context)"),
    ("test_leak_contextvar.py::test_a_new_variable_each_time", "context", "variable.set([1, 2])"),
    ("test_leak_contextvar.py::test_mutable_default", "DEFAULT|default", "DEFAULT.get().append(object())"),
    # Exceptions, tracebacks, frames.
    ("test_leak_exception.py::test_exceptions_in_a_list", "ERRORS", "ERRORS.append(error)", FRAMES),
    (
        "test_leak_exception.py::test_tracebacks_in_a_dict",
        "TRACEBACKS",
        "TRACEBACKS[len(TRACEBACKS) + 1000] = error.__traceback__",
        FRAMES,
    ),
    ("test_leak_exception.py::test_frames_in_a_list", "FRAMES", "FRAMES.append(sys._getframe())", FRAMES),
    ("test_leak_exception.py::test_one_exception_raised_again_and_again", "NOT_FOUND", "raise NOT_FOUND", FRAMES),
    ("test_leak_exception.py::test_chain_of_causes", "LAST", "LAST = error"),
    (
        "test_leak_exception.py::test_log_records_with_exc_info",
        "RECORDER records|LOG handlers records",
        "self.records.append(record)",
        FRAMES,
    ),
    # Generators, coroutines, tasks.
    ("test_leak_generator.py::test_suspended_generators", "STREAMS", "STREAMS.append(stream)"),
    (
        "test_leak_generator.py::test_local_list_of_one_generator",
        "lines",
        "lines.append([(yield len(lines))])",
    ),
    ("test_leak_generator.py::test_suspended_async_generators", "FEEDS", "FEEDS.append(stream)"),
    ("test_leak_generator.py::test_suspended_coroutines", "WAITERS", "WAITERS.append(coroutine)"),
    (
        "test_leak_generator.py::test_tasks_that_wait_for_ever",
        "FUTURES|loop|task hang",
        "FUTURES.append(future)",
    ),
    (
        "test_leak_generator.py::test_timers_of_a_shared_loop",
        "loop _scheduled|_scheduled",
        'loop().call_later(10**6, print, "late")',
    ),
    # Fixtures of each scope.
    ("test_leak_fixture.py::test_function_fixture", "CLIENTS", "CLIENTS.append(made)", {"fixture": "client"}),
    ("test_leak_fixture.py::test_finalizer", "CLOSED", "CLOSED.append(made)", {"fixture": "visitor"}),
    (
        "test_leak_fixture.py::TestDesk::test_class_fixture",
        "DESKS tickets|desk tickets",
        'desk.tickets.append(Client("Edsger"))',
    ),
    (
        "test_leak_fixture.py::test_module_fixture",
        "ENGINES main tickets|engine tickets",
        "engine.tickets.append(made)",
        {"fixture": "transaction"},
    ),
    ("test_leak_fixture.py::test_session_fixture", "APPS main tickets|app tickets", "app.tickets.append(made)"),
    (
        "test_leak_fixture.py::test_parametrized_fixture",
        "CLIENTS",
        "CLIENTS.append(Client(request.param))",
        {"fixture": "scheme"},
    ),
    ("test_leak_fixture.py::TestGreeter::test_setup_method", "STARTED|started", 'self.started.append(["setup"])'),
    # Native memory and lost references.
    ("test_leak_native.py::test_malloc", "", "assert libc().malloc(496)", {"counter": "heap_bytes"}),
    ("test_leak_native.py::test_strdup", "", 'assert libc().strdup(b"a customer\'s name")', {"counter": "heap_bytes"}),
    (
        "test_leak_native.py::test_malloc_every_second_run",
        "",
        "libc().malloc(96)",
        {"counter": "heap_bytes", "runs_per_leak": 2},
    ),
    (
        "test_leak_native.py::test_realloc_grows",
        "",
        "BLOCK[0] = libc().realloc(BLOCK[0], BLOCK[1])",
        {"counter": "heap_bytes"},
    ),
    ("test_leak_native.py::test_python_raw_malloc", "", "assert allocate(3000)", {"counter": "heap_bytes"}),
    ("test_leak_native.py::test_object_never_released", "", "take_reference()(object())"),
    (
        "test_leak_native.py::test_reference_to_an_old_object",
        "SHARED",
        "take_reference()(SHARED)",
        {"kind": "objects", "counter": "refs"},
    ),
    ("test_leak_native.py::test_compressor", "COMPRESSORS", "COMPRESSORS.append(compressor)"),
    ("test_leak_native.py::test_database", "DATABASES", 'DATABASES.append(sqlite3.connect(":memory:"))'),
    ("test_leak_native.py::test_memory_map", "MAPS", "MAPS.append(area)"),
    # File descriptors and sockets: the resource itself is a right name too.
    ("test_leak_handle.py::test_os_open", "/dev/null", "assert os.open(os.devnull, os.O_RDONLY) > 2", "fds"),
    ("test_leak_handle.py::test_pipe", "pipe", "reader, writer = os.pipe()", "fds"),
    ("test_leak_handle.py::test_dup", "/dev/null", "assert os.dup(reader) != reader", "fds"),
    ("test_leak_handle.py::test_open_file", "FILES|file", "FILES.append(tempfile.TemporaryFile())", "fds"),
    ("test_leak_handle.py::test_socket", "SOCKETS|socket", "sock = socket.socket()", "sockets"),
    ("test_leak_handle.py::test_socket_pair", "PAIRS|socket", "PAIRS.append(socket.socketpair())", "sockets"),
    (
        "test_leak_handle.py::test_detached_socket",
        "socket",
        "assert socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach() > 2",
        "sockets",
    ),
    ("test_leak_handle.py::test_epoll", "epoll|eventpoll", "assert os.dup(poller.fileno()) > 2", "fds"),
)


def _truth(test: str, holders: str, adds: str, extra: dict[str, object] | str = "") -> Truth:
    if isinstance(extra, str):
        extra = {"kind": extra, "counter": "fds"} if extra else {}
    names = tuple(tuple(name.split()) for name in holders.split("|")) if holders else ()
    return Truth(test=test, holders=names, adds=adds, **extra)  # type: ignore[arg-type]


TRUTH: dict[str, Truth] = {row[0]: _truth(*row) for row in _ROWS}


def plain(nodeid: str) -> str:
    """A node id without folders and without parameters: the key of the table."""
    file, _, rest = nodeid.partition("::")
    return f"{file.rsplit('/', 1)[-1]}::{rest.partition('[')[0]}"


def truth_of(nodeid: str) -> Truth | None:
    """What is true of a collected test: its row, or None where it leaks nothing."""
    key = plain(nodeid)
    if key not in TRUTH and "test_leak_" in key:
        raise KeyError(f"{key} is in a file of leaks, but truth.py has no row for it")
    return TRUTH.get(key)


def mistakes() -> Iterator[str]:
    """What is wrong with the table itself: lines that do not stand, exactly once, in the specimens."""
    for truth in TRUTH.values():
        source = (SPECIMENS / truth.file).read_text(encoding="utf-8").splitlines()
        stands = [line.strip() for line in source].count(truth.adds)
        if stands != 1:
            yield f"{truth.test}: the line {truth.adds!r} stands {stands} times in {truth.file}"
