"""Values by hand: a test names what matters to it, and all else has a default that means nothing.

    make_recording(test_a=20 * MB, test_b=Row(1 * MB, outcome="failed"))
    make_case("t.py::test_b", verdict=Verdict.CACHE)
    make_record((BLOCKS, [1000, 1002, 1004]), warmups=0)

What is made stands for one test, `t.py::test_a`, which leaks 20 MB a run. Keywords are the fields of the noun.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leaktrace.casebook.model import Case, Casebook
from leaktrace.explain.model import Holder
from leaktrace.lines.model import Site
from leaktrace.probes.model import HEAP_BYTES, RSS_BYTES, Counter, Value
from leaktrace.recording.model import OUTCOMES, FixtureAccount, Recording
from leaktrace.recording.spans import Settlement
from leaktrace.replay.protocol import Response
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.model import Rate, Record, Series, Verdict


MB = 1_000_000
NODEID = "t.py::test_a"


@dataclass(frozen=True, slots=True)
class Row:
    """One test of a recording.

    Attributes:
        rss: by how much its call grew, in resident bytes.
        heap: the same in bytes of the heap.
        outcome: a word of pytest's.
        duration_s: how long it took.
        start: resident bytes before it.
        peak: its highest resident bytes, or 0 where they were not read.
        garbage: what a collection took back after it, or None where it was not settled.
        imports: packages that it imported.
    """

    rss: int = 0
    heap: int = 0
    outcome: str = "passed"
    duration_s: float = 0.001
    start: int = 0
    peak: int = 0
    garbage: int | None = None
    imports: tuple[str, ...] = ()


def make_recording(
    rows: Iterable[tuple[str, int | Row]] = (), *, worker: str = "main", **tests: int | Row
) -> Recording:
    """What a process has recorded: tests by node id, then tests of `t.py` by name; a number is resident growth.

    `make_recording([("a.py::test_b[1]", 2 * MB)], test_a=Row(heap=20 * MB))`
    """
    made = Recording(counters=(RSS_BYTES, HEAP_BYTES), worker=worker, harness=array("q", [0, 0]))
    for nodeid, given in (*rows, *((f"t.py::{name}", test) for name, test in tests.items())):
        row = given if isinstance(given, Row) else Row(given)
        if row.imports:
            made.imports[len(made)] = row.imports
        if row.garbage is not None:
            raw = {"rss_bytes": row.rss + row.garbage}
            made.settlements[len(made)] = Settlement(raw=raw, garbage_bytes=row.garbage, uss_bytes=1)
        head = (OUTCOMES.index(row.outcome), int(row.duration_s * 1e6), row.peak)
        start, setup, call, teardown = (row.start, 0), (0, 0), (row.rss, row.heap), (0, 0)
        made.nodeids.append(nodeid)
        made.cells.extend([*head, *start, *setup, *call, *teardown])
    return made


def make_account(name: str = "database", *, lent: int = 50 * MB, kept: int = 0, **changes: Any) -> FixtureAccount:
    """The account of a session's fixture that has ended: `recording.fixtures.append(make_account(kept=30 * MB))`."""
    given = {"scope": "session", "where": "conftest.py:3", "setups": 1, "closings": 1, "first_user": NODEID, **changes}
    account = FixtureAccount(name=name, width=2, **given)
    account.lent, account.kept = array("q", [lent, 0]), array("q", [kept, 0])
    return account


def make_suspect(name: str = NODEID, **changes: Any) -> Suspect:
    """A test that grew: `make_suspect("t.py::test_b", grew_by=9 * MB, imports=("pandas",))`."""
    suspect = Suspect(
        subject="test",
        name=name,
        kind="memory",
        counter="rss_bytes",
        grew_by=20 * MB,
        why="it grew",
        nodeids=(name,),
    )
    return replace(suspect, **changes)


def make_response(*heap: int, **changes: Any) -> Response:
    """What a child answered, by a reading of its heap after each run: `make_response(1000, 1096, 1192, ended=True)`."""
    counters = ("heap_bytes",) if heap else ()
    response = Response(ident=0, counters=counters, readings=[[each] for each in heap])
    return replace(response, **changes)


def make_record(
    *read: tuple[Counter, Sequence[Value]], warmups: int = 3, batch_runs: int = 3, spent: str | None = None
) -> Record:
    """What the judge is given: `make_record((BLOCKS, [1000, 1002, 1004, 1006, 1012]), spent="time")`."""
    series = {counter.name: Series(counter=counter, values=tuple(values)) for counter, values in read}
    return Record(series=series, warmups=warmups, batch_runs=batch_runs, spent=spent)


OF_A_SUSPECT = {
    "nodeid": "name",
    "suspect_counter": "counter",
    "suspect_why": "why",
    **{
        name: name for name in ("subject", "kind", "tests", "nodeids", "grew_by", "imports", "worker", "scope", "where")
    },
}
"""What a case's suspect is given by `make_case`, as the casebook's JSON calls it."""


def make_case(nodeid: str = NODEID, **changes: Any) -> Case:
    """A leak of 20 MB a run: `make_case("t.py::test_b", verdict=Verdict.STEADY, reason="no growth", grew_by=9)`."""
    own = {name: changes.pop(name) for name in [*changes] if name in OF_A_SUSPECT}
    given = {"why": "", "nodeids": (), "counter": "", **{OF_A_SUSPECT[name]: value for name, value in own.items()}}
    case = Case(
        suspect=make_suspect(nodeid, **given),
        verdict=Verdict.LEAK,
        reason="grew by 19.1 MiB of heap a run, evenly, in each of the last 3 batches",
        counter="heap_bytes",
        per_run={"heap_bytes": Rate(estimate=20e6, low=19.9e6, high=20.1e6)},
        runs=12,
        warmups=3,
        reproduce=f"pytest --leaktrace {nodeid}",
    )
    return replace(case, **changes)


def of_suspect(case: Case, **changes: Any) -> Case:
    """The case of another suspect: `of_suspect(case, name="t.py::test_b", grew_by=9)`."""
    return replace(case, suspect=replace(case.suspect, **changes))


def make_casebook(**changes: Any) -> Casebook:
    """The casebook of a run with nothing to say: `make_casebook(mode="confirm", cases=(make_case(),))`."""
    book = Casebook(
        mode="watch",
        limit_bytes=10 * MB,
        python="3.11",
        platform="Linux",
        tool={},
        started_at="",
        duration_s=1.0,
        overhead_s=0.0,
    )
    return replace(book, **changes)


def make_holder(name: str = "shop.KEPT", **changes: Any) -> Holder:
    """A list of a module that gains one entry a run: `make_holder("shop.prices", kind="lru-cache", bound=128)`."""
    return replace(Holder(name=name, kind="module-container", path=(), entries_per_run=1.0), **changes)


def make_site(file: str = "shop.py", **changes: Any) -> Site:
    """A line that allocates one thing a run: `make_site("shop.py", line=40, bytes_per_run=1900.0)`."""
    return replace(Site(file=file, line=1, function="f", bytes_per_run=1.0, count_per_run=1.0), **changes)
