"""What each option's text stands for, and the text that stands for each value."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TypeVar

from leaktrace.options.sizes import format_duration, format_size, parse_duration, parse_size


T = TypeVar("T")

FAIL_ON_WORDS = ("leak", "cache", "one_time", "undecided", "unreplayable", "suspect", "state", "unjudged")
"""What a run can be failed on: the verdicts in lower case, a suspect of the watch, changed state, and what budget,
time-out or interruption left unjudged."""

KINDS = ("memory", "objects", "fds", "sockets", "threads", "processes", "tasks", "files", "gpu", "state")
"""The kinds of leak that can be looked for."""

OF_THINGS = KINDS[2:]
"""Those that leave something behind that can be counted, or has a size of its own."""


MOST_DIGITS = 18
"""More would not fit into what counts it."""


class Mode(Enum):
    """How much is done."""

    WATCH = "watch"
    """One pass with cheap readings."""
    CONFIRM = "confirm"
    """Watch, then replay, judge and explain each suspect."""
    HUNT = "hunt"
    """Watch, then screen every test in children, and judge what grows."""
    OFF = "off"
    """Nothing at all."""


def _choice(words: tuple[str, ...]) -> ValueError:
    return ValueError(f"write {words[0]}" if len(words) == 1 else f"write one of {', '.join(words)}")


def parse_switch(text: str) -> bool:
    """`yes` or `no`."""
    word = text.strip().lower()
    if word not in ("yes", "no"):
        raise _choice(("yes", "no"))
    return word == "yes"


def format_switch(value: bool) -> str:  # noqa: FBT001 - a value of its own
    """The word for it."""
    return "yes" if value else "no"


def parse_mode(text: str) -> Mode:
    """A mode by its word."""
    try:
        return Mode(text.strip().lower())
    except ValueError:
        raise _choice(tuple(mode.value for mode in Mode)) from None


def parse_count(text: str) -> int:
    """A whole number from 1."""
    if not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) <= MOST_DIGITS and int(text) >= 1):
        raise ValueError("write digits, such as 1 or 4")
    return int(text)


def parse_jobs(text: str) -> int | None:
    """A whole number from 1, or None for `auto`."""
    return _unless("auto", parse_count, text, remedy="auto")


def format_jobs(jobs: int | None) -> str:
    """The way back."""
    return "auto" if jobs is None else str(jobs)


def parse_budget(text: str) -> float | None:
    """Seconds, or None for `none`."""
    return _unless("none", parse_duration, text, remedy="none for no bound")


def _unless(word: str, parse: Callable[[str], T], text: str, *, remedy: str) -> T | None:
    """What a text says, or None where it is the word that stands for no value."""
    try:
        return None if text.strip().lower() == word else parse(text)
    except ValueError as error:
        raise ValueError(f"{error}, or {remedy}") from error


def format_budget(budget_s: float | None) -> str:
    """The way back."""
    return "none" if budget_s is None else format_duration(budget_s)


def _parse_words(text: str, words: tuple[str, ...]) -> frozenset[str]:
    """The words between commas, `-` as good as `_`; nothing, or `none`, is no word."""
    stripped = (word.strip() for word in text.split(","))
    given = [word.lower().replace("-", "_") for word in stripped if word]
    if given in ([], ["none"]):
        return frozenset()
    for word in given:
        if word not in words:
            raise ValueError(f"the word {word!r} is unknown; {_choice(words)}")
    return frozenset(given)


def parse_fail_on(text: str) -> frozenset[str]:
    """Some of `FAIL_ON_WORDS`, or none."""
    return _parse_words(text, FAIL_ON_WORDS)


def parse_kinds(text: str) -> frozenset[str]:
    """Some of `KINDS`, or `all`."""
    if text.strip().lower() == "all":
        return frozenset(KINDS)
    kinds = _parse_words(text, KINDS)
    if not kinds:
        raise ValueError(f"nothing would be looked for; {_choice(KINDS)}")
    return kinds


def format_words(words: frozenset[str]) -> str:
    """The words in the table's own order, so that equal sets read the same."""
    return ",".join(word for word in dict.fromkeys(FAIL_ON_WORDS + KINDS) if word in words) or "none"


def format_kinds(kinds: frozenset[str]) -> str:
    """The way back."""
    return "all" if kinds >= set(KINDS) else format_words(kinds)


def parse_patterns(text: str) -> tuple[str, ...]:
    """The regular expressions between commas; a comma in braces, as in `x{1,3}`, does not part them."""
    import re  # noqa: PLC0415 - only for who gives some
    import warnings  # noqa: PLC0415

    patterns = tuple(part.strip() for part in re.split(r",(?![^{]*\})", text) if part.strip())
    for pattern in patterns:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a warning of `re` is no error, not even under `-W error`
                re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(
                f"{pattern[:80]!r} is no regular expression ({error}); write one such as ^/dev/"
            ) from error
    return patterns


def parse_path(text: str) -> Path | None:
    """A path, or None for an empty text."""
    return Path(text) if text else None


def format_path(path: Path | None) -> str:
    """The way back."""
    return "" if path is None else str(path)


def parse_allowances(text: str) -> tuple[tuple[str, int], ...]:
    """`fds:2,gpu:100MB` as pairs of a kind and how many things, or how many bytes, in the table's order."""
    given: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        kind, colon, amount = (piece.strip() for piece in part.partition(":"))
        kind = kind.lower()
        if kind == "memory":
            raise ValueError("memory has a limit of its own; write leaktrace_limit, or limit in a marker")
        if kind not in OF_THINGS:
            raise ValueError(f"the kind {kind!r} is unknown; {_choice(OF_THINGS)}")
        if not colon:
            raise ValueError(f"{part!r} has no amount; write {kind}:{'100MB' if kind == 'gpu' else '1'}")
        given[kind] = parse_size(amount) if kind == "gpu" else parse_count(amount)
    return tuple((kind, given[kind]) for kind in OF_THINGS if kind in given)


def format_allowances(allowances: tuple[tuple[str, int], ...]) -> str:
    """The pairs between commas."""
    return ",".join(f"{kind}:{format_size(amount) if kind == 'gpu' else amount}" for kind, amount in allowances)
