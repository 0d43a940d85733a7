"""The very line that puts something into a container: one more run, looked at line by line."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

from leaktrace.lines.allocations import Places, Stack
from leaktrace.pristine import sys, threading, time


_MOST_DEPTH = 25


class LineWatch:
    """Runs a suspect once under a trace function and notes the line after which each probe's value had changed.

    Only the suspect's own files are followed line by line: an addition inside the interpreter's library is seen at the
    next line of the suspect, and so credited to the line that called the library.
    """

    __slots__ = ("_deadline", "_last", "_places", "_probes", "_signed", "_values", "found")

    def __init__(
        self, probes: Sequence[Callable[[], int]], places: Places, *, budget_s: float, signed: bool = False
    ) -> None:
        """Watch some probes.

        Args:
            probes: each gives a number that rises when something is added.
            places: tells the suspect's files.
            budget_s: after so many seconds nothing is looked at any more.
            signed: sum up rises and falls by line, instead of counting the rises.
        """
        self._signed = signed
        self._probes = list(probes)
        self._values = [probe() for probe in probes]
        self._places = places
        self._deadline = time.perf_counter() + budget_s
        # Only running frames are ever held here, so that nothing lives longer than without us.
        self._last: dict[int, tuple[types.FrameType, int]] = {}
        self.found: list[dict[Stack, int]] = [{} for _ in probes]

    def __call__(self, run: Callable[[], object]) -> None:
        """Run once; whatever the trace function was before is put back."""
        before, before_threads = sys.gettrace(), threading.gettrace()
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            run()
        finally:
            sys.settrace(before)
            threading.settrace(before_threads)
            self._look(threading.get_ident())
            self._last.clear()

    def _enter(self, frame: types.FrameType, _event: str, _arg: Any) -> Any:
        if time.perf_counter() > self._deadline:
            sys.settrace(None)
            return None
        if self._places.owner_of(frame.f_code.co_filename) != "suspect":
            return None
        self._step(frame)
        return self._on_line

    def _on_line(self, frame: types.FrameType, event: str, _arg: Any) -> Any:
        if event in {"line", "return"}:
            self._step(frame)
            if event == "return" and frame.f_back is not None:
                self._remember(frame.f_back)
        return self._on_line

    def _step(self, frame: types.FrameType) -> None:
        self._look(threading.get_ident())
        self._remember(frame)

    def _look(self, thread: int) -> None:
        """Credit what has changed since the last event to the line that was running."""
        for index, probe in enumerate(self._probes):
            value = probe()
            if value != self._values[index]:
                rose = value - self._values[index]
                self._values[index] = value
                last = self._last.get(thread)
                if last is not None and (rose > 0 or self._signed):
                    found, stack = self.found[index], _stack(*last)
                    found[stack] = found.get(stack, 0) + (rose if self._signed else 1)

    def _remember(self, frame: types.FrameType) -> None:
        self._last[threading.get_ident()] = (frame, frame.f_lineno)


def _stack(frame: types.FrameType, line: int) -> Stack:
    stack = [(frame.f_code.co_filename, line)]
    step = frame.f_back
    while step is not None and len(stack) < _MOST_DEPTH:
        stack.append((step.f_code.co_filename, step.f_lineno))
        step = step.f_back
    return tuple(stack)
