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

MEMORIES = {"heap_bytes": "heap", "rss_bytes": "RSS", "uss_bytes": "USS", "peak_rss_bytes": "peak RSS"}


def name(counter: Counter) -> str:
    """What grows, in the user's words: `heap`, `RSS`, `file descriptors`."""
    if counter.unit == "bytes":
        return MEMORIES.get(counter.name, counter.name)
    return NOUNS.get(counter.name, (counter.name, counter.name))[1]


def amount(counter: Counter, value: float) -> str:
    """`31 blocks`, `1.6 kB of heap`, `0.25 objects`."""
    if counter.unit == "bytes":
        return f"{size(value)} of {name(counter)}"
    text = number(value)
    return f"{text} {NOUNS.get(counter.name, (counter.name, counter.name))[text != '1']}"


def bare(counter: Counter, value: float) -> str:
    """The amount where the counter has just been named."""
    return size(value) if counter.unit == "bytes" else number(value)


def size(value: float) -> str:
    """Bytes with the unit that leaves two to four digits; decimal units, as everywhere in a report."""
    for unit, bytes_ in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
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
