from __future__ import annotations

import json

import pytest

from leaktrace.errors import FileError
from leaktrace.trace.model import Exhibit, Frame, Holder, Hop, Proof, Site
from leaktrace.trace.wire import from_json, to_json


HOLDER = Holder(
    name="shop.BUS._subscribers",
    kind="instance-container",
    path=(
        Hop(edge="shop", name="shop", type="module", leaking="NO", reason="imported module"),
        Hop(edge=".BUS", name="shop.BUS", type="shop.Bus"),
    ),
    entries_per_run=2.0,
    retained_bytes_per_run=345.6,
    shared_bytes_per_run=64.0,
    bound=128,
    filled=31,
)
SITE = Site(
    file="shop.py",
    line=31,
    function="Bus.subscribe",
    bytes_per_run=8.0,
    count_per_run=1.0,
    code="x.append(y)\n^^^^^^^^^^^",
    stack=(Frame(file="shop.py", line=31, function="Bus.subscribe"),),
    adds=True,
)
EXHIBIT = Exhibit(
    holder=HOLDER,
    sites=(SITE,),
    proof=Proof(status="proved", detail="released all"),
    fix="Unsubscribe.",
    types_per_run=(("shop.Order", 2.0),),
    fingerprint="7c1e90ab",
    native=False,
    notes=("a note",),
)


@pytest.mark.parametrize("exhibit", [EXHIBIT, Exhibit()], ids=["full", "empty"])
def test_an_exhibit_survives_the_wire(exhibit):
    assert from_json(json.loads(json.dumps(to_json(exhibit)))) == exhibit


def test_unknown_keys_are_ignored():
    data = to_json(EXHIBIT)
    data["later"] = data["holder"]["later"] = 1

    assert from_json(data) == EXHIBIT


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("holder", "no object"),
        ("sites", "no list"),
        ("sites", [{"file": 1}]),
        ("proof", {"status": "maybe", "detail": ""}),
        ("fix", None),
        ("native", "yes"),
        ("notes", [1]),
        ("notes", ["x"] * 5000),
        ("types_per_run", [["shop.Order"]]),
        ("types_per_run", [["shop.Order", float("nan")]]),
        ("fingerprint", "x" * 100_000),
    ],
)
def test_a_value_that_does_not_belong_there_is_refused_by_name(key, value):
    data = to_json(EXHIBIT) | {key: value}

    with pytest.raises(FileError, match="exhibit"):
        from_json(data)


def test_a_label_that_is_none_is_refused():
    data = to_json(EXHIBIT)
    data["holder"]["path"][0]["leaking"] = "PERHAPS"

    with pytest.raises(FileError, match="NO, YES or UNKNOWN"):
        from_json(data)
