"""The nouns of lines: a frame of a stack, and a site with what it brings a run. They travel as plain JSON values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One line of an allocation's stack."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A line that allocates what is leaked; `adds` marks the line that puts it into the holder instead."""

    file: str
    line: int
    function: str
    bytes_per_run: float
    count_per_run: float
    code: str = ""
    stack: tuple[Frame, ...] = ()
    adds: bool = False
