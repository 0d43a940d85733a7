"""The measured pairs as a section of the benchmarks page."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from contenders import Contender
from measure import KEPT_SIZES, Kept, Pair


BEGIN = "<!-- overhead:begin -->"
END = "<!-- overhead:end -->"


def section(
    measured: Mapping[str, Mapping[str, list[Pair]]],
    kept: Mapping[str, Kept],
    *,
    contenders: tuple[Contender, ...],
    command: str,
) -> str:
    """Markdown, from the heading to the last table."""
    labels = {each.name: each.label for each in contenders}
    lines = [
        "## Overhead of watching",
        "",
        f"`{command}`",
        "",
        _where(),
        "Each pair is a plain run and the contender's right after one another, in alternating order; a ratio is that of",
        "one pair's whole processes, start to exit. CPU is user and system time; “least CPU” is the contender's cheapest run",
        "over plain's cheapest, which other work on the machine disturbs least. Plugins that are not the contender's are",
        "switched off.",
    ]
    for suite, rows in measured.items():
        lines += ["", f"### {suite}", "", *_times(rows, labels)]
    if kept:
        lines += [
            "",
            "### Memory kept",
            "",
            "Alive after the last test and a collection, minus plain pytest's: the slope over suites of",
            f"{KEPT_SIZES[0]:,} to {KEPT_SIZES[-1]:,} empty tests, and",
            "what is left at none (modules, mostly). Bytes are malloc's with `PYTHONMALLOC=malloc`, blocks a normal",
            "process's `sys.getallocatedblocks()`.",
            "",
            "| | bytes a test | blocks a test | fixed bytes |",
            "|---|---:|---:|---:|",
            *(
                f"| {labels[name]} | {each.bytes_per_test:,.0f} | {each.blocks_per_test:,.2f} | {each.fixed_bytes:,.0f} |"
                for name, each in kept.items()
            ),
        ]
    return "\n".join(lines)


def write_section(page: Path, text: str) -> None:
    """Put `text` between the page's markers; the rest of the page is others'."""
    old = page.read_text(encoding="utf-8") if page.exists() else "# Benchmarks\n"
    block = f"{BEGIN}\n{text}\n{END}"
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    new = before + block + after if begin and end else old.rstrip("\n") + f"\n\n{block}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(new, encoding="utf-8")


def _where() -> str:
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    return (
        f"{today}, {platform.python_implementation()} {platform.python_version()}, pytest {version('pytest')}, "
        f"psutil {version('psutil')}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores; load at the end "
        f"{os.getloadavg()[0]:.1f}: read the ratios against the noise of plain pytest beside itself."
    )


def _times(rows: Mapping[str, list[Pair]], labels: Mapping[str, str]) -> list[str]:
    plain = [pair.plain for pairs in rows.values() for pair in pairs]
    tests = sum(plain[0].outcomes.values())
    wall_s = statistics.median(run.wall_s for run in plain)
    cpu_s = statistics.median(run.cpu_s for run in plain)
    outcomes = ", ".join(f"{number} {word}" for word, number in plain[0].outcomes.items())
    return [
        f"Plain pytest: {outcomes}; median {wall_s:.2f} s wall, {cpu_s:.2f} s CPU.",
        "",
        "| | pairs | wall: median (min to max) | CPU: median (min to max) | least CPU | added CPU a test | outcomes |",
        "|---|---:|---:|---:|---:|---:|---|",
        *(
            _row(labels[name], pairs, least_s=min(run.cpu_s for run in plain), tests=tests)
            for name, pairs in rows.items()
            if pairs
        ),
    ]


def _row(label: str, pairs: list[Pair], *, least_s: float, tests: int) -> str:
    wall = _spread(pair.wall_ratio for pair in pairs)
    cpu = _spread(pair.cpu_ratio for pair in pairs)
    own_s = min(pair.run.cpu_s for pair in pairs)
    added_us = (own_s - least_s) / tests * 1e6
    same = all(pair.run.outcomes == pair.plain.outcomes for pair in pairs)
    outcomes = "same" if same else "**differ**"
    return f"| {label} | {len(pairs)} | {wall} | {cpu} | {own_s / least_s:.3f} | {added_us:,.0f} µs | {outcomes} |"


def _spread(ratios: Iterable[float]) -> str:
    values = sorted(ratios)
    return f"**{statistics.median(values):.3f}** ({values[0]:.3f} to {values[-1]:.3f})"
