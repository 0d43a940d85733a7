"""A ledger as plain values, for its way from an xdist worker to the controller."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from leaktrace.codec import decode, encode
from leaktrace.ledger.model import FixtureAccount, Ledger
from leaktrace.ledger.reader import KNOWN, things_of
from leaktrace.ledger.spans import Settlement
from leaktrace.probes.model import Counter, Unread, Value


COLUMNS = ("lent", "kept", "open", "due")


def to_wire(ledger: Ledger) -> dict[str, Any]:
    """Lists, texts and numbers only."""
    return {
        "counters": [counter.name for counter in ledger.counters],
        "worker": ledger.worker,
        "pid": ledger.pid,
        "nodeids": list(ledger.nodeids),
        "cells": ledger.cells.tolist(),
        "imports": [[row, list(names)] for row, names in ledger.imports.items()],
        "settlements": [[row, encode(each)] for row, each in ledger.settlements.items()],
        "fixtures": [
            {
                **{key: getattr(each, key) for key in ("name", "scope", "where", "setups", "closings", "first_user")},
                **{key: getattr(each, key).tolist() for key in COLUMNS},
                "things": encode(each.things),
                "held": encode(each.held),
            }
            for each in ledger.fixtures
        ],
        "things": [[row, encode(each)] for row, each in ledger.things.items()],
        "gone": [[row, encode(each)] for row, each in ledger.gone.items()],
        "held": [[row, encode(each)] for row, each in ledger.held.items()],
        "warned": [list(each) for each in ledger.warned],
        "unread": ledger.unread,
        "harness": ledger.harness.tolist(),
        "collection": ledger.collection.tolist(),
        "first": encode(ledger.first),
        "last": encode(ledger.last),
        "peak_rss_bytes": encode(ledger.peak_rss_bytes),
        "complete": ledger.complete,
        "running": ledger.running,
        "torn": ledger.torn,
        "lost": ledger.lost,
        "stopped": ledger.stopped,
    }


def from_wire(data: Mapping[str, Any]) -> Ledger:
    """The way back; a ledger of our own version is trusted to fit."""
    counters = tuple(KNOWN.get(name) or Counter(name=name, unit="count", kind=name) for name in data["counters"])
    fixtures = []
    for each in data["fixtures"]:
        account = FixtureAccount(
            width=len(counters), **{k: v for k, v in each.items() if k not in (*COLUMNS, "things", "held")}
        )
        account.things += things_of(each["things"])
        account.held += things_of(each["held"])
        for key in COLUMNS:
            setattr(account, key, array("q", each[key]))
        fixtures.append(account)
    return Ledger(
        counters=counters,
        worker=data["worker"],
        pid=data["pid"],
        nodeids=list(data["nodeids"]),
        cells=array("q", data["cells"]),
        imports={row: tuple(names) for row, names in data["imports"]},
        settlements={row: decode(Settlement, each) for row, each in data["settlements"]},
        things={row: things_of(each) for row, each in data["things"]},
        gone={row: things_of(each) for row, each in data["gone"]},
        held={row: things_of(each) for row, each in data["held"]},
        warned=[(nodeid, text) for nodeid, text in data["warned"]],
        fixtures=fixtures,
        unread=dict(data["unread"]),
        harness=array("q", data["harness"]),
        collection=array("q", data["collection"]),
        first={name: _value(name, value) for name, value in data["first"].items()},
        last={name: _value(name, value) for name, value in data["last"].items()},
        peak_rss_bytes=_value("peak_rss_bytes", data["peak_rss_bytes"]),
        complete=data["complete"],
        running=data["running"],
        torn=data.get("torn", 0),
        lost=data.get("lost", 0),
        stopped=data.get("stopped"),
    )


def _value(name: str, value: Any) -> Value:
    return Unread(counter=name, why=value["unread"]) if isinstance(value, dict) else int(value)
