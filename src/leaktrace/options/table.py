"""The option table as data: each option is declared once, on its field of `Options`."""

# ruff: noqa: RUF009 - `_option` is `field` with the option's metadata filled in

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from leaktrace.options.sizes import format_duration, format_size, parse_duration, parse_size


T = TypeVar("T")

FAIL_ON_WORDS = ("leak", "cache", "one_time", "undecided", "unreplayable", "suspect", "state")
"""What a run can be failed on: the verdicts in lower case, a suspect that was not replayed, and changed state."""

_FIVE_MINUTES_S: float | None = 300.0

KINDS = ("memory", "objects", "fds", "sockets", "threads", "processes", "tasks", "files", "gpu", "state")
"""The kinds of leak that can be looked for."""


class Source(IntEnum):
    """Where a value came from; a higher one wins."""

    DEFAULT = 0
    INI = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3
    MARKER = 4


class Mode(Enum):
    """How much is done."""

    WATCH = "watch"
    """One pass with cheap readings."""
    CONFIRM = "confirm"
    """Watch, then replay, judge and explain each suspect."""
    HUNT = "hunt"
    """Run every test several times in place."""
    OFF = "off"
    """Nothing at all."""


class Option(NamedTuple):
    """One option, with all the names that it goes by.

    No dataclass: every test session of every user waits for this class to be made, and a tuple's takes a fifth.

    Attributes:
        name: its word in the header line (`limit`).
        flag: on the command line (`--leaktrace-limit`); "" where `switches` stand for it.
        switches: flags without a value, each with the text that it stands for.
        ini: key in the ini file.
        env: environment variable.
        dest: where the command line's value is stored, unparsed.
        marker: keyword of `@pytest.mark.leaktrace`, or None where it makes no sense for one test.
        metavar: what the value is called in `--help`.
        rule: what a value must be, to be read after “needs”.
        help: one sentence.
        choices: the words that a value is made of; empty where any value of the rule will do.
        parse: text to value; raises `ValueError` with what is wrong and what to do.
        format: value to a text that `parse` reads back as the same value.
        many: whether it may be given several times; the values add up.
    """

    name: str
    flag: str
    switches: Mapping[str, str]
    ini: str
    env: str
    dest: str
    marker: str | None
    metavar: str
    rule: str
    help: str
    choices: tuple[str, ...]
    parse: Callable[[str], Any]
    format: Callable[[Any], str]
    many: bool = False


def _option(
    name: str,
    *,
    default: T,
    parse: Callable[[str], T],
    format: Callable[[T], str],  # noqa: A002 - the pair is called parse and format everywhere
    rule: str,
    help: str,  # noqa: A002 - argparse's word
    metavar: str = "",
    marker: str | None = None,
    choices: tuple[str, ...] = (),
    switches: Mapping[str, str] | None = None,
    key: str | None = None,
    many: bool = False,
) -> T:
    """A field of `Options` that carries its `Option`; the names follow from `name` unless `key` says otherwise."""
    key = f"leaktrace_{name}" if key is None else key
    option = Option(
        name=name.replace("_", "-"),
        flag="" if switches else "--" + key.replace("_", "-"),
        switches=switches or {},
        ini=key,
        env=key.upper(),
        dest=f"leaktrace_{name}",
        marker=marker,
        metavar=metavar,
        rule=rule,
        help=help,
        choices=choices,
        parse=parse,
        format=format,
        many=many,
    )
    declared: T = field(default=default, metadata={"option": option})
    return declared


def _choice(words: tuple[str, ...]) -> ValueError:
    return ValueError(f"write {words[0]}" if len(words) == 1 else f"write one of {', '.join(words)}")


def _parse_mode(text: str) -> Mode:
    try:
        return Mode(text.strip().lower())
    except ValueError:
        raise _choice(tuple(mode.value for mode in Mode)) from None


def _parse_count(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit() and int(text) >= 1):
        raise ValueError("write digits, such as 1 or 4")
    return int(text)


def _parse_budget(text: str) -> float | None:
    try:
        return None if text.strip().lower() == "none" else parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{error}, or none for no bound") from error


def _format_budget(budget_s: float | None) -> str:
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


def _parse_fail_on(text: str) -> frozenset[str]:
    return _parse_words(text, FAIL_ON_WORDS)


def _parse_kinds(text: str) -> frozenset[str]:
    if text.strip().lower() == "all":
        return frozenset(KINDS)
    kinds = _parse_words(text, KINDS)
    if not kinds:
        raise ValueError(f"nothing would be looked for; {_choice(KINDS)}")
    return kinds


def _format_words(words: frozenset[str]) -> str:
    """The words in the table's own order, so that equal sets read the same."""
    return ",".join(word for word in dict.fromkeys(FAIL_ON_WORDS + KINDS) if word in words) or "none"


def _format_kinds(kinds: frozenset[str]) -> str:
    return "all" if kinds >= set(KINDS) else _format_words(kinds)


