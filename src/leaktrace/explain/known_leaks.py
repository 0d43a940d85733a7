"""Leaks of third parties and of the interpreter that are known already: whose they are, and what to do.

The table is TOML, read within the same bounds as every other file of ours. JSON is read, too: it was the form of 0.1.0.
"""

from __future__ import annotations

import platform
import re
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from leaktrace.errors import FileError
from leaktrace.explain.model import Exhibit
from leaktrace.serialize import loads, loads_toml


_NUMBER = re.compile("[0-9]{1,18}")
_PACKAGE = re.compile("[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_LONGEST = {"id": 100, "from": 50, "fixed": 50, "holder": 1_000, "through": 1_000, "leaked": 1_000, "site": 1_000}
_LONGEST_TEXT = 2_000
_WANTED = ("id", "package", "from", "blame", "remedy")
_PATTERNS = ("holder", "through", "leaked", "site")
_MOST_ROWS = 10_000
_KEYS = frozenset({"id", "package", "from", "fixed", "holder", "through", "leaked", "site", "blame", "remedy"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLeak:
    """One row of the table.

    Attributes:
        id: its stable name.
        package: the distribution at fault, or `python`.
        since: first version that has it.
        fixed: first version that has it no more, or None.
        holder: pattern of the holder's name, or None for any.
        through: pattern of a type on the holder's path, or None for any.
        leaked: pattern of a name or type on the leaking part of the path, or None for any.
        site: pattern of an allocating line, or None for any.
        blame: one sentence: who does what.
        remedy: what the user can do.
    """

    id: str
    package: str
    since: str
    fixed: str | None
    holder: str | None
    through: str | None
    leaked: str | None
    site: str | None
    blame: str
    remedy: str


def table(text: str | None = None, *, is_json: bool = False) -> tuple[KnownLeak, ...]:
    """The rows of a table in TOML or JSON; without one, those that come with us.

    Raises:
        FileError: when a row is not what it must be.
    """
    if text is None:
        text = Path(__file__).with_name("known_leaks.toml").read_text("utf-8")
    rows = _rows_of_json(text) if is_json else _rows_of_toml(text)
    if len(rows) > _MOST_ROWS:
        raise FileError(f"a table of known leaks holds at most {_MOST_ROWS} rows, got {len(rows)}", slug="known-leaks")
    return tuple(_row(row) for row in rows)


def _rows_of_json(text: str) -> list[Any]:
    try:
        rows = loads(text)
    except ValueError as error:
        raise FileError(f"a table of known leaks named *.json must be JSON: {error}", slug="known-leaks") from error
    if not isinstance(rows, list):
        raise FileError(f"a table of known leaks must be a list, got {type(rows).__name__}", slug="known-leaks")
    return rows


def _rows_of_toml(text: str) -> list[Any]:
    try:
        found = loads_toml(text)
    except ValueError as error:
        raise FileError(
            f"a table of known leaks must be TOML, or JSON in a file named *.json: {error}", slug="known-leaks"
        ) from error
    rows = found.pop("known", [])
    if found or not isinstance(rows, list):
        key = next(iter(found), "known")
        raise FileError(f"a table of known leaks is made of [[known]] alone, got {key[:60]!r}", slug="known-leaks")
    return rows


def installed(rows: Iterable[KnownLeak]) -> dict[str, str]:
    """The versions that are installed of all packages that the rows name, and that of `python`."""
    found = {"python": platform.python_version()}
    for package in {row.package for row in rows} - {"python"}:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def match(exhibit: Exhibit, versions: Mapping[str, str], rows: Iterable[KnownLeak] | None = None) -> KnownLeak | None:
    """The row that describes an exhibit, when the version at fault is the one that is installed.

    Args:
        exhibit: what was found.
        versions: installed versions by distribution name in lower case, and `python`.
        rows: the table; that which comes with us, where it is None.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what `re` says of a pattern, under `-W error`
        for row in table() if rows is None else rows:
            version = versions.get(row.package)
            if version is not None and _within(version, row) and _describes(row, exhibit):
                return row
    return None


def _describes(row: KnownLeak, exhibit: Exhibit) -> bool:
    holder = exhibit.holder
    if row.site is not None and not any(re.search(row.site, site.code) for site in exhibit.sites):
        return False
    if row.holder is None:
        return holder is None and row.site is not None
    if holder is None or not re.search(row.holder, holder.name):
        return False
    if row.through is not None and not any(re.search(row.through, hop.type) for hop in holder.path):
        return False
    leaking = [text for hop in holder.path if hop.leaking == "YES" for text in (hop.name, hop.type)]
    return row.leaked is None or any(re.search(row.leaked, text) for text in leaking)


def _within(version: str, row: KnownLeak) -> bool:
    return _key(row.since) <= _key(version) and (row.fixed is None or _key(version) < _key(row.fixed))


def _key(version: str) -> tuple[int, ...]:
    """The release part of a version as numbers; what follows it (rc1, .post0) is not told apart."""
    numbers: list[int] = []
    for part in version.split("."):
        found = _NUMBER.match(part)
        if found is None:
            break
        numbers.append(int(found.group()))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _row(row: Any) -> KnownLeak:
    if not isinstance(row, dict) or not row.keys() <= _KEYS:
        raise FileError(
            f"a known leak must be an object with keys among {', '.join(sorted(_KEYS))}", slug="known-leaks"
        )
    for key in sorted(_KEYS):
        _check_text(row, key)
    if not _PACKAGE.fullmatch(row["package"]):
        raise _refused("'package' of a known leak must be the name of a distribution", row["package"])
    if row.get("holder") is None and row.get("site") is None:
        raise FileError(f"known leak {row['id']} needs a pattern of its 'holder' or of its 'site'", slug="known-leaks")
    for key in _PATTERNS:
        _check_pattern(row, key)
    return KnownLeak(
        id=row["id"],
        package=row["package"].lower(),
        since=row["from"],
        fixed=row.get("fixed"),
        holder=row.get("holder"),
        through=row.get("through"),
        leaked=row.get("leaked"),
        site=row.get("site"),
        blame=row["blame"],
        remedy=row["remedy"],
    )


def _check_text(row: Mapping[str, Any], key: str) -> None:
    """Raises FileError where a value is no text, is missing, or is longer than one of its kind."""
    text, longest = row.get(key), _LONGEST.get(key, _LONGEST_TEXT)
    if key in _WANTED and not isinstance(text, str):
        raise _refused(f"a known leak needs a text {key!r}", text)
    if not isinstance(text, str | None):
        raise _refused(f"{key!r} of a known leak must be a text", text)
    if text is not None and len(text) > longest:
        raise _refused(f"{key!r} of a known leak must have at most {longest} characters", text)


def _check_pattern(row: Mapping[str, Any], key: str) -> None:
    """Raises FileError where a pattern is none; what `re` only warns of is no reason to refuse it."""
    if row.get(key) is None:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(row[key])
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        why = str(error) or type(error).__name__
        raise FileError(f"the pattern {key!r} of known leak {row['id']} is none: {why}", slug="known-leaks") from error


def _refused(wanted: str, got: object) -> FileError:
    shown = repr(got[:60]) if isinstance(got, str) else f"{type(got).__name__}"
    return FileError(f"{wanted}, got {shown}", slug="known-leaks")
