from __future__ import annotations

import argparse
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktrace.errors import OptionError
from leaktrace.options import (
    FAIL_ON_WORDS,
    TABLE,
    Mode,
    Options,
    Source,
    declare,
    describe,
    resolve,
    to_argv,
    with_marker,
)


def parsed(
    *argv: str,
    ini: Mapping[str, Any] | None = None,
    ini_name: str | None = "pyproject.toml",
    environ: Mapping[str, str] | None = None,
) -> Options:
    """What a run started with these arguments, ini values and variables would get."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    declare(parser.add_argument, lambda *_args, **_kwargs: None)
    return resolve(
        command_line=vars(parser.parse_args(argv)),
        ini=(ini or {}).get,
        ini_name=ini_name,
        environ=environ or {},
    )


def complaint(*argv: str, **sources: Any) -> str:
    with pytest.raises(OptionError) as caught:
        parsed(*argv, **sources)
    return str(caught.value)


def test_nothing_given_is_all_defaults() -> None:
    options = parsed()

    assert options == Options()
    assert options.origin == {}


def test_the_ini_file_wins_over_the_default() -> None:
    options = parsed(ini={"leaktrace_limit": "5MB"})

    assert (options.limit_bytes, options.origin) == (5_000_000, {"limit_bytes": Source.INI})


def test_the_environment_wins_over_the_ini_file() -> None:
    options = parsed(ini={"leaktrace_jobs": "2"}, environ={"LEAKTRACE_JOBS": "3"})

    assert (options.jobs, options.origin) == (3, {"jobs": Source.ENVIRONMENT})


def test_the_command_line_wins_over_the_environment() -> None:
    options = parsed("--leaktrace-budget=2m", environ={"LEAKTRACE_BUDGET": "1h"})

    assert (options.budget_s, options.origin) == (120.0, {"budget_s": Source.COMMAND_LINE})


def test_a_marker_wins_over_the_command_line() -> None:
    options = with_marker(parsed("--leaktrace-limit=1MB"), {"limit": "50MB", "reason": "fills a table"})

    assert (options.limit_bytes, options.reason) == (50_000_000, "fills a table")
    assert options.origin == {"limit_bytes": Source.MARKER}


def test_sources_are_ordered() -> None:
    assert Source.DEFAULT < Source.INI < Source.ENVIRONMENT < Source.COMMAND_LINE < Source.MARKER


def test_a_value_equal_to_the_default_still_knows_its_source() -> None:
    assert parsed("--leaktrace-jobs=1").origin == {"jobs": Source.COMMAND_LINE}


@pytest.mark.parametrize(
    ("flag", "mode"),
    [
        ("--leaktrace", Mode.CONFIRM),
        ("--leaktrace-hunt", Mode.HUNT),
        ("--leaktrace-watch", Mode.WATCH),
        ("--no-leaktrace", Mode.OFF),
    ],
)
def test_each_mode_has_a_flag(flag: str, mode: Mode) -> None:
    assert parsed(flag, ini={"leaktrace": "confirm"}).mode is mode


@pytest.mark.parametrize("mode", Mode)
def test_each_mode_can_be_chosen_in_the_environment(mode: Mode) -> None:
    assert parsed(environ={"LEAKTRACE": mode.value}).mode is mode


def test_the_same_flag_twice_is_no_contradiction() -> None:
    assert parsed("--leaktrace", "--leaktrace").mode is Mode.CONFIRM


def test_contradicting_flags_are_refused_by_name() -> None:
    message = complaint("--leaktrace", "--no-leaktrace")

    assert "--leaktrace and --no-leaktrace contradict each other" in message


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert parsed(environ={"LEAKTRACE_LIMIT": ""}, ini={"leaktrace_limit": "5MB"}).limit_bytes == 5_000_000


def test_an_empty_path_on_the_command_line_undoes_the_ini_files() -> None:
    assert parsed("--leaktrace-json=", ini={"leaktrace_json": "leaks.json"}).json_path is None


def test_words_may_come_in_any_case_and_order() -> None:
    assert parsed("--leaktrace-fail-on=One-Time, LEAK").fail_on == {"one_time", "leak"}


def test_a_toml_list_reads_as_its_words() -> None:
    assert parsed(ini={"leaktrace_fail_on": ["leak", "undecided"]}).fail_on == {"leak", "undecided"}


def test_none_lifts_the_budget() -> None:
    assert parsed("--leaktrace-budget=none").budget_s is None


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        (
            "--leaktrace-limit=10XB",
            "needs a size such as 10MB, 64 KiB or 1048576, got '10XB': the unit 'XB' is unknown",
        ),
        ("--leaktrace-limit=", "got '': it is empty; write a number and one of B, kB"),
        ("--leaktrace-limit=-1MB", "got '-1MB'"),
        ("--leaktrace-jobs=0", "needs auto, or a whole number from 1, got '0': write digits"),
        ("--leaktrace-keep=many", "needs a whole number from 1, got 'many': write digits"),
        ("--leaktrace-budget=0", "got '0': it leaves no time at all; write at least 1ms, or none for no bound"),
        ("--leaktrace-timeout=none", "needs a time such as 60s, 2m or 500ms, got 'none'"),
        ("--leaktrace-fail-on=leek", "the word 'leek' is unknown; write one of leak, cache"),
        ("--leaktrace-kinds=fd", "the word 'fd' is unknown; write one of memory, objects, fds"),
        ("--leaktrace-kinds=", "nothing would be looked for; write one of memory"),
    ],
)
def test_a_bad_value_names_the_value_the_rule_the_source_and_the_remedy(argument: str, wanted: str) -> None:
    message = complaint(argument)

    assert message.startswith(f"{argument.split('=', maxsplit=1)[0]} on the command line needs ")
    assert wanted in message


def test_a_bad_ini_value_names_the_file() -> None:
    assert complaint(ini={"leaktrace": "loud"}).startswith(
        "leaktrace in pyproject.toml needs watch, confirm, hunt or off, got 'loud': write one of"
    )


def test_a_bad_variable_is_named() -> None:
    assert complaint(environ={"LEAKTRACE_TIMEOUT": "soon"}).startswith("LEAKTRACE_TIMEOUT in the environment needs ")


def test_a_value_that_loses_is_not_judged() -> None:
    assert parsed("--leaktrace-jobs=2", ini={"leaktrace_jobs": "many"}).jobs == 2


def test_a_marker_can_switch_a_test_off() -> None:
    options = with_marker(parsed("--leaktrace"), {"off": True, "reason": "talks to a real GPU"})

    assert (options.mode, options.reason) == (Mode.OFF, "talks to a real GPU")
    assert options.origin["mode"] is Source.MARKER


def test_off_false_leaves_the_mode_alone() -> None:
    assert with_marker(parsed("--leaktrace"), {"off": False}).mode is Mode.CONFIRM


def test_a_marker_takes_plain_bytes_as_a_number() -> None:
    assert with_marker(Options(), {"limit": 4096}).limit_bytes == 4096


@pytest.mark.parametrize(
    ("kwargs", "wanted"),
    [
        ({"limt": "1MB"}, "no keyword 'limt'; write one of limit, ignore, allow, off, reason"),
        ({"limit": "1XB"}, "limit of @pytest.mark.leaktrace needs a size"),
        ({"limit": None}, "got 'None'"),
        ({"limit": -1}, "got '-1'"),
        ({"off": "yes"}, "needs True or False, got 'yes'"),
    ],
)
def test_a_bad_marker_says_what_it_may_hold(kwargs: dict[str, Any], wanted: str) -> None:
    with pytest.raises(OptionError) as caught:
        with_marker(Options(), kwargs)

    assert wanted in str(caught.value)


paths = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map(Path)
durations = st.integers(min_value=1, max_value=10**9).map(lambda milliseconds: milliseconds / 1000)
any_options = st.builds(
    Options,
    mode=st.sampled_from(Mode),
    limit_bytes=st.integers(min_value=0, max_value=10**15),
    fail_on=st.frozensets(st.sampled_from(FAIL_ON_WORDS)),
    jobs=st.none() | st.integers(min_value=1, max_value=999),
    budget_s=st.none() | durations,
    timeout_s=durations,
    json_path=paths,
    dir_path=paths,
    keep=st.integers(min_value=1, max_value=999),
    reason=st.just(""),
    origin=st.just({}),
    ini_name=st.none(),
)


@given(any_options)
def test_options_survive_the_way_through_a_command_line(options: Options) -> None:
    assert parsed(*to_argv(options)) == options


@given(any_options)
def test_a_child_gets_the_parents_values_whatever_its_ini_file_and_environment_say(options: Options) -> None:
    ini = {"leaktrace": "hunt", "leaktrace_limit": "1B", "leaktrace_json": "other.json", "leaktrace_fail_on": "cache"}
    environ = {"LEAKTRACE": "off", "LEAKTRACE_KEEP": "77", "LEAKTRACE_DIR": "elsewhere"}

    assert parsed(*to_argv(options), ini=ini, environ=environ) == options


def test_a_long_header_is_wrapped_at_80_columns() -> None:
    header = describe(parsed(*to_argv(Options(budget_s=None, fail_on=frozenset(["leak", "undecided"])))))

    assert len(header.splitlines()) > 2
    assert all(len(line) <= 80 for line in header.splitlines())


def test_all_kinds_are_looked_for_unless_some_are_named() -> None:
    assert parsed().kinds == parsed("--leaktrace-kinds=all").kinds
    assert parsed("--leaktrace-kinds=fds,sockets").kinds == {"fds", "sockets"}


def test_patterns_to_ignore_add_up_and_may_hold_commas_in_braces() -> None:
    options = parsed("--leaktrace-ignore=^/dev/,worker-\\d{1,3}", "--leaktrace-ignore=redis")

    assert options.ignore == ("^/dev/", "worker-\\d{1,3}", "redis")


def test_a_marker_may_list_patterns_to_ignore() -> None:
    assert with_marker(Options(), {"ignore": ["a", "b,c"]}).ignore == ("a", "b", "c")


def test_allowances_add_up_and_come_back_in_the_order_of_the_kinds() -> None:
    options = parsed("--leaktrace-allow=threads:1,gpu:100MB", "--leaktrace-allow=fds: 2")

    assert options.allow == (("fds", 2), ("threads", 1), ("gpu", 100_000_000))
    assert parsed(*to_argv(options)) == options


@pytest.mark.parametrize("given", ["fds:2,tasks:1", ["fds:2", "tasks:1"], {"fds": 2, "tasks": 1}])
def test_a_marker_may_allow_by_a_text_a_list_or_a_mapping(given: dict[str, int] | list[str] | str) -> None:
    assert with_marker(Options(), {"allow": given}).allow == (("fds", 2), ("tasks", 1))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fsd:1", "the kind 'fsd' is unknown; write one of fds, sockets"),
        ("memory:1MB", "memory has a limit of its own"),
        ("fds", "write fds:1"),
        ("fds:some", "write digits"),
        ("gpu:lots", "not a positive number with a unit"),
    ],
)
def test_a_bad_allowance_says_what_it_may_hold(text: str, wanted: str) -> None:
    with pytest.raises(OptionError, match=r"--leaktrace-allow on the command line needs kinds") as caught:
        parsed(f"--leaktrace-allow={text}")

    assert wanted in str(caught.value)


def test_the_header_shows_the_mode_and_the_limit() -> None:
    assert describe(parsed()) == "leaktrace: watch, limit 10MB"


def test_the_header_shows_where_a_value_came_from() -> None:
    header = describe(parsed("--leaktrace", ini={"leaktrace_limit": "10MB"}))

    assert header == "leaktrace: confirm, limit 10MB (pyproject.toml)"


def test_the_header_tells_the_sources_apart() -> None:
    options = parsed(
        "--leaktrace-fail-on=leak", ini={"leaktrace": "confirm"}, environ={"LEAKTRACE_JOBS": "2"}, ini_name="tox.ini"
    )

    assert describe(options) == (
        "leaktrace: confirm (tox.ini), limit 10MB, fail-on leak (--leaktrace-fail-on),\n"
        "           jobs 2 (LEAKTRACE_JOBS)"
    )


def test_a_marked_limit_reads_as_the_markers() -> None:
    assert describe(with_marker(Options(), {"limit": "50MB"})) == "leaktrace: watch, limit 50MB (marker)"


def test_the_header_of_off_is_short() -> None:
    assert describe(parsed("--no-leaktrace", "--leaktrace-jobs=2")) == "leaktrace: off"


def test_every_value_option_is_called_the_same_in_all_places() -> None:
    for option in TABLE.values():
        if option.flag:
            assert option.flag == "--" + option.ini.replace("_", "-")
            assert option.env == option.ini.upper()


def test_every_field_but_the_provenance_is_an_option() -> None:
    named = {field.name for field in dataclasses.fields(Options)}

    assert named - set(TABLE) == {"reason", "origin", "ini_name"}


def test_every_default_obeys_its_own_rule() -> None:
    for name, option in TABLE.items():
        default = getattr(Options(), name)
        assert option.parse(option.format(default)) == default


def test_options_travel_to_another_process() -> None:
    options = parsed("--leaktrace", "--leaktrace-fail-on=leak")

    assert pickle.loads(pickle.dumps(options)) == options


def test_importing_the_options_does_not_import_pytest() -> None:
    code = "import sys, leaktrace.options; sys.exit('pytest' in sys.modules or 'psutil' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
