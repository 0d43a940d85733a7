"""pytest-leaktrace finds the tests that leak, proves that they leak, and says what keeps the leaked thing alive.

What a project's own code may import is here, and nowhere else: the nouns that a probe is made of (`docs/probes.md`).
They are loaded when they are asked for, since pytest imports this package in every run.

PYTEST_DONT_REWRITE: a child has imported parts of it before pytest, which would warn of asserts that are not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from leaktrace.probes.model import Counter, NamingProbe, Probe, Thing, Unread

__version__ = "0.1.0"
__all__ = ["Counter", "NamingProbe", "Probe", "Thing", "Unread", "__version__"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from leaktrace.probes import model  # noqa: PLC0415 - see above

    return getattr(model, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
