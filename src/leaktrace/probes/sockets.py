"""Sockets by name: both addresses and the state, as the kernel's tables tell them.

No socket object is made around the descriptor: with a default time-out set, that alone would switch the user's own
socket to non-blocking.
"""

from __future__ import annotations

from collections.abc import Iterator
from socket import AF_INET, AF_INET6, SOCK_DGRAM, inet_ntop
from typing import Any

from leaktrace.pristine import os, psutil, sys
from leaktrace.probes.procfs import ON_LINUX, lines_of


SOCKETS = "sockets"
"""The kind of leak that a socket left open is; it is counted among the descriptors."""
STATES = (
    *("", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE"),
    *("CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"),
)
"""Of TCP, by the kernel's number (include/net/tcp_states.h)."""
_LOCAL, _PEER, _STATE, _INODE = 1, 2, 3, 9  # columns of /proc/net/tcp and udp
_UNIX_INODE, _UNIX_PATH = 6, 7  # columns of /proc/net/unix


def socket_names() -> dict[int, str]:
    """Sockets by inode (by descriptor where there is none): `local → peer (STATE)`."""
    try:
        return dict(_by_inode()) if ON_LINUX else _by_descriptor()
    except (OSError, psutil.Error, RuntimeError, ValueError):
        return {}  # a table in a form that is not known: the inode must do as a name


def _by_inode() -> Iterator[tuple[int, str]]:
    """All sockets that the kernel's tables list for this network."""
    for table, family, protocol in (
        ("tcp", AF_INET, ""),
        ("tcp6", AF_INET6, ""),
        ("udp", AF_INET, "udp "),
        ("udp6", AF_INET6, "udp "),
    ):
        for line in lines_of(f"/proc/self/net/{table}")[1:]:
            columns = line.split()
            if len(columns) > _INODE:
                state = "" if protocol else STATES[int(columns[_STATE], 16)]
                local, peer = (_decoded(columns[column], family) for column in (_LOCAL, _PEER))
                yield int(columns[_INODE]), _named(protocol, local, peer, state)
    for line in lines_of("/proc/self/net/unix")[1:]:
        columns = line.split(maxsplit=_UNIX_PATH)
        if len(columns) > _UNIX_INODE:
            path = columns[_UNIX_PATH] if len(columns) > _UNIX_PATH else ""
            yield int(columns[_UNIX_INODE]), _named("unix ", path, "", "")


def _decoded(address: str, family: int) -> str:
    """`host:port` from the kernel's words of four bytes in the processor's order; "" for what is not bound."""
    host, _, port = address.partition(":")
    if not int(port, 16):
        return ""
    words = [bytes.fromhex(host[at : at + 8]) for at in range(0, len(host), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    name = inet_ntop(family, packed)
    return f"[{name}]:{int(port, 16)}" if family == AF_INET6 else f"{name}:{int(port, 16)}"


def _by_descriptor() -> dict[int, str]:
    """What psutil tells of this process's sockets where there is no `/proc`."""
    names = {}
    for connection in psutil.Process().net_connections(kind="all"):
        key = _inode(connection.fd)
        if key is not None:
            state = "" if connection.status == psutil.CONN_NONE else connection.status
            names[key] = _named(_protocol(connection), _address(connection.laddr), _address(connection.raddr), state)
    return names


def _named(protocol: str, local: str, peer: str, state: str) -> str:
    ends = f"{local or 'unnamed'} → {peer}" if peer else local or "unnamed"
    return f"{protocol}{ends}{f' ({state})' if state else ''}"


def _inode(fd: int) -> int | None:
    if os.name == "nt":
        return fd
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return None


def _protocol(connection: Any) -> str:
    if connection.family not in (AF_INET, AF_INET6):
        return "unix "
    return "udp " if connection.type == SOCK_DGRAM else ""


def _address(address: Any) -> str:
    if not address:
        return ""
    if isinstance(address, str):
        return address
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
