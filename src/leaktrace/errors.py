"""The floor: what can go wrong by the user's hand, each with a slug that names its page in the docs."""

from __future__ import annotations


class LeaktraceError(Exception):
    """Something that the user can fix; the message says what was wanted, what came and what to do.

    Attributes:
        slug: the anchor of the message in `docs/messages.md`.
    """

    slug = "leaktrace"

    def __init__(self, message: str, *, slug: str | None = None) -> None:
        super().__init__(message)
        if slug is not None:
            self.slug = slug


class OptionError(LeaktraceError):
    """An option's value breaks its rule."""

    slug = "option-value"


class FileError(LeaktraceError):
    """A file from elsewhere (journal, casebook, baseline) cannot be read as what it claims to be."""

    slug = "unreadable-file"


class ReplayError(LeaktraceError):
    """A replay child could not be started or did not answer."""

    slug = "replay"
