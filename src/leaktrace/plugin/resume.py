"""`--leaktrace-resume`: only what the last run of this folder had left unjudged is run, and judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from leaktrace.errors import FileError
from leaktrace.files import folders, read_bounded, write_private
from leaktrace.serialize import decode, encode, loads
from leaktrace.suspects.model import Suspect


if TYPE_CHECKING:
    from leaktrace.confirm.part import Findings


NAME = "unjudged.json"
VERSION = 1
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """What a run had left.

    Attributes:
        nodeids: the tests to run again.
        suspects: those of them that the watch had accused already, with fixtures and groups.
    """

    version: int = VERSION
    nodeids: tuple[str, ...] = ()
    suspects: tuple[Suspect, ...] = ()


def write_unjudged(base: Path, found: Findings, complain: Callable[[str], None]) -> None:
    """Note what is left, which may be nothing."""
    tests = [*found.left_out, *(nodeid for each in found.unjudged for nodeid in each.nodeids)]
    left = Unjudged(nodeids=tuple(dict.fromkeys(tests)), suspects=found.unjudged)
    path = base / NAME
    try:
        if not left.nodeids and not path.exists():
            return
        folders(str(base))
        write_private(path, json.dumps(encode(left)).encode())
    except OSError as exc:
        complain(f"what was not judged could not be noted for --leaktrace-resume in {path}: {exc}")


def read_unjudged(base: Path) -> Unjudged:
    """What the last run had left; nothing where there was none.

    Raises:
        FileError: the note cannot be read.
    """
    path = base / NAME
    try:
        return decode(Unjudged, loads(read_bounded(path, MAX_BYTES)))
    except FileNotFoundError:
        return Unjudged()
    except (OSError, ValueError, RecursionError, FileError) as exc:
        raise FileError(f"{path} cannot be read ({exc}): remove it, and run without --leaktrace-resume") from exc


class ResumePlugin:
    """Deselects what was judged; where nothing was left, all tests run."""

    def __init__(self, left: Unjudged) -> None:
        self._left = left

    def pytest_report_header(self) -> str:
        """Say what is run."""
        count = len(self._left.nodeids)
        return (
            f"leaktrace: resume: {f'{count} left unjudged by the last run' if count else 'nothing was left unjudged'}"
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep what is left, in its order."""
        wanted = frozenset(self._left.nodeids)
        kept: Sequence[pytest.Item] = [item for item in items if item.nodeid in wanted]
        if wanted and kept and len(kept) < len(items):
            config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in wanted])
            items[:] = kept
