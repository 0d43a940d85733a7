"""How the report writes sizes and names; humans' units live here alone."""

from __future__ import annotations

from leaktrace.words import escaped


MB = 1_000_000


def megabytes(size_bytes: float) -> str:
    """`712MB`, one decimal below ten: `9.5MB`."""
    size = abs(size_bytes) / MB
    sign = "-" if size_bytes < 0 else ""
    return f"{sign}{size:.0f}MB" if round(size, 1) >= 10 else f"{sign}{size:.1f}MB"  # noqa: PLR2004


def size(size_bytes: float) -> str:
    """A size in the unit that suits it: `20.0 MB`, `1.9 kB`, `32 B`."""
    amount = abs(size_bytes)
    sign = "-" if size_bytes < 0 else ""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if amount >= unit:
            return f"{sign}{amount / unit:.1f} {name}"
    return f"{sign}{amount:.0f} B"


def amount(name: str, value: float) -> str:
    """A counter's value with its unit."""
    return size(value) if name.endswith("_bytes") else f"{value:,.1f}".removesuffix(".0")


def wrapped(text: str, *, indent: str, width: int, first: str | None = None) -> list[str]:
    """Lines of at most `width` columns; a word longer than a line (a node id) stands on its own, whole.

    What a terminal would not show as it is gets spelled out first: a line's end in a name does not end the line.
    """
    import textwrap  # noqa: PLC0415 - the process that is watched needs it only at its end

    return textwrap.wrap(
        escaped(text),
        width=width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first or indent]


def plural(count: int, noun: str) -> str:
    """`1 test`, `2 tests`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def all_well(tests: int, limit_bytes: int) -> str:
    """The one line of a run with nothing to report."""
    return f"leaktrace: {plural(tests, 'test')} watched, none kept more than {megabytes(limit_bytes)}"
