"""What there is to report: suspects, cases and casebooks with something to say in each field."""

from __future__ import annotations

from typing import Any

from builders import MB, make_case, make_casebook, make_holder, make_site, make_suspect
from leaktrace.casebook.model import Case, Casebook, Process
from leaktrace.explain.model import Exhibit, Holder, Hop, Proof
from leaktrace.suspects.model import Suspect


NODEID = "tests/test_service.py::test_connection"
BECAUSE = "because it is so and so " * 3
ACCOUNTS = ("tests", "fixtures", "imports", "harness", "collection")


def suspect(**changes: Any) -> Suspect:
    return make_suspect(**{"name": NODEID, "grew_by": 712 * MB, "nodeids": (NODEID,), **changes})


def holder(**changes: Any) -> Holder:
    path = (
        Hop(edge="", name="shop", type="module", leaking="NO", reason=BECAUSE),
        Hop(edge="", name="shop.BUS", type="shop.events.Bus", reason=BECAUSE),
        Hop(edge="", name="shop.BUS._all", type="dict", reason=BECAUSE),
    )
    return make_holder(**{"name": "shop.BUS._all", "path": path, **changes})


def exhibit(**changes: Any) -> Exhibit:
    code = "self.lines = [" + "x" * 200 + "\n^^^^"
    made = {"line": 40, "function": "Order.refund", "bytes_per_run": 19e6, "count_per_run": 4.0, "code": code}
    return Exhibit(
        **{
            "holder": holder(),
            "sites": (make_site("shop/orders.py", **made),),
            "proof": Proof(status="proved", detail="taking the 24 new entries out released 45,600 bytes"),
            "fix": "Unsubscribe when the order is closed, or hold the callback weakly. " * 2,
            **changes,
        }
    )


def case(**changes: Any) -> Case:
    long = "grew by 19.1 MiB of heap a run, evenly, in each of the last 3 batches, and so on and so on"
    return make_case(**{"nodeid": NODEID, "reason": long, "exhibit": exhibit(), **changes})


def confirmed(*cases: Case, **changes: Any) -> Casebook:
    return book(**{"mode": "confirm", "suspects": (suspect(),), "cases": cases, **changes})


def book(**changes: Any) -> Casebook:
    process = Process(
        worker="main",
        pid=1,
        first={"rss_bytes": 40 * MB},
        last={"rss_bytes": 752 * MB},
        peak_rss_bytes=0,
        accounts={name: {"rss_bytes": 1234 * MB} for name in ACCOUNTS},
        slope_bytes_per_test=19_123.0,
    )
    return make_casebook(**{"processes": (process,), **changes})
