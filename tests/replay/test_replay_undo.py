"""What a child changes outside its own folder, in a process of its own, and what is there after it was put back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from leaktrace.replay.restore import remove, restore
from leaktrace.replay.saved import UNDO, record_of


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="records are kept on POSIX only")
OPENING = """
    import os, pathlib, shutil, socket, sqlite3, sys, tempfile, threading
    from leaktrace.replay.undo import install
    install(sys.argv[1], sys.argv[2:])
    """


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with something of each kind in it, which is the working directory."""
    work = tmp_path / "work"
    (work / "sub" / "deep").mkdir(parents=True)
    (work / "file").write_text("old")
    (work / "sub" / "one").write_text("1")
    (work / "sub" / "deep" / "two").write_text("2")
    (work / "link").symlink_to("file")
    os.link(work / "file", work / "hard")
    (work / "locked").write_text("read only")
    (work / "locked").chmod(0o400)
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The child's own folder."""
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


Child: TypeAlias = Callable[..., None]


@pytest.fixture
def child(own: Path, place: Path) -> Child:
    """Run code in a process that saves what it changes."""

    def run(code: str, *keep: object) -> None:
        text = textwrap.dedent(OPENING) + textwrap.dedent(code)
        subprocess.run([sys.executable, "-c", text, str(own), *map(str, keep)], cwd=place, check=True)

    return run


