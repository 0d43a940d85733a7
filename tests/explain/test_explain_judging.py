"""Labels, fingerprints, fixes and the table of known leaks: pure, so judged on written paths."""

from __future__ import annotations

import platform
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from builders import make_holder, make_site
from leaktrace.errors import FileError
from leaktrace.explain import fingerprint
from leaktrace.explain.fix import FIXES, fix_for
from leaktrace.explain.known_leaks import installed, match, table
from leaktrace.explain.labels import grows_here, propagate
from leaktrace.explain.model import Exhibit, Hop, Leaking
from leaktrace.lines import native
from leaktrace.lines.allocations import Places
from leaktrace.lines.model import Frame, Site


LONG_KEY = "k" * 100_000


def hops(*labels: Leaking) -> list[Hop]:
    return [Hop(edge=f".{i}", name=f"n{i}", type="T", leaking=label, reason="told") for i, label in enumerate(labels)]


def labels_of(text: str) -> list[Leaking]:
    known: dict[str, Leaking] = {label: label for label in get_args(Leaking)}
    return [known[label] for label in text.split()]


def path(key: str = "'order.refunded'", index: int = 3, leaked: str = "shop.Order") -> tuple[Hop, ...]:
    return (
        Hop(edge="shop", name="shop", type="module", leaking="NO"),
        Hop(edge=".BUS", name="shop.BUS", type="shop.Bus", leaking="NO"),
        Hop(edge=f"[{key}]", name=f"shop.BUS[{key}]", type="list", leaking="UNKNOWN"),
        Hop(edge=f"[{index}]", name=f"shop.BUS[{key}][{index}]", type=leaked, leaking="YES"),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("NO UNKNOWN YES UNKNOWN", "NO UNKNOWN YES YES"),
        ("UNKNOWN NO UNKNOWN YES", "NO NO UNKNOWN YES"),
        ("UNKNOWN UNKNOWN", "UNKNOWN UNKNOWN"),
        ("YES NO UNKNOWN YES", "NO NO UNKNOWN YES"),
    ],
)
def test_no_spreads_up_and_yes_spreads_down(before: str, after: str) -> None:
    assert [hop.leaking for hop in propagate(hops(*labels_of(before)))] == after.split()


def test_a_conflict_between_labels_is_told() -> None:
    first, _second = propagate(hops("YES", "NO"))

    assert first.reason == "n1 below it is not leaking; yet told"


@pytest.mark.parametrize(("rate", "text"), [(2.0, "+2"), (0.5, "+0.5"), (1.98, "+2")])
def test_the_accumulation_point_says_how_fast_it_grows(rate: float, text: str) -> None:
    assert grows_here("list", rate) == f"list, {text} a run  <- grows here"


def test_indices_and_generated_keys_do_not_change_a_fingerprint() -> None:
    same = {fingerprint.of_path("instance-container", path(index=i)) for i in (3, 17)}
    generated = {fingerprint.of_path("instance-container", path(key=f"'order-{i}'")) for i in (3, 17)}

    assert len(same) == len(generated) == 1
    assert same != generated


@pytest.mark.parametrize("other", [{"key": "'order.voided'"}, {"leaked": "shop.Invoice"}])
def test_another_key_or_another_leaked_type_is_another_cause(other: dict[str, Any]) -> None:
    assert fingerprint.of_path("instance-container", path()) != fingerprint.of_path("instance-container", path(**other))


def test_what_is_kept_in_a_cache_does_not_change_its_fingerprint() -> None:
    assert fingerprint.of_path("lru-cache", path(leaked="A")) == fingerprint.of_path("lru-cache", path(leaked="B"))


@pytest.mark.parametrize(
    ("text", "general"),
    [
        ("x[3]['a']", "x[#]['a']"),
        ("x['user-17']", "x[#]"),
        ("thread 'Thread-21 (serve)'", "thread 'Thread-# (serve)'"),
        ("at 0x7f00dead", "at #"),
        ("b3f1c2d4e5f60718", "#"),
    ],
)
def test_what_differs_from_run_to_run_is_generalised(text: str, general: str) -> None:
    assert fingerprint.general(text) == general


def test_a_leak_without_a_holder_is_known_by_its_line_and_not_by_its_number() -> None:
    def site(line: int) -> Site:
        return make_site("/a/b.py", line=line, code="x = y()")

    assert fingerprint.of_site(site(3), ()) == fingerprint.of_site(site(40), ())
    assert fingerprint.of_site(None, ()) == ""


@pytest.mark.parametrize("kind", [*FIXES, "never heard of"])
def test_every_kind_has_a_sentence_with_its_names_filled_in(kind: str) -> None:
    sentence = fix_for(kind, holder="shop.BUS", leaked="Order")

    assert sentence.endswith(".")
    assert "{" not in sentence.replace("{…}", "")


def test_a_bounded_holder_needs_no_repair() -> None:
    assert "at most 128" in fix_for("lru-cache", holder="shop.rate (lru_cache)", leaked="Order", bound=128)


