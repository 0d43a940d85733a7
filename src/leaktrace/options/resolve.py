"""From texts in four places to one frozen `Options`, and back to a command line or a header line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from leaktrace.errors import OptionError
from leaktrace.options.table import TABLE, Option, Options, Source
from leaktrace.options.values import Mode
from leaktrace.words import escaped


_WIDTH = 80
_MARKER_KEYS = (*(option.marker for option in TABLE.values() if option.marker), "off", "reason")


def declare(add_option: Callable[..., Any], add_ini: Callable[..., Any]) -> None:
    """Register the whole table: `add_option` is a parser group's `addoption`, `add_ini` the parser's `addini`.

    Values stay texts and default to None, so that `resolve` knows exactly which were given.
    """
    defaults = Options()
    for name, option in TABLE.items():
        told = f"{option.help} Default: {option.format(getattr(defaults, name)) or 'none'}."
        for flag, text in option.switches.items():
            add_option(
                flag,
                action="append_const",
                const=text,
                dest=option.dest,
                default=None,
                help=f"Same as the ini option {option.ini} = {text}.",
            )
        if option.flag:
            more = {"action": "append"} if option.many else {}
            add_option(option.flag, dest=option.dest, default=None, metavar=option.metavar, help=told, **more)
        # Words may stand in a TOML list; pytest hands those over only for this type, and splits an ini file's line.
        words = "args" if option.choices and option.flag else "string"
        add_ini(option.ini, told, type="linelist" if option.many else words, default=None)


def resolve(
    *,
    command_line: Mapping[str, object],
    ini: Callable[[str], object],
    ini_name: str | None,
    environ: Mapping[str, str],
) -> Options:
    """The options of this run: for each, the text of the highest source that gives one.

    Args:
        command_line: what pytest parsed, by `dest`; None or absent is not given.
        ini: the ini file's value for a key, or None: a text, or a list of words.
        ini_name: file name of that ini file, for messages.
        environ: an empty variable is as good as none.

    Raises:
        OptionError: a value breaks its rule, or two switches contradict each other.
    """
    found = Options(ini_name=ini_name)
    for name, option in TABLE.items():
        given = (
            (Source.COMMAND_LINE, _typed(option, command_line.get(option.dest))),
            (Source.ENVIRONMENT, environ.get(option.env) or None),
            (Source.INI, _plain(ini(option.ini))),
        )
        for source, text in given:
            if text is not None:
                found = _with(found, name, text, source)
                break
    return found


def with_marker(options: Options, kwargs: Mapping[str, object]) -> Options:
    """The options of one test under `@pytest.mark.leaktrace(**kwargs)`.

    `off=True` turns the mode off; `reason` is kept as it is. Of several markers pass the union, the closest winning.

    Raises:
        OptionError: an unknown keyword, or a value that breaks its rule.
    """
    for key in kwargs:
        if key not in _MARKER_KEYS:
            raise OptionError(
                f"@pytest.mark.leaktrace has no keyword {key!r}; write one of {', '.join(_MARKER_KEYS)}",
                slug="marker-keyword",
            )
    off = kwargs.get("off", False)
    if not isinstance(off, bool):
        raise OptionError(
            f"off of @pytest.mark.leaktrace needs True or False, got {off!r}; write off=True", slug="option-value"
        )
    found = replace(options, reason=str(kwargs.get("reason", options.reason)))
    if off:
        found = _with(found, "mode", Mode.OFF.value, Source.MARKER)
    for name, option in TABLE.items():
        if option.marker is not None and option.marker in kwargs:
            found = _with(found, name, _marked(option, kwargs[option.marker]), Source.MARKER)
    return found


def _marked(option: Option, value: object) -> str:
    """A marker's value as a text: where several may be given, a list or a mapping will do."""
    if option.many and isinstance(value, Mapping):
        return ",".join(f"{key}:{each}" for key, each in value.items())
    if option.many and isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def to_argv(options: Options) -> list[str]:
    """Arguments that give a child exactly these values, whatever its ini file and environment say."""
    return [_argument(option, option.format(getattr(options, name))) for name, option in TABLE.items()]


