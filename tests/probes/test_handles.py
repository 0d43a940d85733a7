from __future__ import annotations

import os
import select
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.model import NamingProbe
from leaktrace.probes.procfs import HeldFile
from probes.probe_readings import count_of, new_things, things_of


@pytest.fixture
def probe() -> Iterator[HandlesProbe]:
    probe = HandlesProbe()
    yield probe
    probe.close()


def test_it_is_a_naming_probe(probe: HandlesProbe) -> None:
    assert isinstance(probe, NamingProbe)


def test_an_open_file_raises_the_count_and_closing_it_lowers_it(probe: HandlesProbe, tmp_path: Path) -> None:
    before = count_of(probe)
    with (tmp_path / "a").open("w"):
        during = probe.read()

    assert (during, probe.read()) == (before + 1, before)


def test_listing_counts_the_same_as_asking_for_the_size(probe: HandlesProbe) -> None:
    slow = HandlesProbe()
    slow.close()
    slow._size_is_count = False

    assert slow.read() == probe.read()


def test_a_file_is_named_by_path_and_access(probe: HandlesProbe, tmp_path: Path) -> None:
    before = things_of(probe)
    with (tmp_path / "a.log").open("w"):
        (thing,) = new_things(probe, before)

    assert (thing.kind, thing.noun, thing.name) == ("fds", "file", str(tmp_path / "a.log"))
    assert thing.detail.endswith(", open for writing")


def test_a_connection_is_named_by_both_addresses_and_its_state(probe: HandlesProbe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = things_of(probe)
        with socket.create_connection(server.getsockname()) as client:
            (thing,) = new_things(probe, before)
            local, peer = (f"{host}:{port}" for host, port in (client.getsockname(), client.getpeername()))

    assert (thing.kind, thing.noun) == ("sockets", "socket")
    assert thing.name == f"{local} → {peer} (ESTABLISHED)"


def test_a_server_socket_is_said_to_listen(probe: HandlesProbe) -> None:
    before = things_of(probe)
    with socket.create_server(("127.0.0.1", 0)) as server:
        (thing,) = new_things(probe, before)
        port = server.getsockname()[1]

    assert thing.name == f"127.0.0.1:{port} (LISTEN)"


def test_an_ipv6_address_stands_in_brackets(probe: HandlesProbe) -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        names = [thing.name for thing in things_of(probe).values()]
        assert f"[::1]:{server.getsockname()[1]} (LISTEN)" in names


def test_a_unix_socket_is_named_by_its_path(probe: HandlesProbe, tmp_path: Path) -> None:
    before = things_of(probe)
    with socket.socket(socket.AF_UNIX) as server, tempfile.TemporaryDirectory() as folder:
        server.bind(f"{folder}/s")
        (thing,) = new_things(probe, before)

        assert thing.name == f"unix {folder}/s"


def test_a_socket_with_a_default_timeout_set_stays_as_it_was(probe: HandlesProbe) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    socket.setdefaulttimeout(5)
    try:
        things_of(probe)
        assert os.get_blocking(server.fileno())
    finally:
        socket.setdefaulttimeout(None)
        server.close()


def test_a_pipe_tells_where_its_other_end_is(probe: HandlesProbe) -> None:
    before = things_of(probe)
    reading, writing = os.pipe()
    try:
        details = {thing.detail for thing in new_things(probe, before)}
    finally:
        os.close(reading)
        os.close(writing)

    assert details == {
        f"fd {reading}, reading end, also open here: fd {writing} (writing)",
        f"fd {writing}, writing end, also open here: fd {reading} (reading)",
    }


def test_a_pipe_with_one_end_here_says_that_the_other_is_elsewhere(probe: HandlesProbe) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    before = things_of(probe)
    again = os.dup(reading)
    os.close(reading)
    try:
        (thing,) = new_things(probe, before)
    finally:
        os.close(again)

    assert "the other end is closed or in another process" in thing.detail


def test_an_epoll_says_what_it_watches(probe: HandlesProbe) -> None:
    before = things_of(probe)
    one, other = socket.socketpair()
    with one, other, closing(select.epoll()) as epoll:
        epoll.register(one)
        names = [thing.name for thing in new_things(probe, before) if thing.noun == "epoll"]
        expected = f"watching fd {one.fileno()}"

    assert names == [expected]


def test_a_memfd_is_named(probe: HandlesProbe) -> None:
    fd = os.memfd_create("frames")
    try:
        things = things_of(probe).values()
    finally:
        os.close(fd)

    assert ("memfd", "frames") in {(thing.noun, thing.name) for thing in things}


def test_a_pty_is_named(probe: HandlesProbe) -> None:
    master, slave = os.openpty()
    try:
        names = {thing.name for thing in things_of(probe).values() if thing.noun == "pty"}
    finally:
        os.close(master)
        os.close(slave)

    assert any(name.startswith("/dev/pts/") for name in names)


def test_a_deleted_file_still_held_is_said_to_be_deleted(probe: HandlesProbe, tmp_path: Path) -> None:
    path = tmp_path / "gone"
    with path.open("wb") as file:
        file.write(b"x" * 100)
        file.flush()
        path.unlink()
        (thing,) = [thing for thing in things_of(probe).values() if thing.name == str(path)]

    assert thing.noun == "deleted file"
    assert "100 bytes still held on disk" in thing.detail


def test_a_descriptor_of_shared_memory_is_said_to_be_that_with_its_size(probe: HandlesProbe) -> None:
    before = things_of(probe)
    segment = SharedMemory(create=True, size=4096)
    things = new_things(probe, before)
    segment.unlink()
    unlinked = new_things(probe, before)
    segment.close()

    assert {(thing.noun, thing.name) for thing in things} == {("shared memory", f"/dev/shm/{segment.name}")}
    assert all(thing.detail.endswith("4096 bytes") for thing in things)
    assert {(thing.noun, thing.name) for thing in unlinked} == {("shared memory", f"/dev/shm/{segment.name}")}
    assert all(thing.detail.endswith("4096 bytes, unlinked but still open") for thing in unlinked)


def test_a_number_used_again_for_another_file_is_a_new_thing(probe: HandlesProbe, tmp_path: Path) -> None:
    first = os.open(tmp_path / "a", os.O_CREAT)
    before = things_of(probe)
    os.close(first)
    second = os.open(tmp_path / "b", os.O_CREAT)
    try:
        (thing,) = new_things(probe, before)
    finally:
        os.close(second)

    assert second == first
    assert thing.name == str(tmp_path / "b")


def test_our_own_windows_on_proc_are_not_listed(probe: HandlesProbe) -> None:
    assert not [thing for thing in things_of(probe).values() if thing.name.endswith(("/fd", "/task"))]


@pytest.mark.skipif(not Path("/proc/thread-self/children").exists(), reason="a window of Linux")
def test_the_window_on_our_children_that_a_test_made_us_open_anew_is_not_listed(probe: HandlesProbe) -> None:
    before = things_of(probe)
    window = HeldFile("/proc/thread-self/children")
    try:
        assert new_things(probe, before) == []
    finally:
        window.close()


def test_a_library_that_keeps_itself_open_while_it_is_loaded_is_nobodys_file(
    probe: HandlesProbe, tmp_path: Path
) -> None:
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    loaded = next(path for path in (line.split()[-1] for line in lines) if path.endswith(".so"))
    other = tmp_path / "other.so"
    other.write_bytes(b"")
    before = things_of(probe)

    with Path(loaded).open("rb"), other.open("rb"):
        names = [thing.name for thing in new_things(probe, before)]

    assert names == [str(other)]
