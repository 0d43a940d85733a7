"""The roll: which tests there are, in which order, told by a child that only collects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leaktrace.errors import FileError, ReplayError
from leaktrace.files import read_bounded
from leaktrace.replay.base import Base, last_words
from leaktrace.replay.protocol import MAX_ANSWER_BYTES, Order, Settings, Target
from leaktrace.serialize import decode, loads


DOOR = "leaktrace.child.collect_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """What a run of pytest would run.

    Attributes:
        tests: in the order of collection.
        errors: files that could not be collected, and why.
        folder: where the journals of runs lie, or "" where none are kept.
        loaded: whether leaktrace is among pytest's plugins.
    """

    tests: tuple[Target, ...] = ()
    errors: tuple[str, ...] = ()
    folder: str = ""
    loaded: bool = True


def call_roll(settings: Settings, folder: Path, *, timeout_s: float) -> Roll:
    """Collect the tests that pytest finds with these settings.

    Raises:
        ReplayError: the child cannot be started, takes too long, or ends without an answer.
    """
    try:
        child = Base(Order(door=DOOR), settings, folder, "roll", metered=False)
    except OSError as exc:
        raise ReplayError(f"no child could be started: {exc}") from exc
    try:
        child.wait(timeout_s)
    finally:
        status = child.end()
    if not child.answer.exists():
        raise ReplayError(f"the tests could not be collected: {last_words(status, child.log)}")
    return read_roll(child.answer)


def read_roll(path: Path) -> Roll:
    """The roll in a file.

    Raises:
        ReplayError: it is none.
    """
    try:
        return decode(Roll, loads(read_bounded(path, MAX_ANSWER_BYTES)))
    except (OSError, ValueError, FileError) as exc:
        raise ReplayError(f"the roll of tests {path} cannot be read: {exc}") from exc
