"""What a project's own code may import: declared, documented, cheap, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import leaktrace
from leaktrace.probes import model


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("name", [name for name in leaktrace.__all__ if not name.startswith("_")])
def test_each_public_name_is_the_noun_of_measuring_and_is_documented(name: str) -> None:
    assert getattr(leaktrace, name) is getattr(model, name)
    assert re.search(rf"`{name}\b", (ROOT / "docs/probes.md").read_text(encoding="utf-8"))


def test_a_name_that_is_not_public_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'leaktrace' has no attribute 'Recorder'"):
        leaktrace.Recorder  # noqa: B018


def test_to_import_the_package_loads_nothing_of_it() -> None:
    code = "import leaktrace, sys; print([name for name in sys.modules if name.startswith('leaktrace.')])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_every_public_name_is_listed_by_dir() -> None:
    assert set(leaktrace.__all__) <= set(dir(leaktrace))


def test_nobody_is_told_to_import_an_inner_package() -> None:
    for page in PAGES:
        assert not re.findall(r"^\s*(?:from|import) leaktrace\..*", page.read_text(encoding="utf-8"), re.MULTILINE), (
            page
        )
    for file in (ROOT / "examples").rglob("*.py"):
        assert "leaktrace." not in file.read_text(encoding="utf-8"), file
