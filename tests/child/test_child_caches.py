"""Caches emptied between two readings: what the suite set stays."""

from __future__ import annotations

import mimetypes
import urllib.request

import pytest

from leaktrace.child import caches


def test_types_of_files_and_the_opener_that_a_suite_has_set_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes())
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener())
    mimetypes.add_type("application/x-of-the-suite", ".ofsuite")

    caches.empty(thoroughly=True)

    assert mimetypes.guess_type("a.ofsuite") == ("application/x-of-the-suite", None)
    assert urllib.request._opener is not None  # type: ignore[attr-defined]  # private
