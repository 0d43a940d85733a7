"""What the fixture `load` is."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TypeAlias


Load: TypeAlias = Callable[[str, str], ModuleType]
"""Makes a module of a name and a source."""
