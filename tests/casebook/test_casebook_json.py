"""The casebook's file: schema `leaktrace/1`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from casebook.casebook_scenarios import NODEID, book, case
from leaktrace.casebook import wire
from leaktrace.errors import FileError
from leaktrace.words import escaped


def as_data() -> Any:
    return json.loads(json.dumps(wire.to_json(book())))


def test_a_casebook_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "casebook.json"

    wire.write(book(), path)

    assert wire.read(path) == book()
    assert [each.name for each in path.parent.iterdir()] == ["casebook.json"]


def test_a_case_survives_alone() -> None:
    assert wire.case_from_json(json.loads(json.dumps(wire.case_to_json(case())))) == case()


def test_the_stable_keys_stand_where_the_schema_has_them() -> None:
    data = as_data()

    assert list(data)[:13] == [
        "schema",
        "tool",
        "python",
        "platform",
        "mode",
        "started_at",
        "duration_s",
        "overhead_s",
        "totals",
        "processes",
        "tests",
        "fixtures",
        "groups",
    ]
    assert data["schema"] == "leaktrace/1"
    assert data["totals"] == {"tests": 1, "runs": 13, "suspects": 1, "verdicts": {"LEAK": 1}}
    assert set(data["processes"][0]) >= {"worker", "pid", "first", "last", "peak_rss_bytes", "accounts"}
    assert set(data["tests"][0]) >= {
        "nodeid",
        "worker",
        "outcome",
        "duration_s",
        "growth",
        "phases",
        "peak_rss_bytes",
        "imports",
    }
    assert set(data["cases"][0]) >= {
        "nodeid",
        "subject",
        "kind",
        "verdict",
        "reason",
        "per_run",
        "runs",
        "warmups",
        "readings",
        "holder",
        "sites",
        "fixture",
        "proof",
        "fix",
        "fingerprint",
        "status",
        "reproduce",
    }
    assert data["cases"][0]["per_run"]["heap_bytes"] == {"estimate": 20e6, "low": 19.9e6, "high": 20.1e6}
    assert data["tests"][0]["growth"]["blocks"]["unread"].startswith("PYTHONMALLOC")


def test_unknown_keys_are_ignored() -> None:
    data = as_data()
    data["later"] = 1
    data["cases"][0]["later"] = {"a": 1}

    assert wire.from_json(data) == book()


@pytest.mark.parametrize("schema", ["leaktrace/2", "leaktrace/10"])
def test_a_newer_schema_is_refused(schema: str) -> None:
    with pytest.raises(FileError, match=f"schema is {schema}, newer than leaktrace/1: update pytest-leaktrace"):
        wire.from_json({**as_data(), "schema": schema})


@pytest.mark.parametrize(
    "data",
    [None, [], "text", {}, {"schema": 1}, {"schema": "other/1"}, {"schema": "leaktrace/x"}, {"schema": "x"}]
    + [{"schema": f"leaktrace/{each}"} for each in ("²", "٣", "01", "", "9" * 5_000)],
)
def test_what_is_no_casebook_is_said_to_be_none(data: object) -> None:
    with pytest.raises(FileError, match="this is no casebook"):
        wire.from_json(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": 5}, "mode needs str, got 5"),
        ({"cases": {}}, "cases needs an array of objects"),
        ({"cases": [1]}, "cases needs an array of objects"),
        ({"tests": [{"nodeid": 1}]}, r"tests\[0\].nodeid needs str, got 1"),
        ({"duration_s": "2"}, "duration_s needs float, got '2'"),
        ({"duration_s": 10**400}, "duration_s needs a number of at most 64 bits, got"),
        ({"limit_bytes": 2**63}, "limit_bytes needs a number of at most 64 bits, got 9223372036854775808"),
        ({"duration_s": float("nan")}, "duration_s needs a finite number, got nan"),
        ({"python": "x" * 2_000_000}, "python needs a text of at most 1,000,000 characters"),
        ({"totals": {"runs": "many"}}, "runs needs int, got 'many'"),
    ],
)
def test_a_bad_type_is_named_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FileError, match=message):
        wire.from_json({**as_data(), **change})


def test_a_bad_case_is_named_with_its_place() -> None:
    data = as_data()
    data["cases"][0]["verdict"] = "GUILTY"

    with pytest.raises(FileError, match=r"cases\[0\].verdict needs 'LEAK' or"):
        wire.from_json(data)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 5_000, b"NaN"])
def test_a_file_that_is_no_json_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "casebook.json"
    path.write_bytes(content)

    with pytest.raises(FileError, match=r"casebook\.json"):
        wire.read(path)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.json cannot be read"):
        wire.read(tmp_path / "none.json")


@pytest.mark.parametrize(
    "name", ["\ud800", "secret-\udcff.txt", "\x1b]0;owned\x07", "a\x9b31m", "\u202egpj.exe", "\U000e0041"]
)
def test_a_name_that_is_no_text_is_written_and_read_back_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / "casebook.json"

    wire.write(book(warnings=(name,)), path)

    assert wire.read(path).warnings == (name,)
    assert escaped(path.read_text(encoding="utf-8").replace("\n", "")) == path.read_text(encoding="utf-8").replace(
        "\n", ""
    )


def test_a_casebook_is_its_owners_alone(tmp_path: Path) -> None:
    wire.write(book(), tmp_path / "casebook.json")

    assert (tmp_path / "casebook.json").stat().st_mode & 0o777 == 0o600


def test_a_node_id_of_any_script_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "casebook.json"

    wire.write(book(), path)

    assert NODEID in path.read_text(encoding="utf-8")
