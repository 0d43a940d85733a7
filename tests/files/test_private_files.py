"""Folders and files of our own: private, and never those that somebody else has prepared."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from leaktrace.files import (
    lines_of,
    open_private,
    private_folder,
    read_bounded,
    remove_tree,
    temporary_folder,
    write_private,
)


ROOT_ONLY = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    assert mode(private_folder(tmp_path / "a" / "b")) == 0o700


def test_a_folder_of_ours_that_others_may_enter_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o777)
    (tmp_path / "a").chmod(0o777)

    assert mode(private_folder(tmp_path / "a")) == 0o700


@ROOT_ONLY
def test_a_folder_that_another_user_has_prepared_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.chown(tmp_path / "a", 12345, 12345)

    with pytest.raises(PermissionError, match="belongs to another user"):
        private_folder(tmp_path / "a")


@pytest.mark.parametrize("there", ["link", "file", "dangling"])
def test_a_link_or_a_file_in_place_of_a_folder_is_refused(tmp_path: Path, there: str) -> None:
    (tmp_path / "other").mkdir(mode=0o755)
    if there == "file":
        (tmp_path / "a").write_text("x", encoding="utf-8")
    else:
        (tmp_path / "a").symlink_to(tmp_path / ("other" if there == "link" else "none"))

    with pytest.raises(NotADirectoryError, match="is a link or no folder"):
        private_folder(tmp_path / "a")

    assert mode(tmp_path / "other") == 0o755


def test_a_temporary_folder_has_another_name_each_time() -> None:
    one, other = temporary_folder(), temporary_folder()

    assert (one != other, mode(one), mode(other)) == (True, 0o700, 0o700)
    one.rmdir()
    other.rmdir()


def test_a_file_is_made_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "a", b"one")
        write_private(tmp_path / "a", b"two", append=True)
    finally:
        os.umask(before)

    assert (mode(tmp_path / "a"), (tmp_path / "a").read_bytes()) == (0o600, b"onetwo")


@pytest.mark.parametrize("there", ["link", "folder", "pipe"])
def test_what_is_no_file_of_ours_is_not_written(tmp_path: Path, there: str) -> None:
    (tmp_path / "victim").write_text("mine", encoding="utf-8")
    made: dict[str, Callable[[Path], None]] = {
        "link": lambda path: path.symlink_to(tmp_path / "victim"),
        "folder": lambda path: path.mkdir(),
        "pipe": os.mkfifo,
    }
    made[there](tmp_path / "a")

    with pytest.raises(OSError):  # noqa: PT011 - of several kinds
        write_private(tmp_path / "a", b"x")

    assert (tmp_path / "victim").read_text(encoding="utf-8") == "mine"


@ROOT_ONLY
def test_a_file_of_another_user_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("theirs", encoding="utf-8")
    os.chown(tmp_path / "a", 12345, 12345)

    with pytest.raises(PermissionError, match="belongs to another user"):
        open_private(tmp_path / "a")

    assert (tmp_path / "a").read_text(encoding="utf-8") == "theirs"


def test_a_file_that_is_larger_than_it_can_be_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 11)

    assert read_bounded(tmp_path / "a", 11) == b"x" * 11
    with pytest.raises(OSError, match="a file of that size is not read"):
        read_bounded(tmp_path / "a", 10)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")

    with pytest.raises(OSError, match="is no regular file"):
        read_bounded(tmp_path / "a", 10)


@pytest.mark.parametrize(
    "data", [b"", b"a", b"a\n", b"\n\na", b"a\n" + b"x" * 5_000_000 + b"\nb", b"x" * 3_000_000 + b"\n"]
)
def test_lines_are_those_of_the_file_but_one_without_end(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)

    lines = list(lines_of(tmp_path / "a", 1 << 30, 1 << 20))

    assert lines == [line if len(line) <= 1 << 20 else None for line in data.split(b"\n")]


def test_a_tree_is_removed_and_a_link_to_one_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "other").symlink_to(tmp_path / "kept")

    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "other")
    remove_tree(tmp_path / "none")

    assert sorted(each.name for each in tmp_path.iterdir()) == ["kept", "other"]
