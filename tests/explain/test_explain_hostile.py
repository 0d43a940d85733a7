"""Strangers' objects must not notice that they are looked at, nor hurt the looking."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from explain.loading import Load
from leaktrace.explain.steps import explain
from leaktrace.heap import safe


HOSTILE = """
    CALLS = []
    ARMED = []
    def trip(what):
        if ARMED:
            CALLS.append(what)
            raise RuntimeError(what)
    class Meta(type):
        def __hash__(cls): trip("meta hash"); return 1
        def __eq__(cls, other): trip("meta eq"); return True
        def __instancecheck__(cls, obj): trip("instancecheck"); return True
        def __subclasscheck__(cls, other): trip("subclasscheck"); return True
        def __repr__(cls): trip("meta repr"); return "?"
        def __getattribute__(cls, name): trip("meta getattribute " + name); return type.__getattribute__(cls, name)
    class Hostile(metaclass=Meta):
        def __init__(self): object.__setattr__(self, "kept", [1])
        def __len__(self): trip("len"); return -1
        def __bool__(self): trip("bool"); return True
        def __eq__(self, other): trip("eq"); return True
        def __hash__(self): trip("hash"); return 1
        def __repr__(self): trip("repr"); return "?"
        def __iter__(self): trip("iter"); return iter(())
        def __sizeof__(self): trip("sizeof"); return 1 << 60
        def __getattr__(self, name): trip("getattr " + name)
        def __getattribute__(self, name): trip("getattribute " + name); return object.__getattribute__(self, name)
        def __dir__(self): trip("dir"); return []
        def __del__(self): pass
        @property
        def __class__(self): trip("class"); return int
    class HostileDict(dict, metaclass=Meta):
        def __len__(self): trip("dict len"); return 0
        def __iter__(self): trip("dict iter"); return iter(())
        def items(self): trip("dict items"); return ()
        def __getitem__(self, key): trip("dict getitem"); return None
        def copy(self): trip("dict copy"); return self
        def clear(self): trip("dict clear")
        def update(self, *a, **k): trip("dict update")
        def __eq__(self, other): trip("dict eq"); return True
        __hash__ = None
    KEPT = []
    BY_NAME = HostileDict()
    WORLD = [Hostile() for _ in range(20)]
"""


def armed(module: ModuleType) -> Callable[[], None]:
    """Runs of the suspect itself may call its own methods; nothing else may."""

    def run() -> None:
        module.ARMED.clear()
        module.leak()
        module.ARMED.append(True)

    return run


def test_a_list_of_hostile_objects_is_named_and_proved_without_calling_them(load: Load) -> None:
    module = load("hostile_list", HOSTILE + "\n    def leak():\n        KEPT.append(Hostile())\n")

    exhibit = explain(armed(module), settle=gc.collect, budget_s=60.0)
    module.ARMED.clear()

    assert module.CALLS == []
    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_hostile_list.KEPT"
    assert exhibit.proof.status == "proved", exhibit.proof.detail
    assert [name for name, _rate in exhibit.types_per_run if "Hostile" in name] == ["specimen_hostile_list.Hostile"]


def test_a_dict_of_a_hostile_class_is_restored_by_the_builtins_methods_alone(load: Load) -> None:
    module = load(
        "hostile_dict",
        HOSTILE + "\n    def leak():\n        dict.__setitem__(BY_NAME, dict.__len__(BY_NAME), Hostile())\n",
    )

    exhibit = explain(armed(module), settle=gc.collect, budget_s=60.0)
    module.ARMED.clear()

    assert module.CALLS == []
    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_hostile_dict.BY_NAME"
    assert exhibit.proof.status == "proved", exhibit.proof.detail


def test_hostile_keys_are_named_by_their_type_and_not_hashed(load: Load) -> None:
    module = load("hostile_keys", HOSTILE + "\n    PLAIN = {}\n    def leak():\n        PLAIN[Hostile()] = None\n")
    module.Hostile.__hash__ = object.__hash__
    module.Hostile.__eq__ = object.__eq__

    exhibit = explain(armed(module), settle=gc.collect, budget_s=60.0)
    module.ARMED.clear()

    assert module.CALLS == []
    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.path[-1].name == "specimen_hostile_keys.PLAIN (key of type specimen_hostile_keys.Hostile)"


def test_ten_thousand_nested_lists_do_not_exhaust_the_stack(load: Load) -> None:
    module = load(
        "nested",
        """
        KEPT = []
        class Bottom: ...
        def leak():
            nest = [Bottom()]
            for _ in range(10_000):
                nest = [nest]
            KEPT.append(nest)
        """,
    )

    exhibit = explain(module.leak, settle=gc.collect, runs=3, budget_s=60.0)

    assert exhibit.holder is not None, exhibit.notes
    assert exhibit.holder.name == "specimen_nested.KEPT"
    assert exhibit.proof.status == "proved", exhibit.proof.detail


def test_a_suspect_that_cannot_run_again_is_a_note_and_the_collector_is_thawed() -> None:
    def run() -> None:
        raise LookupError("gone")

    gc.unfreeze()  # what another test has left frozen, and what CPython 3.12 starts with
    exhibit = explain(run, settle=gc.collect, budget_s=60.0)

    assert exhibit.holder is None
    assert any("gone" in note for note in exhibit.notes)
    assert gc.get_freeze_count() == 0


def test_what_the_user_froze_is_seen_and_frozen_again(load: Load) -> None:
    module = load("frozen", "class Thing: ...\nKEPT = []\ndef leak():\n    KEPT.append(Thing())\n")
    gc.freeze()
    try:
        exhibit = explain(module.leak, settle=gc.collect, budget_s=60.0)
        still = gc.get_freeze_count()
    finally:
        gc.unfreeze()

    assert still > 0
    assert exhibit.holder is not None
    assert exhibit.holder.name == "specimen_frozen.KEPT"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("a", "'a'"),
        (("a", 1), "('a', 1)"),
        (b"x", "b'x'"),
        (None, "None"),
        (frozenset(), "<key of type frozenset>"),
        ((1, (2,)), "<key of type tuple>"),
        ("x" * 100, f"{'x' * 60!r}…"),
    ],
)
def test_only_plain_keys_are_written_out(key: object, text: str) -> None:
    assert safe.key_text(key) == text


def test_the_free_list_of_asyncio_is_not_brought_back_to_life(tmp_path: Path) -> None:
    script = tmp_path / "futures.py"
    script.write_text(
        textwrap.dedent(
            """
            import asyncio, gc
            from leaktrace.explain.steps import explain

            KEPT = []

            async def wait_for_some():
                loop = asyncio.get_running_loop()
                for future in [loop.create_future() for _ in range(9)]:
                    loop.call_soon(future.set_result, None)
                    await future

            def leak():
                asyncio.run(wait_for_some())
                KEPT.append([object()])

            exhibit = explain(leak, settle=gc.collect, budget_s=60.0)
            asyncio.run(wait_for_some())
            gc.collect()
            print(exhibit.holder.name)
            """
        )
    )

    ran = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True, timeout=100)

    assert ran.stdout == "__main__.KEPT\n", ran.stderr
