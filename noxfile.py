"""For who types `nox`: the sessions only call the scripts, which need nothing but CPython and a shell."""

from __future__ import annotations

import nox


nox.options.sessions = ["tests"]


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """All tests, on the default Python; arguments go to pytest."""
    session.run("scripts/test", *session.posargs, external=True)


@nox.session(venv_backend="none")
def demo(session: nox.Session) -> None:
    """The main job, on the examples."""
    session.run("scripts/demo", external=True)


@nox.session(venv_backend="none")
def ci(session: nox.Session) -> None:
    """All that must hold before a change is merged."""
    session.run(".ci/run", external=True)
