"""What comes while suspects are replayed, or only when a test is run again, changes nothing of what pytest has done."""

from __future__ import annotations

import re
import signal

import pytest

from faults.faults_harness import Seen, Suite, unharmed


TWO = """
import os
KEPT, RUNS = [], []
def test_leaks():
    KEPT.append(bytearray(b"x") * 3_000_000)
    RUNS.append(1)
    {again}
def test_clean(): pass
def test_fails(): assert 0
"""
HIT_WHO_WAITS = """
    main = int(os.environ["MAIN_PID"])
    with open("/proc/self/cmdline", "rb") as file:
        worker = os.getppid() == main and b"sys.stdin.readline" in file.read()
    if os.getpid() != main and not worker and not os.path.exists(os.environ["HIT"]):
        os.system(f"touch {os.environ['HIT']}")  # what Python itself writes is put back after the replays
        for number in range(int(os.environ["TIMES"])):
            os.kill(main, int(os.environ["SIGNAL"]))
            __import__("time").sleep(0.3)
"""


def hit(suite: Suite, spread: tuple[str, ...], number: int, times: int = 1) -> tuple[Seen, Seen]:
    env = {"HIT": str(suite.path / "hit"), "SIGNAL": str(int(number)), "TIMES": str(times)}
    plain = suite.plain(*spread, files={"test_two.py": TWO.format(again=HIT_WHO_WAITS)}, env={**env, "HIT": "/"})
    ours = suite.run(*spread, "--leaktrace", env=env)
    assert (suite.path / "hit").exists(), "nothing was replayed"
    return plain, ours


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_an_interruption_while_suspects_are_replayed_costs_only_what_is_not_judged_yet(
    suite: Suite, spread: tuple[str, ...], number: signal.Signals, times: int
) -> None:
    plain, ours = hit(suite, spread, number, times)

    unharmed(plain, ours)
    assert ours.recorded == ["test_clean", "test_fails", "test_leaks"]
    assert "test_two.py::test_leaks" in ours.ours
    assert "leaktrace: not judged: 1" in ours.output
    assert ours.book is not None


def test_a_kill_while_suspects_are_replayed_finds_all_of_pytests_own_printed(
    suite: Suite, spread: tuple[str, ...]
) -> None:
    plain, ours = hit(suite, spread, signal.SIGKILL)

    assert ours.status == -signal.SIGKILL
    assert ours.pytests == plain.pytests
    assert ours.junit == plain.junit
    assert ours.recorded == ["test_clean", "test_fails", "test_leaks"]
    assert ours.left == []
    assert "test_two.py::test_leaks" in ours.output


def test_what_a_worker_had_recorded_before_an_interruption_is_reported(suite: Suite) -> None:
    body = """
    import os, signal, time
    KEPT = []
    def test_keeps(): KEPT.append(bytearray(b"x") * 20_000_000)
    def test_is_interrupted():
        time.sleep(0.5)
        for pid in (int(os.environ["MAIN_PID"]), os.getpid()):
            os.kill(pid, signal.SIGINT)
        time.sleep(5)
    """
    ours = suite.run("-n2", "--dist=loadfile", files={"test_keeps.py": body})

    assert "LEAKED 20MB in test_keeps.py::test_keeps" in ours.output
    assert ours.left == []


AGAIN = """
import os, signal, time
KEPT, RUNS = [], []
def second(name):
    RUNS.append(name)
    KEPT.append(bytearray(b"x") * 3_000_000)
    return RUNS.count(name) > 1
def test_first(): pass
def test_crashes():
    if second("crashes"): os.kill(os.getpid(), signal.SIGSEGV)
def test_exits():
    if second("exits"): os._exit(3)
def test_is_interrupted():
    if second("interrupted"): os.kill(os.getpid(), signal.SIGINT)
def test_hangs():
    if second("hangs"): time.sleep(600)
def test_eats():
    if second("eats"): KEPT.append(bytearray(b"x") * 400_000_000)
def test_last(): pass
"""


@pytest.mark.parametrize("mode", ["--leaktrace", "--leaktrace-hunt"])
def test_a_test_that_fails_only_when_run_again_changes_nothing_but_its_own_case(
    suite: Suite, spread: tuple[str, ...], mode: str
) -> None:
    plain = suite.plain(*spread, files={"test_again.py": AGAIN})
    ours = suite.run(*spread, mode, "--leaktrace-timeout=1s", limit_s=180)

    unharmed(plain, ours)
    assert plain.status == 0
    names = ("crashes", "exits", "is_interrupted", "hangs", "eats")
    assert ours.recorded == sorted(["test_first", *(f"test_{name}" for name in names), "test_last"])
    assert [each["t"] for each in ours.records].count("end") == len(ours.journals)
    for name in names:
        assert any(f"test_again.py::test_{name}" in case for case in ours.cases), ours.output
    assert not any("test_first" in case or "test_last" in case for case in ours.cases)


def test_a_hunt_needs_little_more_memory_than_plain_pytest_in_every_process(suite: Suite) -> None:
    body = "KEPT = []\ndef test_keeps(): KEPT.append(bytearray(b'x') * 100_000_000)\n"

    plain = suite.plain(files={"test_big.py": body})
    ours = suite.run("--leaktrace-hunt")

    assert ours.status == 0
    assert max(ours.peaks.values()) <= 1.3 * max(plain.peaks.values())
    assert "test_big.py::test_keeps" in ours.ours


