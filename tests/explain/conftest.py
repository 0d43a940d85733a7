from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from explain.loading import Load


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a specimen from a file of its own, and forgets it afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    loaded = []

    def load(name: str, source: str) -> ModuleType:
        module = f"specimen_{name}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        loaded.append(module)
        return __import__(module)

    yield load
    for module in loaded:
        sys.modules.pop(module, None)
