"""A probe of our own: the connections that are open to the test database."""

from __future__ import annotations

import time

from leaktrace import Counter, Thing
from server import Server


LISTED = """
    SELECT pid, backend_start::text, application_name, datname, coalesce(state, 'starting'), query
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class ConnectionsProbe:
    """Counts the server's client connections, all but the one that asks."""

    counter = Counter(name="pg_connections", unit="count", kind="postgres")

    def __init__(self, server: Server) -> None:
        self._server = server

    def read(self) -> int:
        """No server, no connection: 0 rather than unread."""
        return len(self._rows())

    def inventory(self):
        """Each connection by what no later one shares: the backend's process id and its start."""
        return {
            (pid, started): Thing(
                kind="postgres",
                noun="connection",
                name=f"{name or 'unnamed'} to {database}",
                detail=f"backend {pid}, {state}, last query: {query[:60] or 'none'}",
            )
            for pid, started, name, database, state, query in self._rows()
        }

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """A backend ends a moment after its client has closed the connection."""
        deadline = time.monotonic() + grace_s
        while self.read() > (at_most or 0) and time.monotonic() < deadline:
            time.sleep(0.005)

    def _rows(self) -> list[tuple]:
        control = self._server.control
        return [] if control is None else control.execute(LISTED).fetchall()
