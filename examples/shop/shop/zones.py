"""The carrier's delivery zones, one for each postcode."""

from __future__ import annotations

from typing import NamedTuple


class Zone(NamedTuple):
    """Where a parcel goes by, and how long it takes."""

    depot: str
    days: int
    surcharge_cents: int


ZONES = {
    f"{postcode:05d}": Zone(f"depot {postcode // 250:03d}", 1 + postcode % 4, postcode % 997)
    for postcode in range(60_000)
}
