"""`leaktrace bisect NODEID`: which tests must run before this one to make it leak."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from leaktrace.bisection.search import Bisected, Bisection, find_target, predecessors, reproduction
from leaktrace.bisection.trial_cache import kept_trials
from leaktrace.errors import ReplayError
from leaktrace.files import temporary_folder
from leaktrace.options import Options, parse_duration, parse_size
from leaktrace.replay.base import interpreter
from leaktrace.replay.collection import Collected, collect_tests
from leaktrace.replay.pool import Bounds, Pool
from leaktrace.replay.protocol import Settings, Target
from leaktrace.report.terminal import WIDTH, block
from leaktrace.words import count, escaped, wrapped


ABOUT = (
    "Find the smallest set of earlier tests that makes a test leak: one that leaks in the suite and is steady alone. "
    "Each step runs a part of them, and then the test, in a process of its own."
)
SHOWN = 50
T = TypeVar("T")


def declare(commands: Any) -> None:
    """Add the subcommand to argparse's."""
    parser = commands.add_parser(
        "bisect",
        help="find the earlier tests that make a test leak",
        description=ABOUT,
        usage="leaktrace bisect [options] NODEID [-- PYTEST-ARGUMENT ...]",
        epilog="The order of the tests is that of the newest run in pytest's cache in which any came before this one.",
    )
    parser.add_argument("nodeid", metavar="NODEID", help="the test, as pytest writes it: tests/test_a.py::test_b")
    parser.add_argument(
        "--after",
        action="append",
        default=[],
        metavar="NODEID",
        help="only look at this earlier test; may be given several times",
    )
    parser.add_argument(
        "--collected", action="store_true", help="take the order of collection instead of that of the newest run"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="make all trials again, whatever earlier calls of this command saw"
    )
    parser.add_argument("--budget", type=_parsed(parse_duration), metavar="TIME", help="time for all steps together")
    parser.add_argument(
        "--timeout",
        type=_parsed(parse_duration),
        default=Options().timeout_s,
        metavar="TIME",
        help="time for each test of a step, 5m unless given",
    )
    parser.add_argument(
        "--limit",
        type=_parsed(parse_size),
        default=Options().limit_bytes,
        metavar="SIZE",
        help="growth of a single run above which it counts, 10MB unless given",
    )
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class _Searched:
    """What was found, and among which tests.

    Attributes:
        target: the test that leaks.
        before: those that were looked at.
        order: where their order comes from, in words.
        found: the smallest set of them.
    """

    target: Target
    before: Sequence[Target]
    order: str
    found: Bisected


def run(options: argparse.Namespace, args: Sequence[str]) -> int:
    """Find them and say so; 0 where they were found."""
    began = time.monotonic()
    folder = temporary_folder("leaktrace-bisect-")
    progress = Progress()
    try:
        searched = _search(options, args, folder, progress)
    finally:
        progress.clear()
        shutil.rmtree(folder, ignore_errors=True)
    found = searched.found
    for line in lines(found, searched.target, searched.before, searched.order):
        sys.stdout.write(f"{escaped(line)}\n")
    known = f" and {found.known} known from earlier calls (--fresh makes them again)" if found.known else ""
    sys.stdout.write(f"{count(found.children, 'trial')}{known}, {time.monotonic() - began:.0f} s\n")
    return 0 if found.outcome == "found" else 1


def _search(options: argparse.Namespace, args: Sequence[str], folder: Path, progress: Progress) -> _Searched:
    """Collect the tests, find out which came before the one that leaks, and look for the smallest set of them."""
    settings = _settings(args)
    progress("collecting")
    collected = collect_tests(settings, folder, timeout_s=options.timeout)
    if not collected.loaded:
        raise ReplayError("pytest does not load leaktrace with these arguments: add `-- -p leaktrace.plugin`")
    target = find_target(collected, options.nodeid, Path(settings.cwd))
    before, order = _before(options, collected, target, Path(settings.cwd))
    trials = kept_trials(
        Path(collected.folder) / "bisect" if collected.folder else None,
        target,
        settings,
        limit_bytes=options.limit,
        fresh=options.fresh,
    )
    bounds = Bounds(budget_s=options.budget, timeout_s=options.timeout)
    with Pool(settings, folder) as pool:
        bisection = Bisection(target, pool, bounds, limit_bytes=options.limit, trials=trials, told=progress)
        return _Searched(target, before, order, bisection.find(before))


def _settings(args: Sequence[str]) -> Settings:
    return Settings(
        args=tuple(args),
        cwd=str(Path.cwd()),
        sys_path=tuple(sys.path),
        environ=dict(os.environ),
        interpreter=interpreter(),
    )


def _before(
    options: argparse.Namespace, collected: Collected, target: Target, cwd: Path
) -> tuple[Sequence[Target], str]:
    """The tests to look at, and where their order comes from."""
    if options.after:
        return [find_target(collected, name, cwd) for name in options.after], "as given"
    return predecessors(collected, target, as_collected=options.collected)


def lines(found: Bisected, target: Target, before: Sequence[Target], order: str) -> Iterator[str]:
    """The answer in words."""
    name, others = target.nodeid, f"{count(len(before), 'test')} before it, {order}"
    if found.outcome == "failed":
        yield from _said(f"{name} could not be judged: {found.symptom}")
    elif found.outcome == "alone":
        yield from _said(f"{name} needs no other test to leak. Alone, too: {found.symptom}.")
        yield f"  pytest --leaktrace {name}"
    elif found.outcome == "gone":
        yield from _said(f"{name} does not leak, neither alone nor after the {others}.")
    else:
        yield from _said(f"{name} leaks after {'this test' if len(found.before) == 1 else 'these tests'}:")
        yield from (f"  {each.nodeid}" for each in found.before[:SHOWN])
        if len(found.before) > SHOWN:
            yield f"  and {len(found.before) - SHOWN} more"
        enough = "Without any of them it does not" if found.whole else "The budget ran out: fewer of them may do"
        if len(found.before) == 1:
            enough = "Alone it does not"
        yield from _said(f"{enough}; it was looked for among the {others}.")
        yield ""
        yield from _seen(found, name)


def _seen(found: Bisected, name: str) -> Iterator[str]:
    """What comes back: the case, or what the first run keeps."""
    if found.case is not None:
        yield from block(found.case)
        return
    yield from _said(f"After them {found.symptom}.")
    yield from _said(f"To see it: {reproduction(found.before, name).replace('--leaktrace-hunt', '--leaktrace')}")


def _said(text: str) -> list[str]:
    return wrapped(text, indent="", width=WIDTH)


class Progress:
    """One line that is written over, on a terminal only."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()

    def __call__(self, text: str) -> None:
        """Show this in place of what was shown."""
        if self._shows:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{escaped(f'leaktrace bisect: {text}')[:width]}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave nothing."""
        if self._shows:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _parsed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A type for argparse whose message is ours."""

    def typed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(f"got {text!r}: {exc}") from exc

    return typed
