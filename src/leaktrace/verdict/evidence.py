"""From a replay's rows of numbers to the record that a judge reads; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leaktrace.probes.model import BLOCKS, FDS, HEAP_BYTES, OBJECTS, REFS, RSS_BYTES, THREADS, Counter, Unread, Value
from leaktrace.verdict.model import Record, Series


KNOWN: Mapping[str, Counter] = {
    counter.name: counter for counter in (RSS_BYTES, HEAP_BYTES, BLOCKS, OBJECTS, REFS, FDS, THREADS)
}


def record_of(
    counters: Sequence[str],
    rows: Sequence[Sequence[int | None]],
    *,
    warmups: int,
    batch_runs: int,
    unread: Mapping[str, str],
    spent: str | None,
    known: Mapping[str, Counter] = KNOWN,
    rested: Sequence[int | None] | None = None,
) -> Record:
    """The record of one suspect: a series for each counter, None in a row meaning that it could not be read.

    `known` defines counters that are not among ours; `rested` is a row, too.
    """
    series = {}
    for i, name in enumerate(counters):
        counter = KNOWN.get(name) or known.get(name) or Counter(name=name, unit="count", kind=name)
        values: list[Value] = []
        for row in rows:
            value = row[i]
            why = unread.get(name, "could not be read in the replay child")
            values.append(Unread(counter=name, why=why) if value is None else value)
        series[name] = Series(counter=counter, values=tuple(values), rested=None if rested is None else rested[i])
    return Record(series=series, warmups=warmups, batch_runs=batch_runs, spent=spent)