def picture(folder: Path) -> dict[str, tuple[int, str | bytes | None, int | None]]:
    """All that can be compared of a tree."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path)] = (status.st_mode, content, None if path.is_dir() else status.st_mtime_ns)
    return found


CHANGES = {
    "written": "pathlib.Path('file').write_text('new')",
    "added to": "print('more', file=open('file', 'a'))",
    "written through a link": "pathlib.Path('link').write_text('new')",
    "emptied by descriptor": "os.ftruncate(os.open('file', os.O_RDWR), 0)",
    "made": "pathlib.Path('new').write_text('n')",
    "made in new folders": "os.makedirs('a/b/c'); pathlib.Path('a/b/c/d').write_text('d')",
    "removed": "os.remove('file')",
    "removed by pathlib": "pathlib.Path('locked').unlink()",
    "renamed": "os.rename('file', 'moved')",
    "replaced": "pathlib.Path('new').write_text('n'); os.replace('new', 'file')",
    "a tree removed": "shutil.rmtree('sub')",
    "a tree moved, then changed": "os.rename('sub', 'moved'); pathlib.Path('moved/deep/two').write_text('changed')",
    "a tree copied": "shutil.copytree('sub', 'copied')",
    "a folder replaced by a file": "shutil.rmtree('sub'); pathlib.Path('sub').write_text('a file')",
    "a file replaced by a folder": "os.remove('file'); os.makedirs('file/in'); pathlib.Path('file/in/x').write_text('x')",
    "a folder replaced by a link": "os.rename('sub', 'away'); os.symlink('/', 'sub')",
    "linked": "os.link('file', 'second'); os.symlink('file', 'third')",
    "a link led elsewhere": "os.remove('link'); os.symlink('sub', 'link')",
    "its mode and times": "os.chmod('locked', 0o777); os.utime('locked', (1, 1))",
    "a read-only file written": "os.chmod('locked', 0o600); pathlib.Path('locked').write_text('new')",
    "below a folder's descriptor": "os.mkdir('made', dir_fd=os.open('sub', os.O_RDONLY))",
    "from another folder": "os.chdir('sub/deep'); pathlib.Path('../../file').write_text('new')",
    "a database": "sqlite3.connect('db').execute('create table t (a)').connection.commit()",
    "a database by address": "sqlite3.connect(f'file:{os.getcwd()}/db', uri=True).execute('create table t (a)')",
    "a socket": "socket.socket(socket.AF_UNIX).bind('sock')",
    "a temporary file": "tempfile.mkstemp(dir='.')",
    "in a thread": "t = threading.Thread(target=pathlib.Path('sub/one').unlink, args=[True]); t.start(); t.join()",
    "in a fork": "os.fork() or os._exit(os.remove('file') or 0); os.wait()",
    "a name in bytes": r"open(b'odd-\xff', 'w').close()",
    "a great file": "open('great', 'wb').write(bytes(3_000_000)); os.remove('great')",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_put_back(place: Path, own: Path, child: Child, change: str) -> None:
    before = picture(place)

    child(change)

    assert restore(str(own)) == []
    assert picture(place) == before


@pytest.mark.parametrize("seed", range(6))
def test_all_changes_in_any_order_are_put_back(place: Path, own: Path, child: Child, seed: int) -> None:
    before = picture(place)
    changes = random.Random(seed).sample(sorted(CHANGES.values()), len(CHANGES))

    child("\n".join(f"try:\n    {change}\nexcept Exception:\n    pass" for change in changes))

    assert restore(str(own)) == []
    assert picture(place) == before


def test_the_first_of_many_changes_counts_whichever_process_made_it(place: Path, own: Path, child: Child) -> None:
    child("os.fork() or os._exit(pathlib.Path('file').write_text('1') and 0); os.wait()")
    child("pathlib.Path('file').write_text('2')")

    restore(str(own))

    assert (place / "file").read_text() == "old"


def test_processes_that_write_the_same_files_at_once_are_all_undone(place: Path, own: Path, child: Child) -> None:
    before = picture(place)

    child(
        """
        for number in range(8):
            if not os.fork():
                for turn in range(20):
                    pathlib.Path('file').write_text(str(number))
                    pathlib.Path(f'new-{turn}').write_text(str(number))
                    shutil.rmtree('sub', ignore_errors=True)
                os._exit(0)
        for number in range(8):
            os.wait()
        """
    )

    assert restore(str(own)) == []
    assert picture(place) == before


def test_a_file_written_in_place_stays_the_same_file(place: Path, own: Path, child: Child) -> None:
    inode = (place / "file").stat().st_ino

    child("pathlib.Path('file').write_text('new')")
    restore(str(own))

    assert (place / "file").stat().st_ino == inode
    assert (place / "hard").read_text() == "old"


def test_what_is_ours_is_left_as_it_is(place: Path, own: Path, child: Child) -> None:
    (own / "answer").write_text("")

    child("for name in (f'{sys.argv[1]}/answer', 'journal'): pathlib.Path(name).write_text('ours')", place / "journal")
    restore(str(own))

    assert [(own / "answer").read_text(), (place / "journal").read_text()] == ["ours", "ours"]


def test_what_others_put_into_a_child_s_folder_is_left_and_told(place: Path, own: Path, child: Child) -> None:
    child("os.mkdir('made')")
    (place / "made" / "theirs").write_text("another's")

    untold = restore(str(own))

    assert (place / "made" / "theirs").read_text() == "another's"
    assert untold == [f"{place}/made: Directory not empty"]


def test_what_another_process_changed_after_the_last_child_is_left_and_told(
    place: Path, own: Path, child: Child
) -> None:
    child("open('file', 'a').close()")
    ended_ns = time.time_ns()
    time.sleep(0.05)  # a file system's clock is coarser than ours
    (place / "file").write_text("another's")

    untold = restore(str(own), ended_ns=ended_ns)

    assert (place / "file").read_text() == "another's"
    assert untold == [f"{place}/file: another process has changed it since"]


def test_putting_back_twice_does_no_more_than_once(place: Path, own: Path, child: Child) -> None:
    child("pathlib.Path('file').write_text('new')")
    restore(str(own))
    (place / "file").write_text("newer")

    assert restore(str(own)) == []
    assert (place / "file").read_text() == "newer"


def test_shared_memory_is_removed_with_the_child_that_was_killed(own: Path, child: Child) -> None:
    name = f"leaktrace-test-{os.getpid()}"

    child(
        f"""
        from multiprocessing import shared_memory
        shared_memory.SharedMemory({name!r}, create=True, size=100)
        from multiprocessing import resource_tracker
        os.kill(resource_tracker._resource_tracker._pid, 9)
        os._exit(0)
        """
    )

    assert Path(f"/dev/shm/{name}").exists()
    assert restore(str(own)) == []
    assert not Path(f"/dev/shm/{name}").exists()


def test_a_file_that_is_only_read_has_no_record(own: Path, child: Child) -> None:
    child("open('file').read(); os.stat('sub'); os.listdir('.')")

    assert not [path for path in (own / UNDO).rglob("*") if path.name.startswith("f")]


def test_a_call_that_fails_fails_as_it_would(child: Child, place: Path) -> None:
    before = picture(place)

    child(
        """
        for fails in (lambda: os.remove('absent'), lambda: open('absent/x', 'w'), lambda: os.rename('no', 'where')):
            try:
                fails()
            except FileNotFoundError as exc:
                assert exc.__traceback__.tb_next.tb_next is None, 'a frame of ours is in it'
            else:
                raise SystemExit('it did not fail')
        """
    )

    assert picture(place) == before


def test_functions_that_a_test_replaces_are_not_ours(place: Path, own: Path, child: Child) -> None:
    child(
        """
        from unittest import mock
        with mock.patch.multiple(os, open=mock.Mock(), lstat=mock.Mock(), readlink=mock.Mock(), rename=mock.Mock()):
            open('file', 'w').close()
        """
    )
    restore(str(own))

    assert (place / "file").read_text() == "old"


@pytest.mark.parametrize(
    "spoiled",
    [
        *(b"", b"file", b"file 1 2 x\n", b"gremlin 1 2 3 4 5 6\n", b"file 1 2\nold", b"\xff" * 300),
        *(b"file 420 -1 %s 5 6 7\nold" % (b"9" * 30), b"link 511 0 0 0 0 0\n\0"),
    ],
)
def test_a_broken_record_is_told_and_all_others_are_put_back(
    place: Path, own: Path, child: Child, spoiled: bytes
) -> None:
    child("pathlib.Path('file').write_text('new'); pathlib.Path('sub/one').write_text('new'); os.remove('link')")
    Path(record_of(str(own / UNDO), str(place / "file"))).write_bytes(spoiled)

    [untold] = restore(str(own))

    assert untold.startswith(f"{place}/file: ")
    assert (place / "sub" / "one").read_text() == "1"
    assert (place / "link").readlink() == Path("file")


def test_a_folder_is_removed_whatever_a_suite_has_patched_and_no_link_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, other = tmp_path / "tree", tmp_path / "other"
    for folder in (tree / "a" / "b", other):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (tree / "link").symlink_to(other)
    with monkeypatch.context() as patched:
        for name in ("open", "unlink", "remove", "rmdir", "scandir", "lstat", "listdir"):
            patched.setattr(os, name, None)
        remove(str(tree))

    assert not tree.exists()
    assert (other / "file").exists()
