"""What could not be looked at, and how much time is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from leaktrace.pristine import time


@dataclass(slots=True)
class Notes:
    """Collects the reasons of parts that failed or were left out; nothing escapes a part but an interrupt."""

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Note something once."""
        if line not in self.lines:
            self.lines.append(line)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part of the trace whose failure must not take the others with it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a stranger's object does to us
            try:
                why = str(error)[:200]
            except Exception:  # noqa: BLE001 - even that
                why = ""
            self.add(f"{name} could not be looked at: {type(error).__name__}{f': {why}' if why else ''}")


@dataclass(slots=True)
class Budget:
    """A span of time that is being used up."""

    seconds: float
    started: float = field(default_factory=time.perf_counter)

    def left_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.seconds - (time.perf_counter() - self.started))
