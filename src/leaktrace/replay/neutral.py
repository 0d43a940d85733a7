"""The options that are set back in a child: what selects, distributes, stops early, or writes a file of its own.

The child parses the parent's own arguments, so that every plugin and setting is as it was. A plugin that finds its
output option as if nobody had given it opens no file, registers no recorder, and costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


NEUTRAL: Mapping[str, object] = {
    # selection: the order names the tests
    "keyword": "",
    "markexpr": "",
    "deselect": None,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    "stepwise_reset": False,
    "testmon": False,
    "testmon_noselect": False,
    "testmon_nocollect": False,
    "testmon_forceselect": False,
    "no-testmon": True,
    # distribution and repetition: the child does both itself
    "numprocesses": None,
    "dist": "no",
    "distload": False,
    "tx": [],
    "px": [],
    "looponfail": False,
    "reruns": 0,
    "force_reruns": None,
    "max_suite_reruns": None,
    "fail_on_flaky": False,
    "forked": False,
    # measuring beside us: a traced, profiled or counted test is another test
    "no_cov": True,
    "cov_source": [],
    "cov_report": {},
    "cov_fail_under": None,
    "profile": False,
    "profile_svg": False,
    "memray": False,
    "memray_bin_path": None,
    "mtr_none": True,
    "mtr_remote": None,
    "codspeed": False,
    "benchmark_disable": True,
    "benchmark_enable": False,
    "benchmark_skip": False,
    "benchmark_only": False,
    "benchmark_save": None,
    "benchmark_autosave": None,
    "benchmark_json": None,
    "benchmark_compare": [],
    "benchmark_compare_fail": None,
    "benchmark_cprofile": None,
    "benchmark_cprofile_dump": [],
    "benchmark_histogram": [],
    "hypothesis_show_statistics": False,
    # reports: the run that the user started has written them
    "xmlpath": None,
    "htmlpath": None,
    "report_log": None,
    "json_report": False,
    "csv_path": None,
    "ctrf": None,
    "allure_report_dir": None,
    "clean_alluredir": False,
    "cucumber_json_path": None,
    "gherkin_terminal_reporter": False,
    "mdpath": None,
    "md_report": False,
    "nunit_xmlpath": None,
    "excelpath": None,
    "rp_enabled": False,
    "testrail": False,
    "ddtrace": False,
    "pastebin": None,
    "log_file": os.devnull,  # an option goes before the ini key of the same name
    "force_sugar": False,
    "sugar_no_trace": True,
    "durations": None,
    "verbose": 0,
    # expectations: the run that the user started has updated them
    "update_snapshots": False,
    "update_new_snapshots_only": False,
    "snapshot_update": False,
    "allow_snapshot_deletion": False,
    "force_regen": False,
    "regen_all": False,
    # stopping early, and not running at all
    "maxfail": 0,
    "usepdb": False,
    "trace": False,
    "session_timeout": None,
    "collectonly": False,
    "setuponly": False,
    "setupplan": False,
    "setupshow": False,
    "generate_missing": False,
    "cacheclear": False,
    "cacheshow": None,
}


def set_back(options: object) -> None:
    """Set those of a namespace's options back that it has; one that no plugin has declared is left undeclared."""
    for name, value in NEUTRAL.items():
        if hasattr(options, name):
            setattr(options, name, value.copy() if isinstance(value, (list, dict)) else value)


def carried(options: object) -> tuple[str, ...]:
    """Arguments that make a child decide as the parent's plugins have decided: the seed that was drawn at its start."""
    seed = getattr(options, "randomly_seed", None)
    return (f"--randomly-seed={seed}",) if isinstance(seed, int) else ()
