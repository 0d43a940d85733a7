"""What the trace says where no single container simply grows."""

from __future__ import annotations

import contextvars
import ctypes
import functools
import gc
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from explain.loading import Load
from leaktrace.explain import proof
from leaktrace.explain.findings import newest
from leaktrace.explain.model import Exhibit, Proof
from leaktrace.explain.observe import Observation
from leaktrace.explain.steps import explain
from leaktrace.heap.retained import retained


THING = "class Thing: ...\n"


def adding_lines(exhibit: Exhibit) -> list[str]:
    return [site.code.splitlines()[0] for site in exhibit.sites if site.adds]


def test_a_steady_suspect_has_no_holder_and_no_sites() -> None:
    exhibit = explain(lambda: [object() for _ in range(10)], settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is None
    assert exhibit.types_per_run == ()
    assert [site for site in exhibit.sites if site.count_per_run >= 1] == []


def test_a_chain_is_named_by_its_head_and_cut_to_prove_it(load: Load) -> None:
    source = "class Node:\n    def __init__(self, rest): self.rest = rest\nHEAD = None\n"
    module = load("chain", source + "def leak():\n    global HEAD\n    HEAD = Node(HEAD)\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert (exhibit.holder.name, exhibit.holder.kind) == ("specimen_chain.HEAD", "chain")
    assert adding_lines(exhibit) == ["HEAD = Node(HEAD)"]
    assert exhibit.proof.status == "proved", exhibit.proof.detail


def test_an_exception_raised_again_and_again_is_named_though_its_frames_lead_to_the_runner(load: Load) -> None:
    source = "NOT_FOUND = KeyError('order')\ndef find():\n    raise NOT_FOUND\n"
    module = load("again", source + "def leak():\n    try: find()\n    except KeyError: pass\n")
    runner = load(
        "runner", "class Report: ...\ndef run(test):\n    reports = [Report(), Report(), Report()]\n    test()\n"
    )

    exhibit = explain(
        functools.partial(runner.run, module.leak),
        settle=gc.collect,
        budget_s=60.0,
        own=("leaktrace", "specimen_runner"),
    )

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_again.NOT_FOUND.__traceback__"
    assert adding_lines(exhibit) == ["raise NOT_FOUND"]
    assert exhibit.proof.status == "proved", exhibit.proof.detail


def test_a_tuple_that_is_replaced_by_a_longer_one_is_the_holder(load: Load) -> None:
    module = load("longer", THING + "ALL = ()\ndef leak():\n    global ALL\n    ALL = (*ALL, Thing())\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert (exhibit.holder.name, exhibit.holder.kind) == ("specimen_longer.ALL", "replaced")
    assert exhibit.proof.status == "proved", exhibit.proof.detail


def test_an_object_that_gets_ever_more_attributes_is_the_holder(load: Load) -> None:
    module = load(
        "attributes",
        THING
        + "import itertools\nN = itertools.count()\nSTATE = Thing()\n"
        + "def leak():\n    setattr(STATE, f'a{next(N)}', Thing())\n",
    )

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_attributes.STATE.__dict__"
    assert adding_lines(exhibit) == ["setattr(STATE, f'a{next(N)}', Thing())"]
    assert exhibit.proof.status == "proved", exhibit.proof.detail


def test_functions_registered_for_the_interpreters_end_are_found_though_it_does_not_show_them(load: Load) -> None:
    source = "import atexit\nclass Thing:\n    def close(self): ...\n"
    module = load("atexit", source + "def leak():\n    atexit.register(Thing().close)\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert (exhibit.holder.name, exhibit.holder.kind) == ("atexit callbacks", "atexit")
    assert exhibit.holder.path[-1].type == "specimen_atexit.Thing"
    assert adding_lines(exhibit) == ["atexit.register(Thing().close)"]
    assert exhibit.proof.status == "proved", exhibit.proof.detail


def test_two_holders_of_the_same_things_are_proved_together(load: Load) -> None:
    source = (
        "FIRST, SECOND = [], set()\ndef leak():\n    thing = Thing()\n    FIRST.append(thing)\n    SECOND.add(thing)\n"
    )
    module = load("two", THING + source)

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.proof.status == "proved"
    assert "specimen_two.FIRST and of specimen_two.SECOND" in exhibit.proof.detail
    assert "also held by specimen_two.SECOND" in exhibit.notes


@pytest.mark.parametrize(
    ("name", "source", "bound"),
    [
        ("lru", "import functools\n@functools.lru_cache(maxsize=50)\ndef rate(x): return [x]\n", 50),
        ("deque", "import collections\nKEPT = collections.deque(maxlen=40)\nrate = KEPT.append\n", 40),
        (
            "slots",
            """
class Lru:
    __slots__ = ("capacity", "threshold", "data")
    def __init__(self): self.capacity, self.threshold, self.data = 40, 0.5, {}
LRU = Lru()
def rate(x): LRU.data[x] = [x]
""",
            60,
        ),
        ("queue", "import queue\nQ = queue.Queue(maxsize=30)\nrate = Q.put\n", 30),
    ],
)
def test_a_holder_with_a_bound_says_so(load: Load, name: str, source: str, bound: int) -> None:
    module = load(f"bound_{name}", THING + source + "def leak():\n    rate(Thing())\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.bound == bound
    assert exhibit.holder.filled in range(1, bound)


def test_a_full_cache_that_replaces_its_entries_is_not_what_grows(load: Load) -> None:
    source = (
        THING
        + """
import functools, itertools
NUMBERS = itertools.count()
@functools.lru_cache(maxsize=1000)
def rate(number): return Thing()
class Node:
    def __init__(self, next): self.next = next
DEEP = [[[Node(None)]]]
def leak():
    rate(next(NUMBERS))
    DEEP[0][0][0] = Node(DEEP[0][0][0])
"""
    )
    module = load("full", source)
    for _ in range(1000):
        module.leak()

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_full.DEEP[0][0][0]"


def test_the_line_that_lengthens_a_string_in_place_is_named_and_not_one_that_makes_an_object_anew(load: Load) -> None:
    source = """
NOTE = "x" * 1000
LAST = {}
def leak():
    global NOTE
    LAST["now"] = [object()]
    NOTE += "y" * 35
"""
    module = load("string", source)

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0, growth_bytes_per_run=35.0)

    assert [site.code.splitlines()[0] for site in exhibit.sites] == ['NOTE += "y" * 35']


def test_a_line_that_allocates_next_to_nothing_of_the_growth_is_not_named(load: Load) -> None:
    module = load("little", "LAST = {}\ndef leak():\n    LAST['now'] = [object()]\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0, growth_bytes_per_run=10_000_000.0)

    assert exhibit.sites == ()


CACHED = """
import functools
class Shop:
    @functools.lru_cache(maxsize=5_000)
    def rate(self, thing): return [thing]
SHOP = Shop()
"""


@pytest.mark.parametrize(("key", "lost"), [("Thing()", True), ("str(next(NUMBERS))", False)])
def test_of_a_bounded_cache_it_is_told_whether_its_keys_can_be_found_again(load: Load, key: str, lost: bool) -> None:
    numbers = "import itertools\nNUMBERS = itertools.count()\n"
    module = load(f"lost_{lost}", THING + CACHED + numbers + f"def leak():\n    SHOP.rate({key})\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.kind == "lru-cache"
    assert exhibit.holder.bound == 5_000
    assert any("none of which can be found again" in hop.reason for hop in exhibit.holder.path) is lost


def test_threads_left_running_are_named_with_what_they_do(load: Load) -> None:
    module = load(
        "threads",
        "import threading\nSTOP = threading.Event()\nALL = []\n"
        "def serve_for_ever():\n    STOP.wait()\n"
        "def leak():\n    threading.Thread(target=serve_for_ever, name='server').start()\n",
    )
    try:
        exhibit = explain(module.leak, settle=gc.collect, runs=3, budget_s=60.0)
    finally:
        module.STOP.set()
        for thread in threading.enumerate():
            if thread.name == "server":
                thread.join()

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.kind == "thread"
    assert exhibit.holder.path[-1].name == "thread 'server'"
    assert "serve_for_ever() at specimen_threads.py:5" in exhibit.holder.path[-1].reason
    assert exhibit.proof.status == "untried"


def test_the_local_of_a_running_thread_is_a_holder(load: Load) -> None:
    module = load(
        "running",
        THING + "import queue, threading\nQ = queue.Queue()\n"
        "def work():\n    kept = []\n    while (thing := Q.get()) is not None:\n        kept.append(thing)\n"
        "        thing = None\n        Q.task_done()\n"
        "THREAD = threading.Thread(target=work, name='worker-1')\nTHREAD.start()\n"
        "def leak():\n    Q.put(Thing())\n    Q.join()\n",
    )
    try:
        exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)
    finally:
        module.Q.put(None)
        module.THREAD.join()

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "thread 'worker-1' in work(): local 'kept'"
    assert exhibit.holder.kind == "thread-frame"


def test_an_exceptions_traceback_leads_to_the_local_that_it_keeps(load: Load) -> None:
    module = load(
        "traceback",
        THING + "ERRORS = []\n"
        "def leak():\n    big = Thing()\n    try:\n        raise ValueError\n    except ValueError as error:\n        ERRORS.append(error)\n",
    )

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_traceback.ERRORS"
    assert exhibit.holder.path[-1].name.endswith(".__traceback__.tb_frame: local 'big' in leak()")


def test_the_module_that_defines_the_holder_is_named_not_one_that_imports_it(load: Load, tmp_path: Path) -> None:
    home = load("home", "class Thing: ...\nKEPT = []\n")
    user = load("user", "from specimen_home import KEPT, Thing\ndef leak():\n    KEPT.append(Thing())\n")
    assert user.KEPT is home.KEPT

    exhibit = explain(user.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_home.KEPT"
    assert exhibit.holder.path[0].name == "specimen_home"


def test_labels_go_from_surely_fine_over_the_suspect_to_surely_leaking(load: Load) -> None:
    module = load("labels", THING + "KEPT = {}\ndef leak():\n    KEPT[Thing()] = [Thing()]\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert [hop.leaking for hop in exhibit.holder.path][:3] == ["NO", "UNKNOWN", "YES"]
    assert exhibit.holder.path[1].reason == "dict, +1 a run  <- grows here"
    assert (exhibit.holder.retained_bytes_per_run or 0) > 0


def test_what_something_else_holds_as_well_is_told_apart_from_what_the_entries_hold_alone(load: Load) -> None:
    source = """
        KEPT, ALSO = [], []
        def leak():
            shared = bytes(5_000)
            KEPT.append([shared, bytes(700)])
            ALSO.append(shared)
    """
    module = load("shared", source)

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_shared.KEPT"
    assert 700 <= (exhibit.holder.retained_bytes_per_run or 0) < 1_000
    assert 5_000 <= (exhibit.holder.shared_bytes_per_run or 0) < 5_100


def test_thousands_of_entries_a_run_are_all_weighed(load: Load) -> None:
    module = load("many", "KEPT = []\ndef leak():\n    KEPT.extend(bytes(100) for _ in range(3_000))\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert (exhibit.holder.retained_bytes_per_run or 0) >= 3_000 * 100


def test_what_is_too_much_to_be_weighed_has_no_size() -> None:
    entries: list[list[list[object]]] = [[[] for _ in range(1_000)] for _ in range(301)]
    newborn = {id(each) for entry in entries for each in (entry, *entry)}

    assert not retained(entries, newborn).whole


def test_nothing_unreadable_is_in_any_name(load: Load) -> None:
    module = load("names", THING + "KEPT = {}\ndef leak():\n    KEPT[Thing()] = (Thing(), {Thing(): [Thing()]})\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    text = " ".join(hop.name for hop in exhibit.holder.path)
    assert "0x" not in text
    assert "leaktrace" not in text
    assert "pytest" not in text


def test_equal_causes_have_equal_fingerprints_over_repeated_traces(load: Load) -> None:
    module = load("again", THING + "KEPT = []\ndef leak():\n    KEPT.append(Thing())\n")

    prints = {explain(module.leak, settle=gc.collect, runs=3).fingerprint for _ in range(3)}

    assert len(prints) == 1


def test_the_allocating_line_comes_with_the_tests_own_line_in_its_stack(load: Load) -> None:
    module = load(
        "stack",
        "class Thing:\n    def __init__(self):\n        self.data = bytearray(5000)\nKEPT = []\n"
        "def make():\n    return Thing()\ndef leak():\n    KEPT.append(make())\n",
    )

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    made = [site for site in exhibit.sites if not site.adds]
    assert ("return Thing()", "make") in [(site.code.splitlines()[0], site.function) for site in made]
    biggest = max(made, key=lambda site: site.bytes_per_run)
    assert biggest.function == "Thing.__init__"
    assert biggest.bytes_per_run == pytest.approx(5057, abs=250)
    assert [frame.function for frame in biggest.stack][:3] == ["Thing.__init__", "make", "leak"]
    assert biggest.code.splitlines()[1].strip() == "^" * len("bytearray(5000)")


def test_growth_that_python_does_not_explain_is_native() -> None:
    malloc = ctypes.CDLL(None).malloc

    exhibit = explain(lambda: malloc(100_000), settle=gc.collect, runs=3, growth_bytes_per_run=100_000.0)

    assert exhibit.native
    assert exhibit.fix.startswith("Look at the line")


@pytest.mark.reads("heap_bytes")
def test_growth_that_has_stopped_is_told_as_that() -> None:
    exhibit = explain(lambda: None, settle=gc.collect, runs=3, growth_bytes_per_run=100_000.0)

    assert exhibit.quiet_runs == 15
    assert (exhibit.holder, exhibit.sites, exhibit.native) == (None, (), False)


def test_what_holds_things_of_its_own_is_a_cause_of_its_own(load: Load) -> None:
    module = load(
        "two",
        "class Thing: pass\nKEPT, SEEN, AGAIN = [], set(), {}\n"
        "def leak():\n    thing, other = Thing(), bytearray(5000)\n"
        "    KEPT.append(thing)\n    AGAIN[thing] = 1\n    SEEN.add(Thing())\n    OTHERS.append(other)\nOTHERS = []\n",
    )

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    every = (exhibit, *exhibit.beside)
    held = {each.holder.name.partition(".")[2] for each in every if each.holder is not None}
    assert held in ({"OTHERS", "SEEN", "KEPT"}, {"OTHERS", "SEEN", "AGAIN"})  # the same things in two of them
    assert all(each.proof.status == "proved" for each in every)
    assert len(every) == 3


def test_a_slow_suspect_is_run_less_often_and_the_notes_say_so() -> None:
    def run() -> None:
        threading.Event().wait(0.05)

    exhibit = explain(run, settle=lambda: None, budget_s=0.3)

    assert any("fitted into the time" in note for note in exhibit.notes)


def test_the_trace_leaves_tracing_and_the_collector_as_they_were(load: Load) -> None:
    module = load("after", THING + "KEPT = []\ndef leak():\n    KEPT.append(Thing())\n")

    gc.unfreeze()  # what another test has left frozen
    before = sys.gettrace()
    explain(module.leak, settle=gc.collect, runs=3, budget_s=60.0)

    assert sys.gettrace() is before
    assert not tracemalloc.is_tracing()
    assert gc.get_freeze_count() < 1000


def test_a_suspect_that_stops_tracemalloc_has_a_holder_and_no_lines(load: Load) -> None:
    source = "import tracemalloc\nKEPT = []\ndef leak():\n    tracemalloc.start()\n    tracemalloc.stop()\n"
    module = load("tracing", THING + source + "    KEPT.append(Thing())\n")

    exhibit = explain(module.leak, settle=gc.collect, runs=3, budget_s=60.0)

    assert exhibit.holder is not None
    assert exhibit.holder.name == "specimen_tracing.KEPT"
    assert any("the suspect stops tracemalloc" in note for note in exhibit.notes)
    assert not tracemalloc.is_tracing()


def test_what_was_not_looked_for_under_tracemalloc_is_not_called_native(load: Load) -> None:
    module = load("stopping", "import tracemalloc\ndef leak():\n    tracemalloc.start()\n    tracemalloc.stop()\n")

    exhibit = explain(module.leak, settle=gc.collect, runs=3, budget_s=60.0, growth_bytes_per_run=3_000.0)

    assert (exhibit.native, exhibit.sites, exhibit.holder) == (False, (), None)


def test_the_trace_has_made_all_that_it_needs_before_anything_is_looked_at(tmp_path: Path) -> None:
    script = tmp_path / "specimen.py"
    script.write_text(
        "import ctypes\nfrom leaktrace.lines import allocations\n"
        "class Thing: ...\n"
        "allocations.prepare()\nbefore = dict(vars(ctypes.pythonapi))\n"
        "allocations.stack_of(Thing())\nprint(before == vars(ctypes.pythonapi))\n"
    )

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    assert done.stdout == "True\n"


class Desk:
    def __init__(self) -> None:
        self.papers: list[object] = []


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def papers() -> list[Any]:
    return []


def test_what_a_wider_fixtures_value_hoards_is_not_pytests_own(desk: Desk) -> None:
    exhibit = explain(lambda: desk.papers.append(Desk()), settle=gc.collect, runs=3, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert (exhibit.holder.name, exhibit.holder.kind) == ("fixture 'desk'.papers", "instance-container")
    assert exhibit.proof.status == "proved"


def test_a_wider_fixtures_value_may_be_the_hoard_itself(papers: list[Any]) -> None:
    exhibit = explain(lambda: papers.append(Desk()), settle=gc.collect, runs=3, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "fixture 'papers'"
    assert exhibit.holder.path[0].reason == "list, +1 a run  <- grows here"


def test_what_only_pytest_keeps_is_named_as_its_own(request: pytest.FixtureRequest) -> None:
    class Thing:
        def close(self) -> None: ...

    def run() -> None:
        request.addfinalizer(Thing().close)

    exhibit = explain(run, settle=gc.collect, runs=3, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert (exhibit.holder.name, exhibit.holder.kind) == ("pytest itself", "pytest")
    assert exhibit.proof.status == "untried"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a heap whose bytes can be counted")
def test_native_memory_is_pinned_to_the_line_that_was_running(tmp_path: Path) -> None:
    script = tmp_path / "native_leak.py"
    script.write_text(
        "import ctypes, gc\nfrom leaktrace.explain.steps import explain\n"
        "malloc = ctypes.CDLL(None).malloc\nmalloc.restype = ctypes.c_void_p\n"
        "def leak():\n    kept = [bytes(1000) for _ in range(50)]\n    malloc(ctypes.c_size_t(50_000))\n    del kept\n"
        "exhibit = explain(leak, settle=gc.collect, runs=3, growth_bytes_per_run=50_000.0)\n"
        "print(exhibit.native, exhibit.sites[0].line, round(exhibit.sites[0].bytes_per_run, -3))\n"
    )
    env = os.environ | {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}

    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout.split() == ["True", "7", "50000.0"], done.stderr


KEPT_TOKEN = """
import contextvars
SPANS = contextvars.ContextVar("specimen_spans")
SPANS.set([])
TOKENS = [contextvars.ContextVar("specimen_user").set("Ada")]
OTHER = contextvars.copy_context()
HIDDEN = contextvars.ContextVar("specimen_hidden")
OTHER.run(HIDDEN.set, [])
def current(): SPANS.get().append({})
def kept(): OTHER.run(HIDDEN.get).append({})
"""


def test_the_current_value_of_a_variable_is_named_by_it_and_not_by_a_token_that_is_kept(load: Load) -> None:
    exhibit = explain(load("token", KEPT_TOKEN).current, settle=gc.collect)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "contextvar 'specimen_spans'"


def test_what_only_a_context_that_is_kept_holds_is_found_in_it(load: Load) -> None:
    exhibit = explain(load("kept", KEPT_TOKEN).kept, settle=gc.collect)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name.startswith("specimen_kept.OTHER")


def test_the_inner_nodes_of_a_context_are_nobodys_leak_though_they_rise_most() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    variable.set(1)
    [node] = [each for each in gc.get_referents(contextvars.copy_context()) if type(each).__name__ == "hamt"]
    seen = Observation(batches=[2, 2, 2])
    seen.survivors.types = {id(cls): cls for cls in (type(node), list)}
    seen.survivors.counts = [{id(type(node)): runs * 3, id(list): runs} for runs in (2, 4, 6)]

    assert [(cls, rate) for _ids, cls, rate in newest(seen, ())] == [(list, 1.0)]


def test_what_grows_in_every_second_run_is_watched_until_the_line_that_adds_is_seen(load: Load) -> None:
    source = "import functools, itertools\nN = itertools.count()\n@functools.cache\ndef square(n): return n * n\n"
    module = load("fitful", source + "def leak():\n    number = next(N) // 2 + 1000\n    square(number)\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert adding_lines(exhibit) == ["square(number)"]
    assert exhibit.proof.detail.startswith("clearing specimen_fitful.square (lru_cache) released ")


def test_one_of_many_lost_objects_that_somebody_holds_for_the_moment_is_no_clue(load: Load) -> None:
    source = """
import ctypes
forget = ctypes.pythonapi.Py_IncRef
forget.argtypes, forget.restype = [ctypes.py_object], None
LATEST = None
def leak():
    global LATEST
    for _ in range(20): forget([object()])
    LATEST = [object()]
"""
    exhibit = explain(load("latest", source).leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert (exhibit.holder.name, exhibit.holder.kind) == ("held by C code", "c-code")


def test_a_class_of_the_test_itself_is_no_extension_module(load: Load) -> None:
    source = "import ctypes\n" + THING
    source += "forget = ctypes.pythonapi.Py_IncRef\nforget.argtypes, forget.restype = [ctypes.py_object], None\n"
    module = load("mine", source + "def leak():\n    thing = Thing()\n    forget(thing)\n")

    exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "held by C code"


PLUGIN = """
def around(test, item):
    item.statuses = {"call": bytes(5000)}
    item.more = bytearray(70_000)
    test()
    item.more = None
"""


def test_what_a_plugin_makes_around_a_test_is_no_line_of_its_leak(load: Load) -> None:
    plugin = load("plugin", PLUGIN)
    module = load("plain", THING + "ALL = []\ndef leak():\n    ALL.append(Thing())\n")

    exhibit = explain(
        lambda: plugin.around(module.leak, Item()), settle=gc.collect, budget_s=60.0, plugins=("specimen_plugin",)
    )

    assert {site.file.rpartition("/")[2] for site in exhibit.sites} == {"specimen_plain.py"}


def test_a_leak_of_a_plugin_itself_is_told_with_the_plugins_line(load: Load) -> None:
    plugin = load("plugin", "KEPT = []\ndef around():\n    KEPT.append(bytearray(5000))\n")

    exhibit = explain(plugin.around, settle=gc.collect, budget_s=60.0, plugins=("specimen_plugin",))

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_plugin.KEPT"
    assert "KEPT.append(bytearray(5000))" in [site.code.splitlines()[0] for site in exhibit.sites]


class Item:
    pass


def released(*, exclusive: int, freed: int, noise: int = 0, entries: int = 5) -> Proof:
    """What is told where plain values of so many bytes are taken out, and so many are weighed as released."""
    before = [1_000_000 + noise, 1_000_000] * 3
    # The first reading is a rehearsal.
    weights = iter([0, *(before[:5] if noise else [1_000_000] * 2), before[4] - freed])
    expected = proof.Expected(ids=frozenset(), noun="int", noun_ids=frozenset(), noun_type=0, bytes_exclusive=exclusive)
    removal = proof.Removal("desk.papers", entries, lambda: None)
    return proof.prove([removal], expected, settle=lambda: None, heap_bytes=lambda: next(weights))


def test_plain_values_that_weigh_next_to_nothing_refute_no_holder() -> None:
    assert released(exclusive=160, freed=0).status == "untried"


def test_a_few_plain_values_prove_their_holder_if_the_heap_lies_still() -> None:
    assert released(exclusive=160, freed=160).status == "proved"
    assert released(exclusive=160, freed=160, noise=96).status == "untried"


IN_A_CHILD = """
import gc, json, sys
sys.path[:] = {path!r}
from leaktrace.explain.steps import explain
PAPERS = [None] * 150
def leak():
    PAPERS.append({value})
exhibit = explain(leak, settle=gc.collect, budget_s=60.0)
print(json.dumps([exhibit.holder.name, exhibit.proof.status, exhibit.proof.detail]))
"""


@pytest.mark.parametrize("value", ["object()", "1.5 + len(PAPERS)", "10_000 + len(PAPERS)"])
def test_five_plain_values_are_weighed_where_malloc_serves_them(value: str) -> None:
    source = IN_A_CHILD.format(path=sys.path, value=value)
    environ = {**os.environ, "PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}

    done = subprocess.run([sys.executable, "-c", source], env=environ, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)[:2] == ["__main__.PAPERS", "proved"], done.stdout


def test_plain_values_are_told_by_their_weight() -> None:
    assert released(exclusive=80_000, freed=80_000).detail.endswith(
        "released 80,000 bytes: this holder is the only cause"
    )
    told = released(exclusive=80_000, freed=-16)
    assert (told.status, told.detail) == (
        "refuted",
        "taking the 5 new entries out released only 0 of 80,000 bytes: something else holds them too",
    )


def test_a_holder_that_is_shorter_by_now_is_not_relieved_of_less_than_nothing() -> None:
    assert released(exclusive=80_000, freed=80_000, entries=-4).detail.startswith("cutting desk.papers back released")
