"""Files that the user names: exchanged whole, or written through to what is there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from leaktrace.output import check_folder, check_output, write_out


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_new_file_is_its_owners_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_out(tmp_path / "new" / "a", b"x")

    assert (names(tmp_path / "new"), (tmp_path / "new" / "a").read_bytes()) == (["a"], b"x")
    assert stat.S_IMODE((tmp_path / "new" / "a").stat().st_mode) == 0o600


def test_a_file_is_exchanged_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with path.open("rb") as reader:
        write_out(path, b"new")

        assert reader.read() == b"old"  # whoever has begun to read it reads it whole
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode), names(tmp_path)) == (b"new", 0o644, ["a"])


def test_a_link_stays_and_its_target_is_exchanged(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"old")
    (tmp_path / "one").symlink_to(tmp_path / "deep" / "a")
    (tmp_path / "two").symlink_to("one")

    write_out(tmp_path / "two", b"new")

    assert (str((tmp_path / "two").readlink()), (tmp_path / "deep" / "a").read_bytes()) == ("one", b"new")
    assert (names(tmp_path), names(tmp_path / "deep")) == (["deep", "one", "two"], ["a"])


def test_a_link_to_what_is_not_there_yet_makes_it_there(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "new" / "b")

    write_out(tmp_path / "a", b"x")

    assert ((tmp_path / "a").is_symlink(), (tmp_path / "new" / "b").read_bytes()) == (True, b"x")


def test_a_file_with_a_second_name_keeps_both(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old and longer")
    os.link(tmp_path / "a", tmp_path / "b")

    write_out(tmp_path / "a", b"new")

    assert (tmp_path / "b").read_bytes() == b"new"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_device_is_written_and_stays_one(tmp_path: Path) -> None:
    device = Path("/dev/full").stat()
    (tmp_path / "a").symlink_to("/dev/full")

    for path in ("/dev/full", tmp_path / "a"):
        with pytest.raises(OSError, match="No space left"):
            write_out(path, b"x")
    write_out("/dev/null", b"x")

    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert (Path("/dev/full").stat().st_rdev, Path("/dev/full").stat().st_ino) == (device.st_rdev, device.st_ino)
    assert not list(Path("/dev").glob("*.partial"))


def test_a_pipe_gets_the_bytes_and_one_that_nobody_reads_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError):  # noqa: PT011 - ENXIO has no class of its own
        write_out(tmp_path / "a", b"x")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "a").read_bytes()))
    reader.start()
    for _ in range(1000):
        try:
            write_out(tmp_path / "a", b"x" * 300_000)
        except OSError:
            threading.Event().wait(0.01)
        else:
            break
    reader.join()

    assert read == [b"x" * 300_000]
    assert stat.S_ISFIFO((tmp_path / "a").stat().st_mode)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no such folder here")
def test_standard_output_that_goes_into_a_file_is_written_behind_what_is_there(tmp_path: Path) -> None:
    code = "import sys; from leaktrace.output import write_out; print('a', flush=True)\nwrite_out('/dev/stdout', b'b\\n'); print('c')"
    with (tmp_path / "out").open("ab") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)

    assert ((tmp_path / "out").read_bytes(), names(tmp_path)) == (b"a\nb\nc\n", ["out"])


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr("leaktrace.output.write_all", lambda _fd, _data: (_ for _ in ()).throw(OSError("full")))

    with pytest.raises(OSError, match="full"):
        write_out(path, b"new")

    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a"])


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    calls: list[Callable[[], None]] = [lambda: write_out(tmp_path, b"x"), lambda: check_output(tmp_path)]
    for call in calls:
        with pytest.raises(IsADirectoryError):
            call()


def test_looking_whether_it_can_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    os.mkfifo(tmp_path / "pipe")
    before = (tmp_path / "a").stat(), tmp_path.stat().st_mtime_ns

    for name in ("a", "pipe", "new", "new/deep/a"):
        check_output(tmp_path / name)
    check_folder(tmp_path / "new")
    check_folder(tmp_path)
    check_output("/dev/null")

    assert ((tmp_path / "a").stat().st_mtime_ns, tmp_path.stat().st_mtime_ns) == (before[0].st_mtime_ns, before[1])
    assert (names(tmp_path), (tmp_path / "a").read_bytes()) == (["a", "pipe"], b"old")


@pytest.mark.parametrize("name", ["file/a", "loop", "loop/a", "x" * 300, "a\0b", "sealed/a"])
def test_what_cannot_be_written_is_told_before(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "sealed").mkdir(mode=0o500)
    if name.startswith("sealed") and os.access(tmp_path / "sealed", os.W_OK):
        pytest.skip("this user may write anywhere")

    for check in (check_output, check_folder):
        with pytest.raises(OSError):  # noqa: PT011 - of several kinds
            check(f"{tmp_path}/{name}")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a file system of Linux")
def test_the_kernels_own_files_take_no_new_one_whoever_asks() -> None:
    for check in (check_output, check_folder):
        with pytest.raises(PermissionError):
            check("/proc/nothing/book.json")


def test_a_folder_for_journals_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotADirectoryError):
        check_folder(tmp_path / "file")
