"""Who is in the shop now."""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from dataclasses import dataclass, field


WISHLIST_BYTES = 1_000_000


@dataclass(eq=False)
class Session:
    """One visit of one customer."""

    token: str
    customer: str
    wishlist: bytes = field(repr=False)
    open: bool = True


ACTIVE: dict[str, Session] = {}
LAST_PAGE: ContextVar[bytes] = ContextVar("last_page", default=b"")


def sign_in(customer: str) -> Session:
    """Begin a visit."""
    wishlist = customer.encode() + b"\x2a" * WISHLIST_BYTES
    session = Session(secrets.token_hex(16), customer, wishlist)
    ACTIVE[session.token] = session
    return session


def sign_out(session: Session) -> None:
    """End a visit; a second time does no harm."""
    session.open = False


def is_signed_in(token: str) -> bool:
    """Whether the visit with that token goes on."""
    session = ACTIVE.get(token)
    return session is not None and session.open


def show(page: bytes) -> int:
    """Send a page, and remember it for the way back."""
    LAST_PAGE.set(page)
    return len(page)
