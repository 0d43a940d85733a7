"""Why it is alive, where it was made, the proof and the fix, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from leaktrace.casebook.model import Case
from leaktrace.explain.model import Holder, Hop
from leaktrace.lines.model import Frame, Site
from leaktrace.probes.model import HEAP_BYTES
from leaktrace.words import size, wrapped


LABEL = 14
INDENT = "  "
MOST_HOPS = 6
MOST_FRAMES = 6
LEAST_SHARE = 0.1
"""A line that made less than this part of the growth explains nothing."""
LEAST_SHARED_BYTES = 1_000
"""Less may be no more than numbers and names."""
MOST_TIMES = 10
"""A line that made more than so many times the growth made what came and went."""


def exhibit_lines(case: Case, width: int) -> Iterator[str]:
    """The exhibit of one case, at most 19 lines."""
    exhibit = case.exhibit
    if exhibit.native:
        told = "; ".join(["most of it was allocated outside Python's own allocators", *exhibit.notes])
        yield from _labelled("native", told, width)
    if exhibit.holder is not None:
        yield from _labelled("held by", exhibit.holder.name, width)
        yield from _path(exhibit.holder.path, width)
        yield from _shared(exhibit.holder, width)
    rate = case.per_run.get(HEAP_BYTES.name)
    worth = rate.estimate * LEAST_SHARE if rate is not None else 0.0
    most = rate.estimate * MOST_TIMES if rate is not None and rate.estimate > 0 else inf
    worthy = [site for site in exhibit.sites if not site.adds and worth <= site.bytes_per_run <= most]
    for site in [each for each in worthy if is_in_c(each)][:1]:
        yield from _in_c(site, width)
    sites = [each for each in worthy if not is_in_c(each)][:1]
    adds = [site for site in exhibit.sites if site.adds][:1]
    if sites and adds and (sites[0].file, sites[0].line) == (adds[0].file, adds[0].line):
        adds = []  # one line makes it and adds it
    references = exhibit.holder is not None and exhibit.holder.kind.endswith("references")
    added = "taken" if references else "added"
    for label, site in [*(("allocated", each) for each in sites), *((added, each) for each in adds)]:
        yield from _site(label, site, width)
    if exhibit.proof.status != "untried":
        yield from _labelled(
            "proof" if exhibit.proof.status == "proved" else exhibit.proof.status, exhibit.proof.detail, width
        )
    if exhibit.fix:
        yield from _labelled("fix", exhibit.fix, width)
    if exhibit.notes and exhibit.holder is None and not (worthy or exhibit.native):
        yield from _labelled("note", "; ".join(exhibit.notes), width)


def _path(path: tuple[Hop, ...], width: int) -> Iterator[str]:
    """The way from the root, a hop a line; between the last NO and the first YES stand the suspects, underlined."""
    shown = path if len(path) <= MOST_HOPS else (*path[:2], *path[-(MOST_HOPS - 2) :])
    margin = " " * (LABEL + len(INDENT))
    for number, hop in enumerate(shown):
        step = hop.name if number == 0 or not hop.edge else hop.edge
        lead = "" if number == 0 else "'> " if number == len(shown) - 1 else "|- "
        text = f"{step} : {hop.type}" if hop.type else step
        label = f"{hop.leaking}: {hop.reason}" if hop.reason else hop.leaking
        first = f"{INDENT}{'path':<{LABEL}}" if number == 0 else margin
        yield from wrapped(f"{text}  [{label}]", first=f"{first}{lead}", indent=f"{margin}      ", width=width)
        if hop.leaking == "UNKNOWN":
            bar = "|  " if number < len(shown) - 1 else "   "
            yield f"{margin}{bar}{'~' * min(len(step), width - len(margin) - 3)}"


def _shared(holder: Holder, width: int) -> Iterator[str]:
    """What dropping the holder's entries would not free, where that is a good part of what they lead to."""
    alone, shared = holder.retained_bytes_per_run, holder.shared_bytes_per_run
    if alone is not None and shared is not None and shared >= max(LEAST_SHARED_BYTES, alone / 2):
        yield from _labelled("retains", f"{size(alone)} a run alone, {size(shared)} a run together with others", width)


def _site(label: str, site: Site, width: int) -> Iterator[str]:
    much = f", {size(site.bytes_per_run)} a run" if site.bytes_per_run else ""
    yield from _labelled(label, f"{site.file}:{site.line} in {site.function}{much}", width)
    margin = " " * (LABEL + len(INDENT))
    for line in site.code.splitlines():
        if line.strip():
            yield f"{margin}{line}"[:width]


def is_in_c(site: Site) -> bool:
    """Whether it is C code that allocates there, as memray tells."""
    return bool(site.stack) and site.file == site.stack[0].file and not site.file.endswith(".py")


def _in_c(site: Site, width: int) -> Iterator[str]:
    """The C function that allocates, and the way from there out to the suspect's own lines."""
    top, *callers = site.stack
    yield from _labelled("made in C", f"{_frame(top)}, {size(site.bytes_per_run)} a run", width)
    margin = " " * (LABEL + len(INDENT))
    for frame in callers[:MOST_FRAMES]:
        yield from wrapped(f"by {_frame(frame)}", first=margin, indent=f"{margin}   ", width=width)


def _frame(frame: Frame) -> str:
    """A function with its place, where that is known: a library without debug information has its name alone."""
    return f"{frame.function} ({frame.file}:{frame.line})" if frame.line else frame.function


def _labelled(label: str, text: str, width: int) -> list[str]:
    return wrapped(text, first=f"{INDENT}{label:<{LABEL}}", indent=" " * (LABEL + len(INDENT)), width=width)