def _parse_patterns(text: str) -> tuple[str, ...]:
    """The regular expressions between commas; a comma in braces, as in `x{1,3}`, does not part them."""
    import re  # noqa: PLC0415 - only for who gives some

    patterns = tuple(part.strip() for part in re.split(r",(?![^{]*\})", text) if part.strip())
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:  # noqa: PERF203 - a handful, once
            raise ValueError(f"{pattern!r} is no regular expression ({error}); write one such as ^/dev/") from error
    return patterns


def _parse_path(text: str) -> Path | None:
    return Path(text) if text else None


def _format_path(path: Path | None) -> str:
    return "" if path is None else str(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All settings of a run or, after `with_marker`, of one test; two are equal whatever their values' sources.

    Attributes:
        reason: why a marker says what it says, or "".
        origin: the source of each value by field name; what is not named is a default.
        ini_name: file name of the ini file in force (`pyproject.toml`), or None.
    """

    mode: Mode = _option(
        "mode",
        key="leaktrace",
        default=Mode.WATCH,
        parse=_parse_mode,
        format=lambda mode: mode.value,
        choices=tuple(mode.value for mode in Mode),
        rule="watch, confirm, hunt or off",
        help="How much is done: watch, confirm, hunt or off.",
        switches={
            "--leaktrace": "confirm",
            "--leaktrace-hunt": "hunt",
            "--leaktrace-watch": "watch",
            "--no-leaktrace": "off",
        },
    )
    limit_bytes: int = _option(
        "limit",
        default=10_000_000,
        parse=parse_size,
        format=format_size,
        marker="limit",
        metavar="SIZE",
        rule="a size such as 10MB, 64 KiB or 1048576",
        help="Growth of one test above which it is a suspect (MB is 10**6 bytes, MiB 2**20).",
    )
    fail_on: frozenset[str] = _option(
        "fail_on",
        default=frozenset[str](),
        parse=_parse_fail_on,
        format=_format_words,
        metavar="WORDS",
        choices=FAIL_ON_WORDS,
        rule="none, or words such as leak,undecided",
        help=f"Exit with status 1 if any of these was found in a passing run: {', '.join(FAIL_ON_WORDS)}.",
    )
    jobs: int = _option(
        "jobs",
        default=1,
        parse=_parse_count,
        format=str,
        metavar="N",
        rule="a whole number from 1",
        help="How many replay children run at the same time.",
    )
    budget_s: float | None = _option(
        "budget",
        default=_FIVE_MINUTES_S,
        parse=_parse_budget,
        format=_format_budget,
        metavar="TIME",
        rule="none, or a time such as 60s, 2m or 500ms",
        help="Time for all replays together; none is no bound.",
    )
    timeout_s: float = _option(
        "timeout",
        default=300.0,
        parse=parse_duration,
        format=format_duration,
        metavar="TIME",
        rule="a time such as 60s, 2m or 500ms",
        help="Time after which the replay of one suspect is given up.",
    )
    kinds: frozenset[str] = _option(
        "kinds",
        default=frozenset(KINDS),
        parse=_parse_kinds,
        format=_format_kinds,
        metavar="KINDS",
        choices=KINDS,
        rule="all, or kinds of leak such as memory,fds,threads",
        help=f"Kinds of leak to look for: {', '.join(KINDS)}.",
    )
    ignore: tuple[str, ...] = _option(
        "ignore",
        default=(),
        parse=_parse_patterns,
        format=",".join,
        marker="ignore",
        metavar="REGEX",
        many=True,
        rule="regular expressions",
        help="Things whose name or target matches are nobody's leak; may be given several times, or with commas.",
    )
    known_path: Path | None = _option(
        "known",
        default=None,
        parse=_parse_path,
        format=_format_path,
        metavar="PATH",
        rule="a path",
        help="JSON file of known leaks of others, beside those that come with leaktrace.",
    )
    json_path: Path | None = _option(
        "json",
        default=None,
        parse=_parse_path,
        format=_format_path,
        metavar="PATH",
        rule="a path",
        help="File that the casebook is written to as JSON.",
    )
    dir_path: Path | None = _option(
        "dir",
        default=None,
        parse=_parse_path,
        format=_format_path,
        metavar="PATH",
        rule="a path",
        help="Folder for journals, in place of one in pytest's cache.",
    )
    keep: int = _option(
        "keep",
        default=10,
        parse=_parse_count,
        format=str,
        metavar="N",
        rule="a whole number from 1",
        help="How many of the last runs' journals stay in the folder.",
    )
    reason: str = field(default="", compare=False)
    origin: Mapping[str, Source] = field(default_factory=dict[str, Source], compare=False)
    ini_name: str | None = field(default=None, compare=False)


TABLE: Mapping[str, Option] = {
    each.name: each.metadata["option"] for each in fields(Options) if "option" in each.metadata
}
"""Every option by its field of `Options`."""
