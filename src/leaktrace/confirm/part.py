"""The conductor: the whole way of a run as one readable list of steps. It knows the rooms, and not pytest.

A process that ran tests ends with a `Part`: its recording and its suspects. The parts of all processes (xdist) are
judged together, by whoever reports, and bound into one casebook.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from leaktrace import __version__
from leaktrace.casebook.accounts import fixtures_of, groups_of, process_of
from leaktrace.casebook.cases import merged_cases
from leaktrace.casebook.model import Case, Casebook
from leaktrace.casebook.wire import case_from_json, case_to_json
from leaktrace.explain.known_leaks import KnownLeak
from leaktrace.options import KINDS, Mode, Options
from leaktrace.recording.model import Recording
from leaktrace.recording.wire import from_wire, to_wire
from leaktrace.replay.protocol import Settings
from leaktrace.serialize import decode, encode
from leaktrace.suspects.accuse import accuse, doubtful, notes, ranked
from leaktrace.suspects.groups import with_common, without_explained
from leaktrace.suspects.model import Limits, Note, Suspect
from leaktrace.verdict.judge import group_of
from leaktrace.verdict.model import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one process saw.

    Attributes:
        recording: its readings.
        suspects: what its watch accuses, in a confirming run those included that a collection may have freed.
        notes: growth that accuses nobody.
        warnings: what went wrong in it.
        paths: each test's file.
        limits: what is suspicious in it; markers make a difference.
        users: in a hunt, some of the tests that use each wider fixture, by its name.
    """

    recording: Recording
    suspects: tuple[Suspect, ...] = ()
    notes: tuple[Note, ...] = ()
    warnings: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: Limits(test_bytes=0))
    users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of all suspects of a run.

    Attributes:
        left_out: what was not judged, by name: a test that was not hunted, a suspect that was not replayed.
        unjudged: the suspects among them, for a run that goes on.
    """

    suspects: tuple[Suspect, ...] = ()
    cases: tuple[Case, ...] = ()
    notes: tuple[Note, ...] = ()
    left_out: tuple[str, ...] = ()
    unjudged: tuple[Suspect, ...] = ()
    warnings: tuple[str, ...] = ()
    overhead_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is needed to replay suspects.

    Attributes:
        folder: where the requests and responses of this run go.
        settings: the process's own, taken before the first test.
        beside: how many other processes replay on this machine meanwhile.
        jobs: how many children may run at a time where the user has not said.
        known: known leaks of others that the user has added.
        resumed: suspects that an earlier run had left unjudged.
    """

    folder: Path
    settings: Settings
    beside: int = 0
    jobs: int = 1
    known: tuple[KnownLeak, ...] = ()
    resumed: tuple[Suspect, ...] = ()


def limits_of(options: Options, marked: Mapping[str, Options], workers: int) -> Limits:
    """What is suspicious in one of several processes: a group is spread over them, a test is not."""
    return Limits(
        test_bytes=options.limit_bytes,
        group_bytes=max(1, options.limit_bytes // workers),
        own_bytes={nodeid: own.limit_bytes for nodeid, own in marked.items() if own.mode is not Mode.OFF},
        left_out=frozenset(nodeid for nodeid, own in marked.items() if own.mode is Mode.OFF),
        ignore=options.ignore,
        confirming=options.mode is not Mode.WATCH,
        own_ignore={nodeid: own.ignore for nodeid, own in marked.items()},
        allow=options.allow,
        own_allow={nodeid: own.allow for nodeid, own in marked.items()},
    )


def examine(
    recording: Recording,
    options: Options,
    limits: Limits,
    *,
    paths: Mapping[str, str],
    warnings: Sequence[str] = (),
    fixtures: Callable[[str], Iterable[str]] = lambda _nodeid: (),
    users: Callable[[Collection[str]], Mapping[str, tuple[str, ...]]] = lambda _names: {},
) -> Part:
    """Recording → suspects, of one process; `fixtures` tells the names of those that a test uses, `users` its users."""
    hunting = options.mode is Mode.HUNT
    accused = [with_common(each, fixtures) for each in accuse(recording, limits)]
    found = [*accused, *(doubtful(recording, limits) if limits.confirming else ())]
    return Part(
        recording=recording,
        suspects=tuple(each for each in found if is_wanted(each.kind, options)),
        notes=tuple(
            each for each in notes(recording, limits) if each.slug == "unclosed" or is_wanted("memory", options)
        ),
        warnings=tuple(warnings),
        paths=paths,
        limits=limits,
        users=users({account.name for account in recording.fixtures if account.wide}) if hunting else {},
    )


def unreplayed(parts: Sequence[Part], *, asked: bool = False) -> Findings:
    """The findings where nothing is replayed: what the watch accuses, left out where a replay was `asked` for."""
    suspects = counted([each for part in parts for each in part.suspects if not each.doubtful], parts)
    open_ones = [each for each in suspects if is_replayed(each)] if asked else []
    return Findings(
        suspects=tuple(suspects),
        notes=tuple(note for part in parts for note in part.notes),
        left_out=tuple(each.name for each in open_ones),
        unjudged=tuple(open_ones),
    )


def is_wanted(kind: str, options: Options) -> bool:
    """Whether somebody has asked for leaks of a kind; those that share a counter share its suspects."""
    return kind not in KINDS or any(group_of(kind) == group_of(each) for each in options.kinds)


def is_replayed(suspect: Suspect) -> bool:
    """Whether running it again can tell more: changed state is a fact, and a second change to the same is none."""
    return suspect.kind != "state"


def without_doubts(found: Findings) -> Findings:
    """The findings without what was in doubt; a doubtful suspect that was not proved is garbage, as the watch said."""
    in_doubt = {suspect.name for suspect in found.suspects if suspect.doubtful}
    proved = {case.suspect.name for case in found.cases if case.verdict is Verdict.LEAK} & in_doubt
    gone = in_doubt - proved
    return replace(
        found,
        suspects=tuple(each for each in found.suspects if not each.doubtful or each.name in proved),
        cases=tuple(each for each in found.cases if each.suspect.name not in gone or each.suspect.kind != "memory"),
        notes=tuple(note for note in found.notes if note.slug != "garbage" or note.nodeid not in proved),
    )


def bind(
    parts: Sequence[Part],
    found: Findings,
    options: Options,
    *,
    started_at: float,
    duration_s: float,
    warnings: Sequence[str] = (),
    whole: bool = True,
) -> Casebook:
    """One casebook of all processes' parts and what was found of their suspects.

    With `whole`, tests and groups are in it one by one, as the JSON has them; the terminal needs neither.
    """
    recordings = [part.recording for part in parts]
    suspects = _merged(found.suspects, parts)
    names = {each.key for each in suspects}
    cases = [case for case in merged_cases(found.cases) if case.suspect.key in names]
    return Casebook(
        mode=options.mode.value,
        limit_bytes=options.limit_bytes,
        python=platform.python_version(),
        platform=platform.platform(),
        tool={"name": "pytest-leaktrace", "version": __version__, "implementation": sys.implementation.name},
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started_at)),
        duration_s=duration_s,
        overhead_s=found.overhead_s,
        processes=tuple(process_of(recording) for recording in recordings),
        tests=tuple(span for recording in recordings for span in recording.spans()) if whole else (),
        fixtures=tuple(each for recording in recordings for each in fixtures_of(recording)),
        groups=tuple(groups_of(recordings)) if whole else (),
        suspects=tuple(suspects),
        cases=tuple(cases),
        notes=found.notes,
        left_out=tuple(dict.fromkeys(found.left_out)),
        warnings=tuple(dict.fromkeys([*warnings, *(w for part in parts for w in part.warnings), *found.warnings])),
        runs=sum(len(recording) for recording in recordings) + sum(case.runs for case in cases),
    )