@pytest.mark.parametrize(
    ("version", "known"),
    [("25.5.0", "structlog-write-locks"), ("26.1.0", None), ("26.1", None), ("26.0.9rc1", "structlog-write-locks")],
)
def test_a_known_leak_is_matched_within_its_versions_alone(version: str, known: str | None) -> None:
    exhibit = Exhibit(holder=make_holder("structlog._output.WRITE_LOCKS"))

    found = match(exhibit, {"structlog": version})

    assert (found.id if found else None) == known


def test_a_known_leak_of_a_package_that_is_not_installed_is_not_matched() -> None:
    assert match(Exhibit(holder=make_holder("structlog._output.WRITE_LOCKS")), {}) is None


def test_installed_versions_are_those_of_the_packages_in_the_table_and_of_python() -> None:
    rows = [replace(row, package=package) for row in table()[:1] for package in ("pytest", "no-such-package")]

    assert installed(rows) == {"python": platform.python_version(), "pytest": pytest.__version__}


def test_a_row_may_ask_for_a_type_on_the_path() -> None:
    way = [Hop(edge="", name="x", type="channels.layers.InMemoryChannelLayer", leaking="NO")]
    mine = Exhibit(holder=make_holder("app.layer.channels", path=way))
    other = Exhibit(holder=make_holder("app.radio.channels"))

    assert getattr(match(mine, {"channels": "3.0.3"}), "id", None) == "channels-inmemory-layer"
    assert match(other, {"channels": "3.0.3"}) is None


@pytest.mark.parametrize(
    "text",
    [
        "known",
        "known = 1",
        "known = [1]",
        "[[leak]]",
        "[known]",
        "[[known]]",
        "[[known]]\nid = 1979-05-27T07:32:00Z",
        "[[known]]\nid = 1" + "0" * 400,
        "known = 0x" + "f" * 5_000,
        "known = " + "[" * 100_000,
        "known = " + "{a = " * 5_000,
        "a." * 1_000 + "a = 1",
        "[" + "a." * 1_000 + "a]",
        "{" + LONG_KEY + " = 1",
        f"known = {{ {LONG_KEY} = 1, {LONG_KEY} = 2 }}",
        '[{"id": "x"}]',
    ],
)
def test_a_table_in_toml_that_is_none_is_refused_in_few_words(text: str) -> None:
    with pytest.raises(FileError) as caught:
        table(text)

    assert len(str(caught.value)) < 400


def test_a_number_of_many_digits_is_refused_where_python_would_read_any() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(FileError, match="a number of over 1,000 digits"):
            table("known = " + "9" * 1_000_000)
    finally:
        sys.set_int_max_str_digits(before)


def test_a_table_without_rows_knows_nothing() -> None:
    assert table("") == table("known = []") == table("[]", is_json=True) == ()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[1]",
        '[{"id": "x"}]',
        '[{"id": "x", "package": "p", "from": "1", "blame": "b", "remedy": "r", "holder": "("}]',
        '[{"id": "x", "package": "p", "from": "1", "blame": "b", "remedy": "r", "leaked": "nobody holds it"}]',
        '[{"id": "x", "package": "p", "from": "1", "blame": "b", "remedy": "r", "holder": "h", "fixed": 2}]',
        '[{"id": "x", "package": "p", "from": "1", "blame": "b", "remedy": "r", "typo": ""}]',
    ],
)
def test_a_table_in_json_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FileError):
        table(text, is_json=True)


def mixed(*frames: tuple[str, str]) -> tuple[Frame, ...]:
    return tuple(Frame(file=file, line=1, function=function) for function, file in frames)


def test_of_a_mixed_stack_the_interpreters_own_frames_and_ours_are_left_out(tmp_path: Path) -> None:
    test = str(tmp_path / "test_a.py")
    whole = mixed(
        ("reserve", "shop/blob.c"),
        ("<unknown>", "<unknown>"),
        ("blob_open", "<unknown>"),
        ("_PyObject_MakeTpCall", "<unknown>"),
        ("call_function", "Python/ceval.c"),
        ("load", test),
        ("PyObject_Call", "Objects/call.c"),
        ("test_load", test),
        ("memray_sites", native.__file__),
    )

    assert [frame.function for frame in native.telling(whole, Places(()))] == [
        "reserve",
        "blob_open",
        "load",
        "test_load",
    ]
    assert native.telling(mixed(("reserve", "a.c"), ("memray_sites", native.__file__)), Places(())) == ()


def test_where_the_interpreter_has_no_symbols_the_c_frames_before_its_own_are_told_all_the_same() -> None:
    python = [("load", "shop/load.py", 6), ("test_load", "test_a.py", 2)]
    in_c = [("reserve", "blob.c", 3), ("blob_open", "blob.c", 4), ("<unknown>", "<unknown>", 0), ("main", "", 0)]
    record = SimpleNamespace(
        stack_trace=lambda max_stacks: python,
        hybrid_stack_trace=lambda max_stacks: python,
        native_stack_trace=lambda max_stacks: in_c,
    )

    assert [frame.function for frame in native._mixed(record)] == ["reserve", "blob_open", "load", "test_load"]
