from __future__ import annotations

import pytest
from resources_specimens import KITS, LEAKING_FIXTURES, LEAKING_TESTS, files_of


ALONE = {"gpu", "state"}


@pytest.fixture
def seen(spread):
    """The suspects of all kinds that can share a run."""
    files = {name: text for kind in KITS if kind not in ALONE for name, text in files_of(kind).items()}
    return owners(spread.run(files=files, env={"TMPDIR": str(folder(spread))}, expect=0))


def folder(example):
    made = example.path / "tmp"
    made.mkdir(exist_ok=True)
    return made


def owners(ran):
    """Names of suspects by kind, file and subject."""
    found = {}
    for suspect in ran.book.suspects:
        file = (suspect.where or suspect.name).partition(".py")[0]
        by_subject = found.setdefault((suspect.kind, file.removeprefix("test_")), {})
        by_subject.setdefault(suspect.subject, set()).add(suspect.name.rpartition("::")[2])
    return found


def test_each_owner_of_what_is_left_is_found_and_nobody_else(seen):
    for kind in KITS.keys() - ALONE:
        assert seen[kind, kind] == {"test": LEAKING_TESTS, "fixture": LEAKING_FIXTURES}, kind
    blamed = {name for subjects in seen.values() for names in subjects.values() for name in names}
    assert blamed == LEAKING_TESTS | LEAKING_FIXTURES


@pytest.mark.parametrize("kind", sorted(ALONE))
def test_gpu_memory_and_state_have_the_same_owners(spread, kind):
    found = owners(spread.run(f"--leaktrace-kinds={kind}", files=files_of(kind), expect=0))

    assert found == {(kind, kind): {"test": LEAKING_TESTS, "fixture": LEAKING_FIXTURES}}
