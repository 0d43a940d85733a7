"""Caches emptied in a process that lives on: what the suite set stays, and its patterns come back."""

from __future__ import annotations

import mimetypes
import re
import urllib.request

from leaktrace.replay import caches


def test_patterns_that_were_compiled_before_are_there_again_afterwards():
    before = re.compile("of the suite")
    with caches.patterns_kept():
        caches.empty(thoroughly=True)
        assert re.compile("of the suite") is not before

    again = re.compile("of the suite")

    assert again is before


def test_types_of_files_and_the_opener_that_a_suite_has_set_are_left_alone(monkeypatch):
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes())
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener())
    mimetypes.add_type("application/x-of-the-suite", ".ofsuite")

    caches.empty(thoroughly=True)

    assert mimetypes.guess_type("a.ofsuite") == ("application/x-of-the-suite", None)
    assert urllib.request._opener is not None
