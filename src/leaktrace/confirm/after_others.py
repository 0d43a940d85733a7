"""Suspects that are steady alone: heard again after the tests that ran before them, as far as that is cheap."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from leaktrace.casebook.cases import after_others, case_of, regrown_bytes
from leaktrace.casebook.model import Case
from leaktrace.masking import masked_words
from leaktrace.recording.model import Recording
from leaktrace.replay.protocol import Response, Target, Task, targets_of
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.model import Verdict
from leaktrace.verdict.outcome import SMALL_BYTES


CHEAP_S = 10.0
"""Time that the tests before a suspect may have taken in the suite, for it to be heard again after them."""
MOST = 4
"""Suspects that are heard again: each needs a child of its own."""

Ask = Callable[[Sequence[Task]], Mapping[int, Response]]
"""Has children carry out tasks, and gives back their responses by task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A suspect, how it was replayed, and what came of it."""

    suspect: Suspect
    task: Task
    case: Case


def is_steady_alone(case: Case) -> bool:
    """Whether a test grew in the suite and not in its replay: what holds growth that harms nobody is found there.

    Where megabytes are missing, a trickle that the replay shows explains nothing, and neither does a small first run.
    """
    if case.suspect.subject != "test" or case.after or case.verdict not in (Verdict.STEADY, Verdict.ONE_TIME):
        return False
    holder = case.exhibit.holder
    if holder is not None and holder.kind == "shared-references":
        return False
    if case.suspect.counter.endswith("_bytes") and case.suspect.grew_by >= SMALL_BYTES:
        return regrown_bytes(case) < case.suspect.grew_by / 2
    return case.verdict is Verdict.STEADY and holder is None


def before(nodeid: str, recording: Recording, paths: Mapping[str, str]) -> tuple[tuple[Target, ...], float]:
    """The tests that ran before one in its process, and how long they took; none where it came first."""
    try:
        row = recording.nodeids.index(nodeid)
    except ValueError:
        return (), 0.0
    names = tuple(dict.fromkeys(recording.nodeids[:row]))
    return targets_of(names, paths), sum(recording.span(each).duration_s for each in range(row))


def heard_again(
    replayed: Sequence[Replayed],
    recordings: Mapping[str, Recording],
    ask: Ask,
    *,
    paths: Mapping[str, str],
    args: Sequence[str],
    limit_bytes: int,
    unclear: Collection[str] = (),
    warn: Callable[[str], None] = lambda _text: None,
) -> list[Replayed]:
    """All replayed, in their order; a test that leaks after those before it is a leak, whatever it is alone.

    Those whose growth in the suite was `unclear` are not heard: after others they would only waver as they did there.
    For them, and the others that are steady alone, the command that looks for what else matters takes the place of the
    one that shows the same.
    """
    again = _again(replayed, recordings, paths, unclear, warn)
    responses = ask(list(again.values())) if again else {}
    heard = list(replayed)
    for number, each in enumerate(replayed):
        if not is_steady_alone(each.case):
            continue
        command = bisect_command(each.case.suspect.name, args)
        heard[number] = replace(each, case=replace(each.case, reproduce=command))
        if number in responses:
            case = case_of(each.suspect, responses[number], limit_bytes=limit_bytes)
            if case.verdict is Verdict.LEAK:
                names = tuple(target.nodeid for target in again[number].before)
                heard[number] = replace(each, task=again[number], case=after_others(case, names, command))
    return heard


def _again(
    replayed: Sequence[Replayed],
    recordings: Mapping[str, Recording],
    paths: Mapping[str, str],
    unclear: Collection[str],
    warn: Callable[[str], None],
) -> dict[int, Task]:
    """Whom it is cheap to hear again, by the number of the hearing; how many are left out, and why, is told."""
    again: dict[int, Task] = {}
    slow = many = 0
    for number, each in enumerate(replayed):
        clear = not each.suspect.doubtful and each.suspect.name not in unclear
        recording = recordings.get(each.suspect.worker)
        if is_steady_alone(each.case) and clear and recording is not None:
            targets, took_s = before(each.suspect.name, recording, paths)
            if targets and took_s > CHEAP_S:
                slow += 1
            elif targets and len(again) == MOST:
                many += 1
            elif targets:
                again[number] = replace(each.task, ident=number, before=targets)
    for count, why in ((slow, f"which take over {CHEAP_S:.0f} s"), (many, f"since {MOST} others were")):
        if count:
            warn(
                f"of the tests that grew in the suite only, {count} could not be run again after those before, {why}: "
                "`leaktrace bisect` does that"
            )
    return again


def bisect_command(nodeid: str, args: Sequence[str]) -> str:
    """The command that finds the tests that matter, with what pytest was given beside our own options.

    It goes into files: what is secret in it is masked, and is to be filled in by who runs it.
    """
    theirs = [arg for arg in args if not arg.startswith(("--leaktrace", "--no-leaktrace")) and arg != nodeid]
    return shlex.join(["leaktrace", "bisect", nodeid, *(["--", *masked_words(theirs)] if theirs else [])])
