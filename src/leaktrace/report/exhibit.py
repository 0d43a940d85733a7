"""Why it is alive, where it was made, the proof and the fix, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from leaktrace.casebook.model import Case
from leaktrace.explain.model import Exhibit, Holder, Hop
from leaktrace.lines.model import Frame, Site
from leaktrace.probes.model import HEAP_BYTES
from leaktrace.report.model import Code, Path, Place, Row, Step, Text
from leaktrace.words import size


MOST_HOPS = 6
MOST_FRAMES = 6
LEAST_SHARE = 0.1
"""A line that made less than this part of the growth explains nothing."""
LEAST_SHARED_BYTES = 1_000
"""Less may be no more than numbers and names."""
MOST_TIMES = 10
"""A line that made more than so many times the growth made what came and went."""


def exhibit_rows(case: Case) -> Iterator[Row]:
    """All that explains one case; what to do about things stands in their own sentences."""
    exhibit = case.exhibit
    worthy = _worthy(case)
    if exhibit.native:
        told = "; ".join(["most of it was allocated outside Python's own allocators", *exhibit.notes])
        yield Row("native", (Text(told),))
    if exhibit.holder is not None:
        yield held_by(exhibit.holder)
        yield from _path(exhibit.holder.path)
        yield from _shared(exhibit.holder)
    yield from _sites(exhibit, worthy)
    if exhibit.proof.status != "untried":
        label = "proof" if exhibit.proof.status == "proved" else exhibit.proof.status
        yield Row(label, (Text(exhibit.proof.detail),))
    if exhibit.fix and not case.things:
        yield Row("fix", (Text(exhibit.fix),))
    if exhibit.notes and exhibit.holder is None and not (worthy or exhibit.native):
        yield Row("note", (Text("; ".join(exhibit.notes)),))


def held_by(holder: Holder) -> Row:
    """What keeps it alive, by its name."""
    return Row("held by", (Text(holder.name),))


def is_in_c(site: Site) -> bool:
    """Whether it is C code that allocates there, as memray tells."""
    return bool(site.stack) and site.file == site.stack[0].file and not site.file.endswith(".py")


def _worthy(case: Case) -> list[Site]:
    """The lines that allocated about as much as grows."""
    rate = case.per_run.get(HEAP_BYTES.name)
    least = rate.estimate * LEAST_SHARE if rate is not None else 0.0
    most = rate.estimate * MOST_TIMES if rate is not None and rate.estimate > 0 else inf
    return [site for site in case.exhibit.sites if not site.adds and least <= site.bytes_per_run <= most]


def _path(path: tuple[Hop, ...]) -> Iterator[Row]:
    """The way from the root; between the last NO and the first YES stand the suspects, marked."""
    shown = path if len(path) <= MOST_HOPS else (*path[:2], *path[-(MOST_HOPS - 2) :])
    steps = [
        Step(
            text=hop.name if number == 0 or not hop.edge else hop.edge,
            type=hop.type,
            status=hop.leaking,
            reason=hop.reason,
            marked=hop.leaking == "UNKNOWN",
        )
        for number, hop in enumerate(shown)
    ]
    if steps:
        yield Row("path", (Path(tuple(steps)),))


def _shared(holder: Holder) -> Iterator[Row]:
    """What dropping the holder's entries would not free, where that is a good part of what they lead to."""
    alone, shared = holder.retained_bytes_per_run, holder.shared_bytes_per_run
    if alone is not None and shared is not None and shared >= max(LEAST_SHARED_BYTES, alone / 2):
        yield Row("retains", (Text(f"{size(alone)} a run alone, {size(shared)} a run together with others"),))


def _sites(exhibit: Exhibit, worthy: list[Site]) -> Iterator[Row]:
    """The best line of each kind: in C, in Python, and the one that puts it into the holder."""
    for site in [each for each in worthy if is_in_c(each)][:1]:
        yield _in_c(site)
    sites = [each for each in worthy if not is_in_c(each)][:1]
    adds = [site for site in exhibit.sites if site.adds][:1]
    if sites and adds and (sites[0].file, sites[0].line) == (adds[0].file, adds[0].line):
        adds = []  # one line makes it and adds it
    references = exhibit.holder is not None and exhibit.holder.kind.endswith("references")
    yield from (_site("allocated", site) for site in sites)
    yield from (_site("taken" if references else "added", site) for site in adds)


def _site(label: str, site: Site) -> Row:
    where = f"{site.file}:{site.line}"
    much = f", {size(site.bytes_per_run)} a run" if site.bytes_per_run else ""
    code = Code(tuple(line for line in site.code.splitlines() if line.strip()))
    return Row(label, (Place(f"{where} in {site.function}{much}", where), code))


def _in_c(site: Site) -> Row:
    """The C function that allocates, and the way from there out to the suspect's own lines."""
    top, *callers = site.stack
    first = Place(f"{_frame(top)}, {size(site.bytes_per_run)} a run", _where(top))
    return Row("made in C", (first, *(Place(f"by {_frame(each)}", _where(each)) for each in callers[:MOST_FRAMES])))


def _frame(frame: Frame) -> str:
    """A function with its place, where that is known: a library without debug information has its name alone."""
    return f"{frame.function} ({_where(frame)})" if frame.line else frame.function


def _where(frame: Frame) -> str:
    return f"{frame.file}:{frame.line}" if frame.line else ""
