"""An exhibit as plain JSON values and back; what comes from elsewhere is checked, never trusted."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from leaktrace.errors import FileError
from leaktrace.trace.model import Exhibit, Frame, Holder, Hop, Leaking, Proof, ProofStatus, Site


_MOST_ITEMS = 1_000
_LONGEST_TEXT = 10_000


def to_json(exhibit: Exhibit) -> dict[str, Any]:
    """The exhibit as dicts, lists, strings, numbers, booleans and None."""
    return _plain(dataclasses.asdict(exhibit))  # type: ignore[no-any-return]


def from_json(data: Mapping[str, Any]) -> Exhibit:
    """The exhibit that `to_json` gave; keys that are not known are ignored, missing ones take their default.

    Raises:
        FileError: when a value is not what belongs there.
    """
    holder = data.get("holder")
    return Exhibit(
        holder=_holder(_mapping(holder, "holder")) if holder is not None else None,
        sites=tuple(_site(_mapping(site, "sites")) for site in _sequence(data, "sites")),
        proof=_proof(_mapping(data.get("proof", {"status": "untried", "detail": ""}), "proof")),
        fix=_text(data, "fix", ""),
        types_per_run=tuple(_rate(pair) for pair in _sequence(data, "types_per_run")),
        fingerprint=_text(data, "fingerprint", ""),
        native=_flag(data, "native"),
        notes=tuple(_string(note, "notes") for note in _sequence(data, "notes")),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _holder(data: Mapping[str, Any]) -> Holder:
    return Holder(
        name=_text(data, "name"),
        kind=_text(data, "kind"),
        path=tuple(_hop(_mapping(hop, "path")) for hop in _sequence(data, "path")),
        entries_per_run=_number(data, "entries_per_run"),
        retained_bytes_per_run=_maybe(data, "retained_bytes_per_run"),
        shared_bytes_per_run=_maybe(data, "shared_bytes_per_run"),
        bound=_count(data, "bound"),
        filled=_count(data, "filled"),
    )


def _hop(data: Mapping[str, Any]) -> Hop:
    leaking = _text(data, "leaking", "UNKNOWN")
    if leaking not in typing.get_args(Leaking):
        raise _refused("leaking", "NO, YES or UNKNOWN", leaking)
    return Hop(
        edge=_text(data, "edge"),
        name=_text(data, "name"),
        type=_text(data, "type"),
        leaking=leaking,  # type: ignore[arg-type]
        reason=_text(data, "reason", ""),
    )


def _site(data: Mapping[str, Any]) -> Site:
    return Site(
        file=_text(data, "file"),
        line=int(_number(data, "line")),
        function=_text(data, "function"),
        bytes_per_run=_number(data, "bytes_per_run"),
        count_per_run=_number(data, "count_per_run"),
        code=_text(data, "code", ""),
        stack=tuple(_frame(_mapping(frame, "stack")) for frame in _sequence(data, "stack")),
        adds=_flag(data, "adds"),
    )


def _frame(data: Mapping[str, Any]) -> Frame:
    return Frame(file=_text(data, "file"), line=int(_number(data, "line")), function=_text(data, "function"))


def _proof(data: Mapping[str, Any]) -> Proof:
    status = _text(data, "status")
    if status not in typing.get_args(ProofStatus):
        raise _refused("status", "proved, refuted or untried", status)
    return Proof(status=status, detail=_text(data, "detail", ""))  # type: ignore[arg-type]


def _rate(pair: Any) -> tuple[str, float]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:  # noqa: PLR2004 - name and rate
        raise _refused("types_per_run", "pairs of a type name and a rate", pair)
    return _string(pair[0], "types_per_run"), _number({"rate": pair[1]}, "rate")


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _refused(key, "an object", value)
    return value


def _sequence(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key, [])
    if not isinstance(value, list | tuple) or len(value) > _MOST_ITEMS:
        raise _refused(key, f"a list of at most {_MOST_ITEMS} items", value)
    return list(value)


def _text(data: Mapping[str, Any], key: str, default: str | None = None) -> str:
    return _string(data.get(key, default), key)


def _string(value: Any, key: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise _refused(key, "a text", value)
    return value


def _number(data: Mapping[str, Any], key: str) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):  # noqa: PLR0124 - NaN
        raise _refused(key, "a finite number", value)
    return float(value)


def _maybe(data: Mapping[str, Any], key: str) -> float | None:
    return None if data.get(key) is None else _number(data, key)


def _count(data: Mapping[str, Any], key: str) -> int | None:
    return None if data.get(key) is None else int(_number(data, key))


def _flag(data: Mapping[str, Any], key: str) -> bool:
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise _refused(key, "true or false", value)
    return value


def _refused(key: str, wanted: str, got: Any) -> FileError:
    return FileError(
        f"an exhibit's {key!r} must be {wanted}, got {type(got).__name__} {str(got)[:80]!r}", slug="exhibit"
    )
