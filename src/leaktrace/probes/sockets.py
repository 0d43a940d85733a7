"""Sockets by name: both addresses and the state, as the kernel's tables tell them.

No socket object is made around the descriptor: with a default time-out set, that alone would switch the user's own
socket to non-blocking.
"""

from __future__ import annotations

import os
from typing import Any

import psutil


SOCKETS = "sockets"
"""The kind of leak that a socket left open is; it is counted among the descriptors."""


def socket_names() -> dict[int, str]:
    """The sockets of this process by inode (by descriptor where there is none): `local → peer (STATE)`."""
    try:
        connections = psutil.Process().net_connections(kind="all")
    except (OSError, psutil.Error, RuntimeError, ValueError):
        return {}  # a table in a form that psutil does not know: the inode must do as a name
    names = {}
    for connection in connections:
        key = _inode(connection.fd)
        if key is not None:
            names[key] = _name(connection)
    return names


def _inode(fd: int) -> int | None:
    if os.name == "nt":
        return fd
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return None


def _name(connection: Any) -> str:
    protocol = _protocol(connection)
    local, peer = _address(connection.laddr), _address(connection.raddr)
    ends = f"{local or 'unnamed'} → {peer}" if peer else local or "unnamed"
    state = "" if connection.status == psutil.CONN_NONE else f" ({connection.status})"
    return f"{protocol}{ends}{state}"


def _protocol(connection: Any) -> str:
    import socket  # noqa: PLC0415 - only when there are sockets, and so it is loaded already

    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return "unix "
    return "udp " if connection.type == socket.SOCK_DGRAM else ""


def _address(address: Any) -> str:
    if not address:
        return ""
    if isinstance(address, str):
        return address
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