def counted(suspects: Sequence[Suspect], parts: Sequence[Part]) -> list[Suspect]:
    """Of several processes' suspects, those that count: a group by its sum, unless narrower ones explain it."""
    kept = {each.key for each in _merged(suspects, parts)}
    return [each for each in suspects if each.key in kept]


def _merged(suspects: Sequence[Suspect], parts: Sequence[Part]) -> list[Suspect]:
    """Those that count, each once, with what it grew by in all processes together."""
    limit_bytes = max((part.limits.test_bytes for part in parts), default=0)
    merged = [each for each in ranked(suspects) if _over(each, limit_bytes)]
    return without_explained(merged) if len(parts) > 1 else merged


def _over(suspect: Suspect, limit_bytes: int) -> bool:
    """A group that no worker saw whole counts only if its sum over all passes the limit."""
    return suspect.subject != "group" or bool(suspect.things) or suspect.grew_by > limit_bytes


def matched(book: Casebook, options: Options) -> list[str]:
    """Which of the words of `--leaktrace-fail-on` this run meets; known leaks of others meet none."""
    known = {case.suspect.key for case in book.cases if case.status == "known"}
    found = {case.verdict.value.lower() for case in book.cases if case.status != "known"}
    for suspect in book.suspects:
        if suspect.key not in known:
            found.add("state" if suspect.kind == "state" else "suspect")
    if book.left_out:
        found.add("unjudged")
    return sorted(found & options.fail_on)


def part_to_wire(part: Part) -> dict[str, Any]:
    """Plain values for the way from a worker to the controller."""
    limits = part.limits
    return {
        "recording": to_wire(part.recording),
        "suspects": encode(part.suspects),
        "notes": encode(part.notes),
        "warnings": list(part.warnings),
        "paths": dict(part.paths),
        "limits": {**encode(limits), "left_out": sorted(limits.left_out)},
        "users": {name: list(tests) for name, tests in part.users.items()},
    }


def part_from_wire(data: Mapping[str, Any]) -> Part:
    """The way back."""
    left_out = data["limits"].pop("left_out")
    return Part(
        recording=from_wire(data["recording"]),
        suspects=tuple(decode(Suspect, each) for each in data["suspects"]),
        notes=tuple(decode(Note, each) for each in data["notes"]),
        warnings=tuple(data["warnings"]),
        paths=data["paths"],
        limits=replace(decode(Limits, data["limits"]), left_out=frozenset(left_out)),
        users={name: tuple(tests) for name, tests in data["users"].items()},
    )


def findings_to_wire(found: Findings) -> dict[str, Any]:
    """Plain values for what a worker on another host has found."""
    return {**encode(replace(found, cases=())), "cases": [case_to_json(case) for case in found.cases]}


def findings_from_wire(data: Mapping[str, Any]) -> Findings:
    """The way back."""
    cases = tuple(case_from_json(each) for each in data["cases"])
    return replace(decode(Findings, {**data, "cases": []}), cases=cases)


def joined(findings: Sequence[Findings]) -> Findings:
    """Several findings as one: those of workers on other hosts, and our own."""
    return Findings(
        suspects=tuple(each for found in findings for each in found.suspects),
        cases=tuple(each for found in findings for each in found.cases),
        notes=tuple(each for found in findings for each in found.notes),
        left_out=tuple(each for found in findings for each in found.left_out),
        unjudged=tuple(each for found in findings for each in found.unjudged),
        warnings=tuple(each for found in findings for each in found.warnings),
        overhead_s=max((found.overhead_s for found in findings), default=0.0),
    )


Progress = Callable[[str, int, int, str], None]
"""What is being done (`screening`, …), how much of it is done, of how much, and the name of what is at work."""
