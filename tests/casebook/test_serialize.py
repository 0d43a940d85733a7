"""Values of any noun to JSON and back, and what is said of data that does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import pytest

from leaktrace.errors import FileError
from leaktrace.probes.model import Unread, Value
from leaktrace.serialize import decode, encode


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    name: str
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...] = ()
    pair: tuple[int, str] = (0, "")
    values: Mapping[str, Value] = field(default_factory=dict)
    maybe: float | None = None
    colour: Colour = Colour.RED
    word: Literal["yes", "no"] = "yes"


OUTER = Outer(
    inner=Inner(name="a", size=3),
    many=(Inner(name="b"), Inner(name="é")),
    pair=(1, "x"),
    values={"rss_bytes": 12, "blocks": Unread(counter="blocks", why="no such call")},
    maybe=1.5,
    colour=Colour.BLUE,
    word="no",
)


def plain(value: object) -> Any:
    return json.loads(json.dumps(encode(value)))


def test_a_noun_survives_the_way_through_json() -> None:
    assert decode(Outer, plain(OUTER)) == OUTER


def test_an_unread_value_is_written_with_its_reason_and_read_back_with_its_counter() -> None:
    assert plain(OUTER)["values"]["blocks"] == {"unread": "no such call"}


def test_what_has_a_default_may_be_missing() -> None:
    assert decode(Outer, {"inner": {"name": "a"}}) == Outer(inner=Inner(name="a"))


def test_unknown_keys_are_ignored() -> None:
    assert decode(Inner, {"name": "a", "colour": "red"}) == Inner(name="a")


def test_a_whole_number_is_good_where_a_fraction_is_wanted() -> None:
    assert decode(Outer, {"inner": {"name": "a"}, "maybe": 2}).maybe == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inner": None}, "inner needs an object, got None"),
        ({"inner": {}}, "inner.name is missing"),
        ({"inner": {"name": 5}}, "inner.name needs str, got 5"),
        ({"inner": {"name": "a", "size": True}}, "inner.size needs int, got True"),
        ({"many": {"name": "b"}}, "many needs an array, got {'name': 'b'}"),
        ({"many": "text"}, "many needs an array, got 'text'"),
        ({"many": [{"name": "b"}, {"name": []}]}, "many[1].name needs str, got []"),
        ({"pair": [1]}, "pair needs an array of 2, got [1]"),
        ({"values": []}, "values needs an object, got []"),
        ({"values": {"rss_bytes": "12"}}, "values.rss_bytes needs int, got '12'"),
        ({"maybe": "1.5"}, "maybe needs float, got '1.5'"),
        ({"colour": "green"}, "colour needs 'red' or 'blue', got 'green'"),
        ({"colour": []}, "colour needs 'red' or 'blue', got []"),
        ({"word": "maybe"}, "word needs 'yes' or 'no', got 'maybe'"),
        ({"word": []}, "word needs 'yes' or 'no', got []"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FileError) as caught:
        decode(Outer, {**plain(OUTER), **change})

    assert str(caught.value) == message


def test_a_long_misfit_is_cut() -> None:
    with pytest.raises(FileError) as caught:
        decode(Inner, {"name": ["x" * 1000]})

    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("data", [None, 5, "text", [], [1]])
def test_what_is_no_object_is_no_noun(data: object) -> None:
    with pytest.raises(FileError, match="Inner needs an object"):
        decode(Inner, data)
