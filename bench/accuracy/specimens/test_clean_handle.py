"""Files, sockets, pipes and processes that are closed."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import tempfile
import zlib
from pathlib import Path


def test_file(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.write(b"x" * 100)
    assert (tmp_path / "a").stat().st_size == 100


def test_file_closed_by_its_end() -> None:
    file = tempfile.TemporaryFile()
    file.write(b"x")
    file.close()


def test_pipe() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(writer)


def test_socket_pair() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"x")
        assert right.recv(1) == b"x"


def test_server_and_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            other, _ = server.accept()
            with other:
                client.sendall(b"x")
                assert other.recv(1) == b"x"


def test_process() -> None:
    assert subprocess.run(["true"], check=True).returncode == 0


def test_mmap() -> None:
    with mmap.mmap(-1, 1 << 16) as area:
        area.write(b"x" * len(area))


def test_native_buffers() -> None:
    data = os.urandom(20_000)
    assert zlib.decompress(zlib.compress(data)) == data
