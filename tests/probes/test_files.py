from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from leaktrace.probes.files import FolderWatch, SharedMemoryProbe, TempFilesProbe
from leaktrace.probes.model import NamingProbe, Unread
from probes.probe_readings import count_of, things_of, why_unread


needs_shm = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[TempFilesProbe]:
    probe = TempFilesProbe(folder=str(tmp_path))
    yield probe
    probe.close()


def test_they_are_naming_probes(probe: TempFilesProbe) -> None:
    assert isinstance(probe, NamingProbe)
    assert isinstance(SharedMemoryProbe(), NamingProbe)


def test_a_temporary_file_is_counted_until_it_is_removed(probe: TempFilesProbe, tmp_path: Path) -> None:
    before = probe.read()
    with tempfile.NamedTemporaryFile(dir=tmp_path):
        during = probe.read()

    assert (before, during, probe.read()) == (0, 1, 0)


def test_entries_are_named_by_path(probe: TempFilesProbe, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 10)
    (tmp_path / "folder").mkdir()

    assert {
        (thing.noun, thing.name, thing.detail) for thing in things_of(probe).values() if thing.noun.startswith("temp")
    } == {
        ("temporary file", f"{tmp_path}/data", "10 bytes"),
        ("temporary directory", f"{tmp_path}/folder", ""),
    }


def test_pytests_own_folder_is_left_out(probe: TempFilesProbe, tmp_path: Path) -> None:
    (tmp_path / "pytest-of-somebody").mkdir()

    assert probe.read() == 0


def test_a_folder_that_has_not_changed_is_not_listed_again(tmp_path: Path) -> None:
    watch = FolderWatch(str(tmp_path), now_ns=lambda: time.time_ns() + 1_000_000_000)
    (tmp_path / "a").touch()
    watch.count()
    known = watch._known

    assert watch.count() == 1
    assert watch._known is known
    watch.close()


def test_a_folder_that_has_just_changed_is_listed_again(tmp_path: Path) -> None:
    watch = FolderWatch(str(tmp_path))
    (tmp_path / "a").touch()
    watch.count()
    (tmp_path / "a").rename(tmp_path / "b")  # may fall into the same tick of the kernel's clock

    assert watch.paths() == [f"{tmp_path}/b"]
    watch.close()


def test_a_folder_removed_and_made_anew_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "shm"
    folder.mkdir()
    watch = FolderWatch(str(folder))
    folder.rmdir()
    folder.mkdir()
    (folder / "a").touch()

    assert watch.count() == 1
    watch.close()


def test_a_folder_that_is_gone_is_unread_with_the_reason(tmp_path: Path) -> None:
    probe = TempFilesProbe(folder=str(tmp_path / "none"))

    assert isinstance(probe.read(), Unread)
    assert "No such file" in why_unread(probe)
    assert isinstance(probe.inventory(), Unread)


@needs_shm
def test_a_shared_memory_segment_is_counted_and_named() -> None:
    probe = SharedMemoryProbe()
    before = things_of(probe)
    count = count_of(probe)
    segment = SharedMemory(create=True, size=4096)
    try:
        after = things_of(probe)
        grown = count_of(probe)
    finally:
        segment.close()
        segment.unlink()
    things = [after[key] for key in after.keys() - before.keys()]

    assert grown >= count + 1
    assert ("shared memory", f"/dev/shm/{segment.name.lstrip('/')}") in {(thing.noun, thing.name) for thing in things}


def test_open_sqlite_connections_are_listed_and_closed_ones_not(probe: TempFilesProbe) -> None:
    before = things_of(probe)
    connection = sqlite3.connect(":memory:")
    during = things_of(probe)
    connection.close()
    after = things_of(probe)

    assert [during[key].noun for key in during.keys() - before.keys()] == ["sqlite connection"]
    assert after.keys() == before.keys()


def test_a_sqlite_connection_of_another_thread_is_listed(probe: TempFilesProbe) -> None:
    import threading

    before = things_of(probe)
    made = []
    thread = threading.Thread(target=lambda: made.append(sqlite3.connect(":memory:")))
    thread.start()
    thread.join()
    try:
        assert len(things_of(probe).keys() - before.keys()) == 1
    finally:
        made.clear()
        if sys.version_info >= (3, 13):
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import gc

                gc.collect()


class EqualToAll(type):
    """A metaclass whose classes compare equal to every other."""

    def __eq__(cls, other: object) -> bool:
        return True

    def __hash__(cls) -> int:
        return 1


def test_a_class_that_compares_equal_to_all_is_no_connection(tmp_path: Path) -> None:
    odd = EqualToAll("Odd", (dict,), {})()

    things = things_of(TempFilesProbe(folder=str(tmp_path)))

    assert [thing for thing in things.values() if thing.noun == "sqlite connection" and "Odd" in thing.name] == []
    assert odd == {}
