"""Exceptions, tracebacks and frames that are kept, with all their locals."""

from __future__ import annotations

import logging
import sys
from types import FrameType, TracebackType

import pytest


class NotFoundError(Exception):
    pass


ERRORS: list[BaseException] = []
TRACEBACKS: dict[int, TracebackType] = {}
FRAMES: list[FrameType] = []
NOT_FOUND = NotFoundError("no such order")
LAST: BaseException | None = None


class Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


RECORDER = Recorder()
LOG = logging.getLogger("leak.shop.errors")
LOG.propagate = False
LOG.addHandler(RECORDER)


def load(number: int) -> bytes:
    payload = bytes(2000)
    raise NotFoundError(f"{number} of {len(payload)}")


def find(number: int) -> int:
    raise NOT_FOUND


def test_exceptions_in_a_list() -> None:
    try:
        load(1)
    except NotFoundError as error:
        ERRORS.append(error)
    assert ERRORS


def test_tracebacks_in_a_dict() -> None:
    try:
        load(2)
    except NotFoundError as error:
        TRACEBACKS[len(TRACEBACKS) + 1000] = error.__traceback__
    assert TRACEBACKS


def test_frames_in_a_list() -> None:
    note = "local" * 20
    FRAMES.append(sys._getframe())
    assert note


def test_one_exception_raised_again_and_again() -> None:
    with pytest.raises(NotFoundError):
        find(3)


def test_chain_of_causes() -> None:
    global LAST
    error = NotFoundError("again")
    error.__cause__ = LAST
    LAST = error
    assert isinstance(LAST, NotFoundError)


def test_log_records_with_exc_info() -> None:
    try:
        load(4)
    except NotFoundError:
        LOG.exception("not found")
    assert RECORDER.records
