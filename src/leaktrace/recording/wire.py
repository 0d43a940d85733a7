"""A recording as plain values, for its way from an xdist worker to the controller."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from leaktrace.probes.model import Counter, Unread, Value
from leaktrace.recording.model import FixtureAccount, Recording
from leaktrace.recording.reader import KNOWN, things_of
from leaktrace.recording.spans import Settlement
from leaktrace.serialize import decode, encode


COLUMNS = ("lent", "kept", "open", "due")


def to_wire(recording: Recording) -> dict[str, Any]:
    """Lists, texts and numbers only."""
    return {
        "counters": [counter.name for counter in recording.counters],
        "worker": recording.worker,
        "pid": recording.pid,
        "nodeids": list(recording.nodeids),
        "cells": recording.cells.tolist(),
        "imports": [[row, list(names)] for row, names in recording.imports.items()],
        "settlements": [[row, encode(each)] for row, each in recording.settlements.items()],
        "fixtures": [
            {
                **{key: getattr(each, key) for key in ("name", "scope", "where", "setups", "closings", "first_user")},
                **{key: getattr(each, key).tolist() for key in COLUMNS},
                "things": encode(each.things),
                "held": encode(each.held),
            }
            for each in recording.fixtures
        ],
        "things": [[row, encode(each)] for row, each in recording.things.items()],
        "gone": [[row, encode(each)] for row, each in recording.gone.items()],
        "held": [[row, encode(each)] for row, each in recording.held.items()],
        "warned": [list(each) for each in recording.warned],
        "unread": recording.unread,
        "harness": recording.harness.tolist(),
        "collection": recording.collection.tolist(),
        "first": encode(recording.first),
        "last": encode(recording.last),
        "peak_rss_bytes": encode(recording.peak_rss_bytes),
        "complete": recording.complete,
        "running": recording.running,
        "torn": recording.torn,
        "lost": recording.lost,
        "stopped": recording.stopped,
    }


def from_wire(data: Mapping[str, Any]) -> Recording:
    """The way back; a recording of our own version is trusted to fit."""
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
    return Recording(
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
