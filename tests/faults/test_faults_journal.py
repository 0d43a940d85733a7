"""The journal loses nothing but what could not be written, says so, and blames nobody for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.faults_harness import Seen, Suite
from leaktrace.recording.journal import read_journal
from leaktrace.recording.model import Recording


FULL = """
import os, signal
import pytest
FILLER = os.path.join(os.path.dirname(__file__), ".pytest_cache", "filler")
def test_before(): pass
def test_fills():
    with open(FILLER, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096): pass
        except OSError: pass
# Over four kilobytes of records: the page that the journal has already is filled, a write is short, the next ones fail.
@pytest.mark.parametrize("number", range(40))
def test_is_full(number): pass
def test_frees(): os.unlink(FILLER)
def test_after(): pass
def test_is_killed():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def read(ours: Seen, tmp_path: Path) -> Recording:
    [text] = ours.journals.values()
    path = tmp_path / "journal.jsonl"
    path.write_text(text, encoding="utf-8")
    return read_journal(path)


def test_after_a_full_disk_the_journal_goes_on_and_the_kill_is_blamed_on_who_ran(suite: Suite, tmp_path: Path) -> None:
    ours = suite.run(files={"test_full.py": FULL}, mounts=[(".pytest_cache", "256k")], book=False)

    recording = read(ours, tmp_path)
    names = [nodeid.partition("::")[2] for nodeid in recording.nodeids]
    assert names[0] == "test_before"
    assert names[-2:] == ["test_frees", "test_after"]
    assert recording.running == "test_full.py::test_is_killed"
    assert not recording.complete


def test_a_full_disk_is_told(suite: Suite) -> None:
    files = {"test_full.py": FULL.replace("os.kill(os.getpid(), signal.SIGKILL)", "pass")}

    ours = suite.run(files=files, mounts=[(".pytest_cache", "256k")], book=False)

    assert ours.status == 0
    assert "journal" in ours.output


def test_a_cache_folder_that_a_test_removes_is_made_again_or_told(suite: Suite) -> None:
    body = "import shutil\ndef test_one(): pass\ndef test_removes(): shutil.rmtree('.pytest_cache')\ndef test_three(): pass\n"

    ours = suite.run(files={"test_removes.py": body}, book=False)

    assert ours.status == 0
    assert "test_three" in ours.recorded or "journal" in ours.output


def test_a_cache_folder_without_room_is_told(suite: Suite) -> None:
    body = "def test_one(): pass\n"
    filled = "f = open('.pytest_cache/filler', 'wb', buffering=0)\ntry:\n    while f.write(b'x' * 4096): pass\nexcept OSError: pass\n"

    ours = suite.run(files={"test_room.py": body, "conftest.py": filled}, mounts=[(".pytest_cache", "16k")], book=False)

    assert ours.status == 0
    assert ours.recorded == ["test_one"] or "journal" in ours.output


REUSES = """
import os
HELD = []
def test_before(): pass
def test_closes_and_opens():
    os.closerange(3, 4096)
    for number in range(1000):
        try:
            HELD.append(os.open(os.path.join(os.environ["USERS"], str(number)), os.O_RDWR | os.O_CREAT))
        except OSError:
            for _ in range(9): os.close(HELD.pop())  # else nobody could open anything, a journal neither
            break
def test_after(): os.mkdir(os.environ["USERS"] + "-after")
"""


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.stat().st_size)


# The budget ends a hunt for the few bytes that each run keeps.
@pytest.mark.parametrize("nofile", [0, 200], ids=["as it is", "few"])
@pytest.mark.parametrize("mode", ["--leaktrace-watch", "--leaktrace-hunt"])
def test_a_number_that_was_ours_and_is_now_a_users_file_is_never_written_to(
    suite: Suite, nofile: int, mode: str
) -> None:
    folders = [suite.path / name for name in ("of-plain", "of-ours")]
    for folder in folders:
        folder.mkdir()

    plain = suite.plain(files={"test_reuses.py": REUSES}, env={"USERS": str(folders[0])}, nofile=nofile)
    ours = suite.run(mode, "--leaktrace-budget=1s", book=False, env={"USERS": str(folders[1])}, nofile=nofile)

    assert ours.status == plain.status
    assert ours.pytests == plain.pytests
    # Plain pytest, too, goes on writing under the numbers that were its own.
    assert [written(folder) for folder in folders] == [written(folders[0])] * 2
    after = [folder.with_name(f"{folder.name}-after").exists() for folder in folders]
    assert after[0] == after[1]  # plain pytest may well end where its own descriptors are gone
    assert ours.recorded == [*(["test_after"] if after[0] else []), "test_before", "test_closes_and_opens"]


def test_the_running_test_is_the_one_that_ran_when_the_process_died(suite: Suite, spread: tuple[str, ...]) -> None:
    body = "import os, signal\ndef test_one(): pass\ndef test_dies(): os.kill(os.getpid(), signal.SIGKILL)\n"

    ours = suite.run(*spread, "--leaktrace-hunt", files={"test_dies.py": body}, book=False)

    assert "test_one" in ours.recorded
    died = [text for text in ours.journals.values() if '"t": "end"' not in text and '"t":"end"' not in text]
    assert len(died) == 1
    path = suite.path / "died.jsonl"
    path.write_text(died[0], encoding="utf-8")
    # Which test comes first in a worker, its controller has yet to say when the journal begins.
    assert read_journal(path).running in ("test_dies.py::test_dies", None if spread else "test_dies.py::test_dies")


def test_a_journal_is_for_its_owners_eyes(suite: Suite) -> None:
    suite.run(files={"test_one.py": "def test_one(): pass\n"})

    assert oct((suite.path / "book.json").stat().st_mode & 0o777) == "0o600"
    for path in suite.root.rglob("runs/**/*"):
        assert path.stat().st_mode & 0o077 == 0, path
