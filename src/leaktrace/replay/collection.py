"""What was collected: which tests there are, in which order, told by a child that only collects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leaktrace.errors import FileError, ReplayError
from leaktrace.files import read_bounded
from leaktrace.replay.base import Base, last_words
from leaktrace.replay.protocol import MAX_RESPONSE_BYTES, Request, Settings, Target
from leaktrace.serialize import decode, loads


PLUGIN = "leaktrace.child.collect_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
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


def collect_tests(settings: Settings, folder: Path, *, timeout_s: float) -> Collected:
    """Collect the tests that pytest finds with these settings.

    Raises:
        ReplayError: the child cannot be started, takes too long, or ends without a response.
    """
    try:
        child = Base(Request(plugin=PLUGIN), settings, folder, "collected", metered=False)
    except OSError as exc:
        raise ReplayError(f"no child could be started: {exc}") from exc
    try:
        child.wait(timeout_s)
    finally:
        status = child.end()
    if not child.response.exists():
        raise ReplayError(f"the tests could not be collected: {last_words(status, child.log)}")
    return read_collected(child.response)


def read_collected(path: Path) -> Collected:
    """Read what was collected from a file.

    Raises:
        ReplayError: it is none.
    """
    try:
        return decode(Collected, loads(read_bounded(path, MAX_RESPONSE_BYTES)))
    except (OSError, ValueError, FileError) as exc:
        raise ReplayError(f"the list of collected tests {path} cannot be read: {exc}") from exc
