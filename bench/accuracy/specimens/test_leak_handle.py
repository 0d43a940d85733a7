"""File descriptors and sockets that are not closed."""

from __future__ import annotations

import os
import select
import socket
import tempfile
from typing import IO

import pytest


FILES: list[IO[bytes]] = []
SOCKETS: dict[int, socket.socket] = {}
PAIRS: list[tuple[socket.socket, socket.socket]] = []


def test_os_open() -> None:
    assert os.open(os.devnull, os.O_RDONLY) > 2


def test_pipe() -> None:
    reader, writer = os.pipe()
    assert reader != writer


def test_dup() -> None:
    reader = os.open(os.devnull, os.O_RDONLY)
    assert os.dup(reader) != reader
    os.close(reader)


def test_open_file() -> None:
    FILES.append(tempfile.TemporaryFile())
    assert not FILES[-1].closed


def test_socket() -> None:
    sock = socket.socket()
    SOCKETS[sock.fileno()] = sock
    assert sock.fileno() > 2


def test_socket_pair() -> None:
    PAIRS.append(socket.socketpair())
    assert PAIRS[-1][0].fileno() > 2


def test_detached_socket() -> None:
    assert socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach() > 2


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll is Linux's")
def test_epoll() -> None:
    poller = select.epoll()
    assert os.dup(poller.fileno()) > 2
    poller.close()
