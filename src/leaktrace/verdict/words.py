"""Amounts of a counter, runs and batches, as a reason says them."""

from __future__ import annotations

from leaktrace.probes.model import Counter
from leaktrace.words import count, number, size


NOUNS = {
    "blocks": ("block", "blocks"),
    "objects": ("object", "objects"),
    "refs": ("reference", "references"),
    "fds": ("file descriptor", "file descriptors"),
    "threads": ("thread", "threads"),
    "tasks": ("task", "tasks"),
    "children": ("child process", "child processes"),
    "processes": ("child process", "child processes"),
    "temp_files": ("temporary file", "temporary files"),
    "shared_memory": ("block of shared memory", "blocks of shared memory"),
    "state": ("change of state", "changes of state"),
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


def batches(value: int) -> str:
    """`1 batch`, `9 batches`."""
    return count(value, "batch", "batches")


def runs(value: int) -> str:
    """`1 run`, `9 runs`."""
    return count(value, "run")


def named_amount(name: str, value: float) -> str:
    """The amount of a counter that is known by its name alone."""
    return size(value) if name.endswith("_bytes") else number(value)


def ended(spent: str | None) -> str:
    """Why no more runs were had, to end a sentence with."""
    return {
        None: "",
        "time": "the time was spent",
        "memory": "the memory was spent",
        "runs": "the most runs allowed were made",
    }.get(spent, f"no more runs could be had: {spent}")
