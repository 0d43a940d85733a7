"""pytest-leaktrace finds the tests that leak, proves that they leak, and says what keeps the leaked thing alive."""

from __future__ import annotations


__version__ = "0.1.0"
