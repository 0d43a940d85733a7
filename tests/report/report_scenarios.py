"""Suspects, cases and casebooks with something to say in each field."""

from __future__ import annotations

from leaktrace.casebook.model import Case, Casebook, Process
from leaktrace.explain.model import Exhibit, Holder, Hop, Proof
from leaktrace.lines.model import Site
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.model import Rate, Verdict


MB = 1_000_000
NODEID = "tests/test_service.py::test_connection"
LONG = "tests/integration/payments/test_refunds_of_partially_shipped_orders.py::TestRefund::test_it[euro-1]"


def suspect(**changes):
    return Suspect(
        **{
            "subject": "test",
            "name": NODEID,
            "kind": "memory",
            "counter": "rss_bytes",
            "grew_by": 712 * MB,
            "why": "it grew",
            "nodeids": (NODEID,),
            **changes,
        }
    )


def exhibit():
    hops = [("shop", "module", "NO"), ("shop.BUS", "shop.events.Bus", "UNKNOWN"), ("shop.BUS._all", "dict", "UNKNOWN")]
    return Exhibit(
        holder=Holder(
            name="shop.BUS._all",
            kind="module-container",
            path=tuple(
                Hop(edge="", name=name, type=kind, leaking=leaking, reason="because it is so and so " * 3)
                for name, kind, leaking in hops
            ),
            entries_per_run=1.0,
        ),
        sites=(
            Site(
                file="shop/orders.py",
                line=40,
                function="Order.refund",
                bytes_per_run=19e6,
                count_per_run=4.0,
                code="self.lines = [" + "x" * 200 + "\n^^^^",
            ),
        ),
        proof=Proof(status="proved", detail="taking the 24 new entries out released 45,600 bytes"),
        fix="Unsubscribe when the order is closed, or hold the callback weakly. " * 2,
    )


def case(**changes):
    return Case(
        **{
            "nodeid": NODEID,
            "subject": "test",
            "kind": "memory",
            "verdict": Verdict.LEAK,
            "reason": "grew by 19.1 MiB of heap a run, evenly, in each of the last 3 batches, and so on and so on",
            "counter": "heap_bytes",
            "per_run": {"heap_bytes": Rate(estimate=20e6, low=19.9e6, high=20.1e6)},
            "runs": 12,
            "warmups": 3,
            "grew_by": 20 * MB,
            "exhibit": exhibit(),
            "reproduce": f"pytest --leaktrace {NODEID}",
            **changes,
        }
    )


def confirmed(*cases, **changes):
    return book(**{"mode": "confirm", "suspects": (suspect(),), "cases": cases, **changes})


def book(**changes):
    return Casebook(
        **{
            "mode": "watch",
            "limit_bytes": 10 * MB,
            "python": "3.11",
            "platform": "Linux",
            "tool": {},
            "started_at": "",
            "duration_s": 1.0,
            "overhead_s": 0.0,
            "processes": (
                Process(
                    worker="main",
                    pid=1,
                    first={"rss_bytes": 40 * MB},
                    last={"rss_bytes": 752 * MB},
                    peak_rss_bytes=0,
                    accounts={
                        name: {"rss_bytes": 1234 * MB}
                        for name in ("tests", "fixtures", "imports", "harness", "collection")
                    },
                    slope_bytes_per_test=19_123.0,
                ),
            ),
            **changes,
        }
    )