FORKS = """
import os
KEPT = []
def test_forks():
    KEPT.append(bytearray(b"x") * 3_000_000)
    os.system(f"printf x >> {os.environ['FORKS']}")  # what Python itself writes is put back after the replays
    if os.path.getsize(os.environ["FORKS"]) > 300:
        os._exit(9)  # the test of a fork bomb ends somewhere
    pid = os.fork()
    if pid: os.waitpid(pid, 0)
def test_after(): pass
"""


@pytest.mark.parametrize("mode", ["--leaktrace", "--leaktrace-hunt"])
def test_a_fork_that_goes_on_running_pytest_judges_nothing_and_starts_nothing(suite: Suite, mode: str) -> None:
    forks = suite.path / "forks"
    plain = suite.plain(files={"test_forks.py": FORKS}, env={"FORKS": str(forks)})
    forks.unlink()
    ours = suite.run(mode, "--leaktrace-timeout=5s", env={"FORKS": str(forks)}, limit_s=30)

    assert ours.status == plain.status
    assert ours.pytests == plain.pytests
    assert ours.left == plain.left == []
    assert re.findall("^=+ leaktrace: (.*?) =+$", ours.output, re.MULTILINE) == ["1 suspect, to be replayed", "1 LEAK"]
    assert ours.recorded == ["test_after", "test_forks"]
    assert forks.stat().st_size < 100
    # A fork that went on in a child would repeat the test in that one's place.
    assert ours.cases == ["LEAK test_forks.py::test_forks"]
    assert "3.0 MB a run" in ours.ours


def test_a_thread_that_works_on_after_the_last_test_is_waited_for(suite: Suite, spread: tuple[str, ...]) -> None:
    body = """
    import os, threading, time
    def work():
        threading.main_thread().join()
        time.sleep(4)
        open(os.environ["DONE"], "w").close()
    def test_starts(): threading.Thread(target=work).start()
    """
    done = suite.path / "done"

    ours = suite.run(*spread, "--leaktrace", files={"test_thread.py": body}, env={"DONE": str(done)}, book=False)

    assert ours.status == 0
    # xdist ends its workers itself, with work or without.
    assert done.exists() or spread


def test_a_hunted_test_that_closes_all_descriptors_leaves_the_output_whole(suite: Suite) -> None:
    body = """
    import os
    def test_closes(): os.closerange(0, 256)
    def test_fails():
        open(os.environ["GONE_ON"], "x").close()
        assert 0, "told"
    """
    places = [suite.path / name for name in ("plain-went-on", "ours-went-on")]

    plain = suite.plain("-s", files={"test_closes.py": body}, env={"GONE_ON": str(places[0])})
    ours = suite.run("-s", "--leaktrace-hunt", book=False, env={"GONE_ON": str(places[1])})

    unharmed(plain, ours)
    # Plain pytest may well end at the first dot that it cannot write.
    gone_on = [place.exists() for place in places]
    assert gone_on[0] == gone_on[1]
    assert ours.recorded == (["test_closes", "test_fails"] if gone_on[0] else ["test_closes"])


@pytest.mark.parametrize("mode", ["--leaktrace-watch", "--leaktrace", "--leaktrace-hunt"])
def test_with_few_descriptors_the_suite_is_run_as_without_us(suite: Suite, mode: str) -> None:
    files = {"test_few.py": TWO.format(again="")}

    plain = suite.plain(files=files, nofile=20)
    ours = suite.run(mode, nofile=20)

    assert plain.pytests[0] == "1 failed, 2 passed"
    unharmed(plain, ours)


def test_shared_memory_that_replays_leave_is_gone(suite: Suite) -> None:
    body = """
    from multiprocessing import shared_memory
    ALL = []
    def test_shared():
        one = shared_memory.SharedMemory(create=True, size=3_000_000)
        one.buf[:3_000_000] = b"x" * 3_000_000
        ALL.append(one)
    """
    ours = suite.run("--leaktrace", files={"test_shm.py": body})

    assert ours.status == 0
    assert ours.shm == []
    assert any(case.startswith("LEAK ") for case in ours.cases), ours.output


KILLS_ITS_BASE = """
import os, signal
KEPT = []
def parent_of(pid):
    with open(f"/proc/{pid}/stat") as file: return int(file.read().rpartition(")")[2].split()[1])
def test_kills():
    KEPT.append(bytearray(b"x") * 3_000_000)
    # In a worker of a replay, where the base lies between it and the process that the user's own has started.
    base = os.getppid()
    if os.getpid() != int(os.environ["MAIN_PID"]) and parent_of(parent_of(base)) == int(os.environ["MAIN_PID"]):
        os.kill(base, signal.SIGKILL)
def test_leaks(): KEPT.append(bytearray(b"x") * 3_000_000)
"""


@pytest.mark.parametrize("mode", ["--leaktrace", "--leaktrace-hunt"])
def test_a_test_that_kills_the_process_which_its_workers_come_from_costs_its_own_case_alone(
    suite: Suite, mode: str
) -> None:
    plain = suite.plain(files={"test_base.py": KILLS_ITS_BASE})
    ours = suite.run(mode, limit_s=180)

    unharmed(plain, ours)
    assert ours.book is not None, ours.output
    verdicts = {case["nodeid"].partition("::")[2]: case["verdict"] for case in ours.book["cases"]}
    assert verdicts == {"test_kills": "UNREPLAYABLE", "test_leaks": "LEAK"}, ours.output
    assert ours.left == []
    assert suite.left_in_tmp() == []
