"""References that C code takes and never gives back: the object is named whose count grows, and the line."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from explain.loading import Load
from leaktrace.explain.steps import explain


SOURCE = """
import ctypes, fractions

take = ctypes.pythonapi.Py_IncRef
take.argtypes, take.restype = [ctypes.py_object], None

class Thing:
    pass

SHARED = {"table": [1, 2]}

def forget(obj):
    held = [obj, obj]
    take(obj)

def a_class(): forget(Thing)
def an_old_object(): forget(SHARED["table"])
def a_class_of_others(): forget(fractions.Fraction)
def the_singleton(): forget(None)
def nothing(): [Thing(), SHARED["table"], None]
"""


@pytest.fixture
def module(load: Load) -> ModuleType:
    return load("refs", SOURCE)


@pytest.mark.parametrize(
    ("suspect", "name", "kind"),
    [
        ("a_class", "class specimen_refs.Thing", "references"),
        ("an_old_object", "specimen_refs.SHARED['table']", "references"),
        ("a_class_of_others", "class fractions.Fraction", "shared-references"),
        pytest.param(
            "the_singleton",
            "None",
            "shared-references",
            marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from 3.12 on"),
        ),
    ],
)
def test_the_object_whose_count_grows_is_named_with_the_line_that_takes(
    module: ModuleType, suspect: str, name: str, kind: str, tmp_path: Path
) -> None:
    root = f"{tmp_path}{os.sep}"
    exhibit = explain(getattr(module, suspect), settle=gc.collect, references=True, budget_s=60.0, root=root)

    assert exhibit.holder is not None, exhibit.notes
    assert (exhibit.holder.name, exhibit.holder.kind) == (f"references to {name}", kind)
    assert exhibit.holder.entries_per_run == 1.0
    last = exhibit.holder.path[-1]
    assert (last.name, last.leaking) == (name, "UNKNOWN")
    assert last.reason == "reference count, +1 a run  <- grows here"
    assert all(hop.leaking == "NO" for hop in exhibit.holder.path[:-1])
    assert [site.code.splitlines()[0] for site in exhibit.sites] == ["take(obj)"]
    assert exhibit.proof.status == "untried"
    assert f"references to {name}" in exhibit.fix
    assert not exhibit.native


def test_a_suspect_that_takes_none_for_good_has_no_such_holder(module: ModuleType) -> None:
    assert explain(module.nothing, settle=gc.collect, references=True).holder is None


def test_a_fingerprint_of_references_is_that_of_the_object(module: ModuleType) -> None:
    prints = {explain(module.a_class, settle=gc.collect, references=True).fingerprint for _ in range(2)}

    assert len(prints) == 1
    assert explain(module.an_old_object, settle=gc.collect, references=True).fingerprint not in prints
