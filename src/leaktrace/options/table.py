"""The option table as data: each option is declared once, on its field of `Options`."""

# ruff: noqa: RUF009 - `_option` is `field` with the option's metadata filled in

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from leaktrace.options.sizes import format_duration, format_size, parse_duration, parse_size
from leaktrace.options.values import (
    FAIL_ON_WORDS,
    KINDS,
    Mode,
    format_allowances,
    format_budget,
    format_jobs,
    format_kinds,
    format_path,
    format_switch,
    format_words,
    parse_allowances,
    parse_budget,
    parse_count,
    parse_fail_on,
    parse_jobs,
    parse_kinds,
    parse_mode,
    parse_path,
    parse_patterns,
    parse_switch,
)


T = TypeVar("T")

_FIVE_MINUTES_S: float | None = 300.0


class Source(IntEnum):
    """Where a value came from; a higher one wins."""

    DEFAULT = 0
    INI = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3
    MARKER = 4


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
        writes: `file` or `folder` where it names what is to be written; whether it can be is found out at the start.
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
    writes: Literal["", "file", "folder"] = ""


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
    writes: Literal["", "file", "folder"] = "",
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
        writes=writes,
    )
    declared: T = field(default=default, metadata={"option": option})
    return declared


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
        parse=parse_mode,
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
        parse=parse_fail_on,
        format=format_words,
        metavar="WORDS",
        choices=FAIL_ON_WORDS,
        rule="none, or words such as leak,undecided",
        help=f"Exit with status 1 if any of these was found in a passing run: {', '.join(FAIL_ON_WORDS)}.",
    )
    jobs: int | None = _option(
        "jobs",
        default=None,
        parse=parse_jobs,
        format=format_jobs,
        metavar="N",
        rule="auto, or a whole number from 1",
        help="How many replay children run at the same time; auto: as many as xdist had workers, else one.",
    )
    budget_s: float | None = _option(
        "budget",
        default=_FIVE_MINUTES_S,
        parse=parse_budget,
        format=format_budget,
        metavar="TIME",
        rule="none, or a time such as 60s, 2m or 500ms",
        help="Total time for replays; none for no limit.",
    )
    resume: bool = _option(
        "resume",
        default=False,
        parse=parse_switch,
        format=format_switch,
        choices=("yes", "no"),
        rule="yes or no",
        help="Run and judge only what the last run of this folder had left unjudged.",
        switches={"--leaktrace-resume": "yes", "--no-leaktrace-resume": "no"},
    )
    timeout_s: float = _option(
        "timeout",
        default=300.0,
        parse=parse_duration,
        format=format_duration,
        metavar="TIME",
        rule="a time such as 60s, 2m or 500ms",
        help="Time after which the replay of one suspect is given up, and the suspect not judged.",
    )
    kinds: frozenset[str] = _option(
        "kinds",
        default=frozenset(KINDS),
        parse=parse_kinds,
        format=format_kinds,
        metavar="KINDS",
        choices=KINDS,
        rule="all, or kinds of leak such as memory,fds,threads",
        help=f"Kinds of leak to look for: {', '.join(KINDS)}.",
    )
    ignore: tuple[str, ...] = _option(
        "ignore",
        default=(),
        parse=parse_patterns,
        format=",".join,
        marker="ignore",
        metavar="REGEX",
        many=True,
        rule="regular expressions",
        help="Things whose name or target matches are nobody's leak; may be given several times, or with commas.",
    )
    allow: tuple[tuple[str, int], ...] = _option(
        "allow",
        default=(),
        parse=parse_allowances,
        format=format_allowances,
        marker="allow",
        metavar="KIND:N",
        many=True,
        rule="kinds with how many things of each, such as fds:2,threads:1 (gpu with a size)",
        help="What a test or fixture may leave behind of a kind; may be given several times, or with commas.",
    )
    known_path: Path | None = _option(
        "known",
        default=None,
        parse=parse_path,
        format=format_path,
        metavar="PATH",
        rule="the path of a file",
        help="TOML file of known leaks of others, beside those that come with leaktrace.",
    )
    json_path: Path | None = _option(
        "json",
        default=None,
        parse=parse_path,
        format=format_path,
        metavar="PATH",
        writes="file",
        rule="a file that can be written",
        help="File that the casebook is written to as JSON.",
    )
    dir_path: Path | None = _option(
        "dir",
        default=None,
        parse=parse_path,
        format=format_path,
        metavar="PATH",
        writes="folder",
        rule="a folder that can be written",
        help="Folder for journals, in place of one in pytest's cache.",
    )
    keep: int = _option(
        "keep",
        default=10,
        parse=parse_count,
        format=str,
        metavar="N",
        rule="a whole number from 1",
        help="How many of the last runs' journals stay in the folder.",
    )
    reason: str = field(default="", compare=False)
    origin: Mapping[str, Source] = field(default_factory=dict[str, Source], compare=False)
    ini_name: str | None = field(default=None, compare=False)

    def written(self, what: str) -> dict[str, Path]:
        """The files, or the folders, that are to be written, by the field that names them."""
        named = {name: getattr(self, name) for name, option in TABLE.items() if option.writes == what}
        return {name: path for name, path in named.items() if path is not None}


TABLE: Mapping[str, Option] = {
    each.name: each.metadata["option"] for each in fields(Options) if "option" in each.metadata
}
"""Every option by its field of `Options`."""
