"""pytest-leaktrace finds the tests that leak, proves that they leak, and says what keeps the leaked thing alive.

PYTEST_DONT_REWRITE: a child has imported parts of it before pytest, which would warn of asserts that are not there.
"""

from __future__ import annotations


__version__ = "0.1.0"
