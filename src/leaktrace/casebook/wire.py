"""The casebook's JSON, schema `leaktrace/1`: keys are stable, unknown ones are ignored, a newer schema is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from leaktrace.casebook.model import Case, Casebook
from leaktrace.errors import FileError
from leaktrace.explain.model import Exhibit
from leaktrace.files import read_bounded
from leaktrace.output import write_out
from leaktrace.serialize import decode, encode, loads
from leaktrace.words import json_safe


SCHEMA = "leaktrace/1"
VERSION = re.compile("[1-9][0-9]{0,8}")
MAX_BYTES = 1 << 30
EXHIBIT_KEYS = tuple(field.name for field in fields(Exhibit))
SUSPECT_KEYS = {
    "nodeid": "name",
    "subject": "subject",
    "kind": "kind",
    "tests": "tests",
    "nodeids": "nodeids",
    "suspect_why": "why",
    "suspect_counter": "counter",
    "grew_by": "grew_by",
    "imports": "imports",
    "worker": "worker",
    "scope": "scope",
    "where": "where",
}
"""What a case's JSON calls the attributes of its suspect."""
LEAST = {"why": "", "counter": "", "grew_by": 0, "nodeids": ()}
"""What a case of an older casebook may leave out."""


def to_json(book: Casebook) -> dict[str, Any]:
    """The casebook as plain values, in the schema's order of keys."""
    data: dict[str, Any] = encode(book)
    ordered = {
        "schema": SCHEMA,
        **{key: data.pop(key) for key in ("tool", "python", "platform", "mode", "started_at")},
        **{key: data.pop(key) for key in ("duration_s", "overhead_s")},
        "totals": {
            "tests": len(book.tests),
            "runs": data.pop("runs"),
            "suspects": len(book.suspects),
            "verdicts": book.verdicts(),
        },
        **{key: data.pop(key) for key in ("processes", "tests", "fixtures", "groups")},
        "cases": [flat_case(case) for case in data.pop("cases")],
    }
    return ordered | data


def from_json(data: object) -> Casebook:
    """A casebook from plain values.

    Raises:
        FileError: the data is no casebook, of a newer schema, or does not fit.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("schema"), str):
        raise FileError("this is no casebook: it has no key 'schema' such as 'leaktrace/1'", slug="schema")
    name, _, version = data["schema"].partition("/")
    if name != "leaktrace" or not VERSION.fullmatch(version):
        shown = data["schema"][:60]
        raise FileError(f"this is no casebook: its schema is {shown!r}, not 'leaktrace/1'", slug="schema")
    if version != "1":
        raise FileError(
            f"the casebook's schema is {data['schema']}, newer than {SCHEMA}: update pytest-leaktrace", slug="schema"
        )
    cases = data.get("cases", [])
    if not isinstance(cases, list) or not all(isinstance(case, Mapping) for case in cases):
        raise FileError("cases needs an array of objects", slug="schema")
    totals = data.get("totals")
    runs = totals.get("runs", 0) if isinstance(totals, Mapping) else 0
    return decode(Casebook, {**data, "cases": [nested_case(case) for case in cases], "runs": runs})


def flat_case(case: dict[str, Any]) -> dict[str, Any]:
    """A case with its suspect's and its exhibit's keys beside its own, as the schema has it."""
    suspect, exhibit = case.pop("suspect"), case.pop("exhibit")
    for several in (case, exhibit):
        several.pop("beside")
    return {**{key: suspect[name] for key, name in SUSPECT_KEYS.items()}, **case, **exhibit}


def nested_case(case: Mapping[str, Any]) -> dict[str, Any]:
    """The way back from `flat_case`."""
    exhibit = {key: case[key] for key in EXHIBIT_KEYS if key in case}
    suspect = {name: case[key] for key, name in SUSPECT_KEYS.items() if key in case}
    own = {key: value for key, value in case.items() if key not in exhibit and key not in SUSPECT_KEYS}
    return {**own, "suspect": {**LEAST, **suspect}, "exhibit": exhibit}


def write(book: Casebook, path: Path) -> None:
    """Put the casebook where the user wants it: into a file whole or not at all, and through what is no file.

    Raises:
        OSError: it cannot be written there.
    """
    text = json_safe(json.dumps(to_json(book), indent=1, ensure_ascii=False))
    write_out(path, f"{text}\n".encode())


def read(path: Path) -> Casebook:
    """The casebook in a file.

    Raises:
        FileError: it cannot be read, is too large, or holds no casebook.
    """
    try:
        data = loads(read_bounded(path, MAX_BYTES))
    except (OSError, ValueError) as exc:
        raise FileError(f"the casebook {path} cannot be read: {exc}", slug="schema") from exc
    try:
        return from_json(data)
    except FileError as exc:
        raise FileError(f"{path}: {exc}", slug=exc.slug) from exc


def case_to_json(case: Case) -> dict[str, Any]:
    """One case as plain values."""
    return flat_case(encode(case))


def case_from_json(data: Mapping[str, Any]) -> Case:
    """One case from plain values."""
    return decode(Case, nested_case(data))
