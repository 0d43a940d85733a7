"""Sizes and durations as people write them, exact both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping


SIZE_UNITS = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
"""Bytes in each unit: kB, MB, GB, TB are decimal, KiB, MiB, GiB, TiB binary; the case of the letters is free."""

DURATION_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
"""Milliseconds in each unit."""

_QUANTITY = re.compile(r"(?P<whole>[0-9]+)(?:\.(?P<part>[0-9]+))?\s*(?P<unit>[A-Za-z]*)", re.ASCII)


def parse_size(text: str) -> int:
    """Bytes of `10MB`, `64 KiB`, `1.5GiB` or `1048576`; a fraction of a byte is dropped.

    Raises:
        ValueError: with what is wrong and what to write instead.
    """
    return _quantity(text, units=SIZE_UNITS, bare="B")


def format_size(size_bytes: int) -> str:
    """The shortest text of which `parse_size` makes exactly these bytes: `10MB`, `64KiB`, `1234567B`."""
    return _shortest(size_bytes, units=SIZE_UNITS)


def parse_duration(text: str) -> float:
    """Seconds of `60s`, `2m`, `1h`, `500ms` or `60`; whole milliseconds, at least one.

    Raises:
        ValueError: with what is wrong and what to write instead.
    """
    milliseconds = _quantity(text, units=DURATION_UNITS, bare="s")
    if milliseconds == 0:
        raise ValueError("it leaves no time at all; write at least 1ms")
    return milliseconds / 1000


def format_duration(duration_s: float) -> str:
    """The shortest text of which `parse_duration` makes this duration, to the millisecond."""
    return _shortest(round(duration_s * 1000), units=DURATION_UNITS)


def _quantity(text: str, *, units: Mapping[str, int], bare: str) -> int:
    """How many of the smallest unit `text` means; a number without a unit counts in `bare`."""
    if not text.strip():
        raise ValueError(f"it is empty; write a number and one of {', '.join(units)}")
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"it is not a positive number with a unit; write digits and one of {', '.join(units)}")
    by_lower = {name.lower(): factor for name, factor in units.items()}
    unit = match["unit"] or bare
    factor = by_lower.get(unit.lower())
    if factor is None:
        raise ValueError(f"the unit {unit!r} is unknown; write one of {', '.join(units)}")
    part = match["part"] or ""
    # Integers throughout: a float would lose bytes.
    return int(match["whole"] + part) * factor // int("1" + "0" * len(part))


def _shortest(amount: int, *, units: Mapping[str, int]) -> str:
    """`amount` of the smallest unit in the unit that needs the fewest digits, two decimals at most."""
    exact = [
        (_decimal(amount * 100 // factor), unit)
        for unit, factor in units.items()
        if factor == 1 or (amount >= factor and amount * 100 % factor == 0)
    ]
    number, unit = min(exact, key=lambda candidate: len(candidate[0]))
    return number + unit


def _decimal(hundredths: int) -> str:
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02}".rstrip("0").rstrip(".")
