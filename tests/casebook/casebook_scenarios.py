"""A casebook in which every field has something to say."""

from __future__ import annotations

from typing import Any

from builders import make_case, make_casebook, make_suspect
from leaktrace.casebook.model import Case, Casebook, Fixture, Group, Process
from leaktrace.explain.model import Exhibit, Holder, Hop, Proof
from leaktrace.lines.model import Frame, Site
from leaktrace.probes.model import Unread, Value
from leaktrace.recording.spans import Settlement, TestSpan
from leaktrace.suspects.model import Note


NODEID = "tests/test_orders.py::test_refund[é-😀]"
UNREAD = Unread(counter="blocks", why="PYTHONMALLOC=malloc: Python's allocator counts no blocks")


def growth(rss: int) -> dict[str, Value]:
    return {"rss_bytes": rss, "heap_bytes": rss - 100, "blocks": UNREAD}


def span() -> TestSpan:
    return TestSpan(
        nodeid=NODEID,
        worker="gw1",
        outcome="passed",
        duration_s=0.25,
        start=growth(50_000_000),
        phases={"setup": growth(0), "call": growth(20_000_000), "teardown": growth(0)},
        growth=growth(20_000_000),
        peak_rss_bytes=90_000_000,
        imports=("pandas",),
        settlement=Settlement(
            raw={"rss_bytes": 30_000_000},
            garbage_bytes=1_000,
            uss_bytes=Unread(counter="uss_bytes", why="no /proc"),
        ),
    )


def exhibit() -> Exhibit:
    path = (
        Hop(edge="", name="shop.events", type="module", leaking="NO", reason="imported module"),
        Hop(edge=".BUS", name="shop.events.BUS", type="shop.events.Bus"),
        Hop(edge="._subscribers", name="shop.events.BUS._subscribers", type="dict", reason="dict, +1 a run"),
        Hop(edge="[7]", name="shop.events.BUS._subscribers[7]", type="function", leaking="YES", reason="new entry"),
    )
    stack = (Frame(file="shop/events.py", line=12, function="subscribe"),)
    return Exhibit(
        holder=Holder(
            name="shop.events.BUS._subscribers",
            kind="module-container",
            path=path,
            entries_per_run=1.0,
            retained_bytes_per_run=1_900.0,
            shared_bytes_per_run=64.0,
        ),
        sites=(
            Site(
                file="shop/orders.py",
                line=40,
                function="refund",
                bytes_per_run=1900.0,
                count_per_run=4.0,
                code="self.lines = [\n              ^",
                stack=stack,
            ),
            Site(
                file="shop/events.py",
                line=12,
                function="subscribe",
                bytes_per_run=64.0,
                count_per_run=1.0,
                code="self._subscribers[key] = callback",
                adds=True,
            ),
        ),
        proof=Proof(status="proved", detail="released all 24 orders: this holder is the only cause"),
        fix="Unsubscribe when the order is closed.",
        types_per_run=(("shop.orders.Order", 1.0),),
        fingerprint="0badcafe",
        native=False,
        notes=("sites stop at 16 frames",),
    )


def case() -> Case:
    return make_case(
        NODEID,
        batch_runs=3,
        readings={"heap_bytes": (1, 2, 3), "blocks": (UNREAD, UNREAD, UNREAD)},
        nodeids=(NODEID,),
        suspect_why="its heap was larger",
        suspect_counter="rss_bytes",
        imports=("pandas",),
        exhibit=exhibit(),
        reproduce=f"pytest --leaktrace '{NODEID}'",
    )


def process() -> Process:
    return Process(
        worker="main",
        pid=7,
        first=growth(40_000_000),
        last=growth(60_000_000),
        peak_rss_bytes=90_000_000,
        accounts={"tests": growth(20_000_000), "harness": growth(0)},
        slope_bytes_per_test=1_500.0,
    )


def book(**changes: Any) -> Casebook:
    return make_casebook(
        **{
            "mode": "confirm",
            "limit_bytes": 10_000_000,
            "python": "3.11.7",
            "platform": "Linux",
            "tool": {"name": "pytest-leaktrace", "version": "0.1.0"},
            "started_at": "2026-01-02T03:04:05Z",
            "duration_s": 2.5,
            "overhead_s": 1.25,
            "processes": (process(),),
            "tests": (span(),),
            "fixtures": (
                Fixture(
                    name="database",
                    scope="session",
                    where="tests/conftest.py:7",
                    setups=1,
                    loan=growth(50_000_000),
                    kept=growth(100),
                ),
            ),
            "groups": (
                Group(
                    kind="module",
                    name="tests/test_orders.py",
                    tests=2,
                    growth=growth(20_000_000),
                    per_test={"rss_bytes": 1e7},
                ),
            ),
            "suspects": (make_suspect(NODEID, growth=growth(20_000_000)),),
            "cases": (case(),),
            "notes": (Note(slug="garbage", nodeid=NODEID, size_bytes=50_000_000, text="a collection freed it"),),
            "left_out": ("tests/test_late.py::test_late",),
            "warnings": ("a probe failed",),
            "runs": 13,
            **changes,
        }
    )
