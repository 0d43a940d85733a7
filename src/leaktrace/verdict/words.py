"""Amounts and spans as a user says them."""

from __future__ import annotations

from leaktrace.probes.model import Counter


NOUNS = {
    "blocks": ("block", "blocks"),
    "objects": ("object", "objects"),
    "refs": ("reference", "references"),
    "fds": ("file descriptor", "file descriptors"),
    "threads": ("thread", "threads"),
    "tasks": ("task", "tasks"),
    "children": ("child process", "child processes"),
    "processes": ("child process", "child processes"),
}


def subject(counter: Counter) -> str:
    """The counter as the subject of a sentence."""
    if counter.unit == "bytes":
        return {"heap_bytes": "the heap", "rss_bytes": "RSS", "uss_bytes": "USS"}.get(counter.name, counter.name)
    return f"the number of {NOUNS.get(counter.name, (counter.name, counter.name))[1]}"


def amount(counter: Counter, value: float) -> str:
    """`31 blocks`, `1.6 KiB`, `0.25 objects`."""
    if counter.unit == "bytes":
        return size(value)
    one, many = NOUNS.get(counter.name, (counter.name, counter.name))
    text = number(value)
    return f"{text} {one if text == '1' else many}"


def size(value: float) -> str:
    """Bytes with the unit that leaves two to four digits."""
    for unit, bytes_ in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if abs(value) >= bytes_:
            return f"{value / bytes_:,.1f} {unit}"
    return "1 byte" if value == 1 else f"{number(value)} bytes"


def number(value: float) -> str:
    """Whole where it is whole or large, else two significant digits or so."""
    if value == round(value) or abs(value) >= 100:  # noqa: PLR2004 - three digits say enough
        return f"{round(value):,}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2g}"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """`1 run`, `9 runs`, `3 batches`."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def batches(value: int) -> str:
    """`1 batch`, `9 batches`."""
    return count(value, "batch", "batches")


def runs(value: int) -> str:
    """`1 run`, `9 runs`."""
    return count(value, "run")


def ended(spent: str | None) -> str:
    """Why no more runs were had, to end a sentence with."""
    return {
        None: "",
        "time": "the time was spent",
        "memory": "the memory was spent",
        "runs": "the most runs allowed were made",
    }.get(spent, f"no more runs could be had: {spent}")
