"""The documented example of a probe, against a PostgreSQL server that it starts itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from plugin.plugin_harness import Example


EXAMPLE = Path(__file__).parents[2] / "examples" / "postgres_probe"


@pytest.fixture
def project(example: Example) -> Example:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not (shutil.which("initdb") or debian):
        pytest.skip("no PostgreSQL is installed: neither `initdb` on PATH nor Debian's /usr/lib/postgresql/*/bin")
    pytest.importorskip("psycopg", reason="the example talks to PostgreSQL by psycopg")
    example.write({path.name: path.read_text(encoding="utf-8") for path in EXAMPLE.glob("*.py")})
    return example


def test_the_example_proves_a_connection_that_is_never_closed(project: Example) -> None:
    ran = project.run("--leaktrace", expect=0)

    verdicts = {(case.suspect.name, case.suspect.kind): case.verdict.value for case in ran.book.cases}
    assert verdicts["test_orders.py::test_counts_orders", "postgres"] == "LEAK"
    assert {nodeid for nodeid, _kind in verdicts} == {"test_orders.py::test_counts_orders"}
    [case] = [each for each in ran.book.cases if each.suspect.kind == "postgres"]
    assert case.things[0].name == "orders to postgres"
    assert case.things[0].owner.startswith("fixture `orders` (conftest.py:")