def describe(options: Options) -> str:
    """The header line: the mode, the limit, and whatever was set, each with its source.

    A switch is its own source: `pytest --leaktrace` reads `confirm`. Wrapped at 80 columns.
    """
    if options.mode is Mode.OFF:
        return "leaktrace: off"
    parts = [_shown(options, name) for name in TABLE if name in ("mode", "limit_bytes") or _source(options, name)]
    lines = ["leaktrace: " + parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(", ") + len(part) + len(",") <= _WIDTH:
            lines[-1] += ", " + part
        else:
            lines[-1] += ","
            lines.append(" " * len("leaktrace: ") + part)
    return "\n".join(lines)


def refused(options: Options, name: str, why: str) -> OptionError:
    """What is wrong with a value that its rule lets pass and the world does not, with its source."""
    option = TABLE[name]
    place, text = _place(option, _source(options, name), options.ini_name), option.format(getattr(options, name))
    return OptionError(f"{place} needs {option.rule}, got {text!r}: {why}", slug="option-value")


def _with(options: Options, name: str, text: str, source: Source) -> Options:
    """`options` with the value that `text` stands for, and its source."""
    option = TABLE[name]
    try:
        value = option.parse(text)
    except ValueError as error:
        place = _place(option, source, options.ini_name)
        raise OptionError(f"{place} needs {option.rule}, got {text!r}: {error}", slug="option-value") from error
    changed: dict[str, Any] = {name: value, "origin": {**options.origin, name: source}}
    return replace(options, **changed)


def _typed(option: Option, value: object) -> str | None:
    """The text given on the command line; switches collect theirs in a list, to see a contradiction."""
    if option.many:
        return _plain(value)
    if not option.switches or value is None:
        return None if value is None else str(value)
    texts = set(value) if isinstance(value, list) else {str(value)}
    if len(texts) > 1:
        flags = [flag for flag, text in option.switches.items() if text in texts]
        raise OptionError(
            f"{' and '.join(flags)} contradict each other on the command line (addopts included): give one of them; "
            f"a project's own choice belongs into its ini file as {option.ini} = {'|'.join(option.choices)}",
            slug="option-conflict",
        )
    return texts.pop() if texts else None


def _plain(value: object) -> str | None:
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return None if value is None else str(value)


def _argument(option: Option, text: str) -> str:
    if option.flag:
        return f"{option.flag}={text}"
    return next(flag for flag, stands_for in option.switches.items() if stands_for == text)


def _shown(options: Options, name: str) -> str:
    option, source = TABLE[name], _source(options, name)
    text = option.format(getattr(options, name)) or "none"
    words = text if name == "mode" else f"{option.name} {text}"
    label = _label(option, source, options.ini_name)
    return escaped(f"{words} ({label})" if label else words)


def _source(options: Options, name: str) -> Source:
    return options.origin.get(name, Source.DEFAULT)


def _label(option: Option, source: Source, ini_name: str | None) -> str:
    """The source as the header shows it; "" where there is nothing to add."""
    return {
        Source.DEFAULT: "",
        Source.INI: ini_name or "ini",
        Source.ENVIRONMENT: option.env,
        Source.COMMAND_LINE: option.flag,
        Source.MARKER: "marker",
    }[source]


def _place(option: Option, source: Source, ini_name: str | None) -> str:
    """The source as a message names it."""
    return {
        Source.DEFAULT: option.name,
        Source.INI: f"{option.ini} in {ini_name or 'the ini file'}",
        Source.ENVIRONMENT: f"{option.env} in the environment",
        Source.COMMAND_LINE: f"{option.flag} on the command line",
        Source.MARKER: f"{option.marker} of @pytest.mark.leaktrace",
    }[source]
