"""The table against pytest's own parser and ini files."""

from __future__ import annotations

import pytest

from leaktrace.options import Mode, Source, declare, resolve


pytestmark = pytest.mark.versions


class Plugin:
    """The plugin's part, as small as it can be."""

    def __init__(self):
        self.options = None

    def pytest_addoption(self, parser):
        declare(parser.getgroup("table").addoption, parser.addini)

    def pytest_configure(self, config):
        self.options = resolve(
            command_line=vars(config.option),
            ini=config.getini,
            ini_name=config.inipath.name if config.inipath else None,
            environ={},
        )


@pytest.fixture
def options_of(pytester):
    def options_of(*args):
        plugin = Plugin()
        result = pytester.inline_run("-p", "no:leaktrace", "-p", "no:asyncio", *args, plugins=[plugin])
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
        return plugin.options

    return options_of


def test_pytest_without_an_ini_file_gives_the_defaults(options_of):
    assert options_of().origin == {}


def test_a_flag_does_not_swallow_the_path_behind_it(pytester, options_of):
    pytester.mkdir("tests")

    assert options_of("--leaktrace", "tests").mode is Mode.CONFIRM


def test_values_come_from_pyproject_toml(pytester, options_of):
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        leaktrace = "hunt"
        leaktrace_jobs = 2
        leaktrace_fail_on = ["leak", "undecided"]
        """
    )

    options = options_of()

    assert (options.mode, options.jobs, options.fail_on) == (Mode.HUNT, 2, {"leak", "undecided"})
    assert (set(options.origin.values()), options.ini_name) == ({Source.INI}, "pyproject.toml")


def test_values_come_from_an_ini_file(pytester, options_of):
    pytester.makeini("[pytest]\nleaktrace_limit = 64 KiB\nleaktrace_fail_on = leak, undecided\n")

    options = options_of()

    assert (options.limit_bytes, options.fail_on) == (65_536, {"leak", "undecided"})
    assert options.ini_name == "tox.ini"


def test_help_shows_every_option(pytester, capsys):
    pytester.inline_run("-p", "no:leaktrace", "-p", "no:asyncio", "--help", plugins=[Plugin()])

    shown = capsys.readouterr().out
    assert "--leaktrace-limit=SIZE" in shown
    assert "Default: 10MB." in " ".join(shown.split())
