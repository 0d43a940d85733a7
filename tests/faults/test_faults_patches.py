"""What a suite patches or replaces and never puts back reaches neither the report, nor the journal, nor any process."""

from __future__ import annotations

import os
import re

import pytest

from faults.faults_harness import OUR_FRAME, Seen, Suite


BODY = """
import os, sys, time
from unittest import mock
import patches
KEPT, KEPT_AFTER = [], []
def test_leaks(): KEPT.append(bytearray(b"x") * 3_000_000)
def test_patches():
    if os.environ.get("PATCH"):
        patches.patch(os.environ["PATCH"])
def test_leaks_after(): KEPT_AFTER.append(bytearray(b"x") * 3_000_000)
"""
PATCHES = '''
"""Replaces a thing by name for good; a mock tells when it is called from our own code."""
import gc, importlib, json, os, pathlib, platform, psutil, signal, subprocess, sys, tempfile, threading, time, traceback
from unittest import mock

OPEN, WRITE, KEPT = os.open, os.write, []
CALLS = OPEN(os.environ["CALLS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(CALLS, 99)  # above what anybody closes

def recorder(name):
    def called(*args, **kwargs):
        if any("/leaktrace/" in frame.filename for frame in traceback.extract_stack(limit=12)):
            WRITE(99, f"{name}\\n".encode())
        return mock.MagicMock()
    return mock.MagicMock(side_effect=called)

def patch(what):
    if what == "sys.modules":
        sys.modules = dict(sys.modules)
    elif what == "sys.modules[5]":
        sys.modules[5] = None
    elif what == "fake psutil":
        sys.modules["psutil"] = mock.MagicMock()
    elif what == "sys.executable":
        sys.executable = None
    elif what == "deleted modules":
        for name in ("json", "tempfile", "subprocess", "shutil", "platform", "select"):
            sys.modules.pop(name, None)
    else:
        owner, _, name = what.rpartition(".")
        first, *rest = owner.split(".")
        thing = importlib.import_module(first)
        for part in rest:
            thing = getattr(thing, part)
        setattr(thing, name, recorder(what))
'''
STATES = ("sys.modules", "sys.modules[5]", "fake psutil", "sys.executable", "deleted modules")
FUNCTIONS = (
    *("json.loads", "json.dumps", "pathlib.Path.read_text", "pathlib.Path.mkdir", "tempfile.mkdtemp", "time.sleep"),
    *("threading.enumerate", "threading.Thread", "gc.collect", "gc.get_objects", "gc.disable", "gc.freeze"),
    *("platform.python_version", "platform.system", "platform.python_implementation", "time.monotonic", "time.time"),
)
DANGEROUS = (
    "subprocess.Popen",
    "os.kill",
    "os.killpg",
    "os.waitpid",
    "os.fork",
    "os._exit",
    "signal.pidfd_send_signal",
)


def run(suite: Suite, patch: str, mode: str, *args: str) -> tuple[Seen, list[str]]:
    files = {"test_patch.py": BODY, "patches.py": PATCHES}
    calls = suite.path / "calls"
    env = {"CALLS": str(calls), "PATCH": patch, "PYTHONPATH": path(suite)}
    # Without pytest's cache, which itself fails where `json.dumps` or `Path.mkdir` is a mock.
    ours = suite.run(*args, mode, "-p", "no:cacheprovider", "--leaktrace-dir=kept", files=files, env=env)
    called = sorted(set(calls.read_text().split())) if calls.exists() else []
    calls.unlink(missing_ok=True)
    return ours, called


def path(suite: Suite) -> str:
    return os.pathsep.join([str(suite.root), *filter(None, [os.environ.get("PYTHONPATH")])])


def told(ours: Seen) -> list[str]:
    """Cases and accusations without their numbers."""
    lines = re.findall(r"^(?:LEAK|CACHE|ONE_TIME|STEADY|UNDECIDED|UNREPLAYABLE|LEAKED).*", ours.output, re.MULTILINE)
    return sorted(re.sub(r"[\d.]+ ?MB", "n", line) for line in lines)


@pytest.mark.parametrize("patch", [*STATES, *FUNCTIONS])
def test_a_patch_that_stays_changes_nothing_in_the_report_of_a_watch(suite: Suite, patch: str) -> None:
    ours, called = run(suite, patch, "--leaktrace-watch")

    assert told(ours) == ["LEAKED n in test_patch.py::test_leaks", "LEAKED n in test_patch.py::test_leaks_after"]
    assert ours.recorded == ["test_leaks", "test_leaks_after", "test_patches"]
    assert any(record.get("t") == "end" for record in ours.records)
    assert called == []
    assert not OUR_FRAME.search(ours.output), ours.output
    assert "warning" not in ours.ours
    assert ours.book is not None


@pytest.mark.parametrize(
    "patch", ["sys.modules", "fake psutil", "sys.executable", "json.loads", "time.monotonic", "tempfile.mkdtemp"]
)
def test_a_patch_that_stays_changes_nothing_in_what_is_proved(suite: Suite, patch: str) -> None:
    ours, called = run(suite, patch, "--leaktrace")

    assert [case.partition(" (")[0] for case in ours.cases] == [
        f"LEAK test_patch.py::{n}" for n in ("test_leaks", "test_leaks_after")
    ], ours.output
    assert re.findall(r"held by +(\S+)", ours.output) == ["test_patch.KEPT", "test_patch.KEPT_AFTER"]
    assert called == []
    assert ours.book is not None


@pytest.mark.parametrize("mode", ["--leaktrace", "--leaktrace-hunt"])
@pytest.mark.parametrize("patch", DANGEROUS)
def test_a_mock_in_place_of_a_call_that_starts_or_ends_processes_is_never_called_by_us(
    suite: Suite, patch: str, mode: str
) -> None:
    ours, called = run(suite, patch, mode)

    assert called == []
    assert ours.status == 0
    assert ours.left == []
    assert all(f"LEAK test_patch.py::{name}" in " ".join(ours.cases) for name in ("test_leaks", "test_leaks_after"))


@pytest.mark.parametrize("patch", ["subprocess.Popen", "sys.modules", "json.dumps"])
def test_with_two_workers_a_patch_that_stays_changes_nothing_either(suite: Suite, patch: str) -> None:
    ours, called = run(suite, patch, "--leaktrace", "-n2", "--dist=loadfile")

    assert called == []
    assert ours.recorded == ["test_leaks", "test_leaks_after", "test_patches"]
    assert all(f"LEAK test_patch.py::{name}" in " ".join(ours.cases) for name in ("test_leaks", "test_leaks_after"))
