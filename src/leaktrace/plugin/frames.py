"""Tracebacks as they would be without us: the frames of our wrappers are taken out before anybody looks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from types import TracebackType

import pytest


OURS = str(Path(__file__).parent.parent)
CALLER = "_multicall"
"""The function of pluggy's that resumes a wrapper; each time an exception passes through it leaves an entry of both."""


def without_ours(exc: BaseException) -> None:
    """Take the entries of our wrappers, and of the calls that resumed them, out of all tracebacks of an exception."""
    for each in _all_of(exc):
        first = each.__traceback__
        relinked = _relinked(first)
        if relinked is not first:
            each.__traceback__ = relinked


def _relinked(first: TracebackType | None) -> TracebackType | None:
    """A traceback without our entries.

    It is changed in place: what an exception that pytest keeps for the next test has in common with it, has it, too.
    """
    entries = list(_entries(first))
    kept = [entry for entry, then in zip_longest(entries, entries[1:]) if not _is_ours(entry, then)]
    for entry, then in zip_longest(kept, kept[1:]):
        if entry.tb_next is not then:
            entry.tb_next = then
    return kept[0] if kept else None


def _entries(entry: TracebackType | None) -> Iterator[TracebackType]:
    while entry is not None:
        yield entry
        entry = entry.tb_next


def _is_ours(entry: TracebackType, then: TracebackType | None) -> bool:
    if _is_wrapper(entry):
        return True
    return then is not None and _is_wrapper(then) and entry.tb_frame.f_code.co_name == CALLER


def _is_wrapper(entry: TracebackType) -> bool:
    code = entry.tb_frame.f_code
    return bool(code.co_flags & inspect.CO_GENERATOR) and code.co_filename.startswith(OURS)


def _all_of(exc: BaseException) -> Iterator[BaseException]:
    """An exception, its causes and contexts, and the members of groups."""
    seen: set[int] = set()
    waiting: list[object] = [exc]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += (each.__cause__, each.__context__)
            members = getattr(each, "exceptions", None)
            waiting += members if isinstance(members, tuple) else ()


def _cleaned(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Clean the exception, and what pytest has noted of its traceback, should anybody have asked for that before."""
    with suppress(Exception):  # it is shown as it is: a fault of ours ends no run
        without_ours(excinfo.value)
        excinfo.traceback = type(excinfo.traceback)(excinfo.tb)


class FramesPlugin:
    """Cleans what is about to be shown of an exception that has passed through one of our wrappers.

    Most runs have none: it is registered by the first.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Before pytest, or any other plugin, makes a report of it."""
        if call.excinfo is not None:
            _cleaned(call.excinfo)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Before the terminal shows where it happened."""
        _cleaned(excinfo)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: object, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A hook of somebody else's has failed; pytest has made the text already: it is made once more."""
        _cleaned(excinfo)
        option = self._config.option
        with suppress(Exception):  # the text as it is serves, too
            fresh = excinfo.getrepr(
                funcargs=True, showlocals=option.showlocals, style="long" if option.fulltrace else "native"
            )
            vars(excrepr).update(vars(fresh))
