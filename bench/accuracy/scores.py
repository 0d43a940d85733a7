"""Results against the truth: counts for each detector, and the tables that show them. Touches no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from model import Call, Case, Result, Verity


SLACK = {"blocks": 0.5, "heap_bytes": 16.0}
SILENT = Call(leak=None, verdict="no answer")


@dataclass(kw_only=True)
class Score:
    """How one detector did on one group of cases.

    Attributes:
        leaks, found: seeded leaks that it was asked about, and those that it called leaks.
        clean, false_alarms: tests that leak nothing, and those that it called leaks.
        kinds: found leaks for which it told a right kind.
        named, right_names, wrong_names: found leaks with a holder that can be named, and what it said of those.
        lined, right_lines: found leaks with a known adding line, and those for which it points at it.
        rated, right_rates: found leaks with a measured rate, and those whose estimate is within 10 % of it, or within
            half a block or 16 bytes a run.
        silent: tests that it gave no answer on (counted as not found, and as no false alarm).
        not_run: cases for which it can have no environment; their tests count nowhere.
    """

    leaks: int = 0
    found: int = 0
    clean: int = 0
    false_alarms: int = 0
    kinds: int = 0
    named: int = 0
    right_names: int = 0
    wrong_names: int = 0
    lined: int = 0
    right_lines: int = 0
    rated: int = 0
    right_rates: int = 0
    silent: int = 0
    tests: int = 0
    not_run: int = 0
    seconds: float = 0.0

    def add(self, verity: Verity, call: Call) -> None:
        """Count one test."""
        self.tests += 1
        self.silent += call.leak is None
        if verity.leak is None:
            return
        if not verity.leak:
            self.clean += 1
            self.false_alarms += bool(call.leak)
            return
        self.leaks += 1
        if not call.leak:
            return
        self.found += 1
        self.kinds += bool(verity.kinds.intersection(call.kinds))
        if verity.rates and call.per_run:
            self.rated += 1
            self.right_rates += is_right_rate(verity.rates, call.per_run)
        if verity.names is not None:
            can_be_named = bool(verity.names) and () not in verity.names
            right = is_right_name(verity.names, call.name)
            self.named += can_be_named
            self.right_names += can_be_named and right
            self.wrong_names += not right and call.name is not None
        if verity.line is not None:
            self.lined += 1
            self.right_lines += verity.line in call.lines


def is_right_rate(truth: Mapping[str, float], estimates: Mapping[str, float]) -> bool:
    """Whether one of the counters that show the leak best is estimated right."""
    return any(
        abs(estimates[counter] - rate) <= max(0.1 * abs(rate), SLACK.get(counter, 0.0))
        for counter, rate in truth.items()
        if counter in estimates
    )


def is_right_name(names: tuple[tuple[str, ...], ...], name: str | None) -> bool:
    """Whether a name for the holder is one of the right ones: its words, in order; no words: no name."""
    if not names or name is None:
        return name is None and (not names or () in names)
    return any(words and _in_order(words, name) for words in names)


def _in_order(words: tuple[str, ...], text: str) -> bool:
    at = 0
    for word in words:
        found = text.find(word, at)
        if found < 0:
            return False
        at = found + len(word)
    return True


def score(results: Iterable[tuple[Case, Result | None]]) -> Score:
    """The counts over the cases of one detector; a case without a result is one that it cannot be run on."""
    total = Score()
    for case, result in results:
        if result is None:
            total.not_run += 1
            continue
        total.seconds += result.seconds
        for nodeid, verity in case.truth.items():
            total.add(verity, result.calls.get(nodeid, SILENT))
    return total


def mistakes(results: Iterable[tuple[Case, Result | None]]) -> list[str]:
    """Each wrong call, as one line."""
    lines = []
    for case, result in results:
        for nodeid, verity in case.truth.items() if result else ():
            call = result.calls.get(nodeid, SILENT)
            where = f"{case.group} {case.python} {case.ident} {nodeid}"
            if verity.leak and not call.leak:
                lines.append(f"missed       {where}: {call.verdict[:160]!r}")
            elif verity.leak is False and call.leak:
                lines.append(f"false alarm  {where}: {call.verdict[:160]!r} {call.name or ''}")
            elif verity.leak and call.name is not None and not is_right_name(verity.names or ((),), call.name):
                lines.append(f"wrong name   {where}: {call.name!r}, not {verity.names}")
            elif verity.leak and call.name is None and not is_right_name(verity.names or (), None):
                lines.append(f"no name      {where}: {verity.names}")
            elif verity.leak and verity.rates and call.per_run and not is_right_rate(verity.rates, call.per_run):
                lines.append(f"wrong rate   {where}: {dict(call.per_run)}, not {dict(verity.rates)}")
            elif verity.leak and verity.line is not None and call.lines and verity.line not in call.lines:
                lines.append(f"wrong line   {where}: {call.lines}, not {verity.line}")
            elif verity.leak and verity.kinds and call.kinds and not verity.kinds.intersection(call.kinds):
                lines.append(f"wrong kind   {where}: {call.kinds}, not {sorted(verity.kinds)}")
    return lines


HEADINGS = (
    "detector",
    "leaks found",
    "false alarms",
    "right kind",
    "right holder named",
    "wrong holder named",
    "adding line shown",
    "rate within 10 %",
    "no answer",
    "wall time",
    "a test",
)


def table(scores: Mapping[str, Score]) -> str:
    """One group of cases as a markdown table, a row a detector."""
    rows = [HEADINGS, ("---",) * len(HEADINGS)]
    for name, s in scores.items():
        if not s.tests:
            rows.append((name, "not run", *("",) * (len(HEADINGS) - 2)))
            continue
        rows.append(
            (
                name,
                _share(s.found, s.leaks),
                _share(s.false_alarms, s.clean),
                _of(s.kinds, s.found),
                _of(s.right_names, s.named),
                str(s.wrong_names),
                _of(s.right_lines, s.lined),
                _of(s.right_rates, s.rated),
                f"{s.silent} of {s.tests}" + (f"; {s.not_run} cases not run" if s.not_run else ""),
                f"{s.seconds:,.0f} s",
                f"{1000 * s.seconds / s.tests:,.0f} ms",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.1f} %)" if whole else "-"


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else "-"
