"""One module for each kind of resource, all with the same tests: leaked by each owner, closed, closed late, lent."""

from __future__ import annotations

import textwrap


KITS = {
    "fds": """
        def make():
            return open(__file__)

        def close(it):
            it.close()
    """,
    "sockets": """
        import socket

        def make():
            it = socket.socket()
            it.bind(("127.0.0.1", 0))
            return it

        def close(it):
            it.close()
    """,
    "threads": """
        import threading

        def make():
            stop = threading.Event()
            thread = threading.Thread(target=stop.wait, daemon=True)
            thread.start()
            return stop, thread

        def close(it):
            it[0].set()
            it[1].join()
    """,
    "processes": """
        import subprocess

        def make():
            return subprocess.Popen(["sleep", "60"])

        def close(it):
            it.kill()
            it.wait()
    """,
    "tasks": """
        import asyncio

        def make():
            loop = asyncio.new_event_loop()
            task = loop.create_task(asyncio.sleep(3600))
            loop.run_until_complete(asyncio.sleep(0))
            return loop, task

        def close(it):
            loop, task = it
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
            loop.close()
    """,
    "files": """
        import os, tempfile

        def make():
            fd, path = tempfile.mkstemp()
            os.close(fd)
            return path

        def close(it):
            os.remove(it)
    """,
    "gpu": """
        import sys, types

        class Cuda:
            used = 0
            is_initialized = staticmethod(lambda: True)
            device_count = staticmethod(lambda: 1)
            memory_allocated = staticmethod(lambda device: Cuda.used)
            max_memory_allocated = staticmethod(lambda device: Cuda.used)

        fake = sys.modules.setdefault("torch", types.ModuleType("torch"))
        fake.cuda = Cuda

        def make():
            Cuda.used += 5_000_000
            return 5_000_000

        def close(it):
            Cuda.used -= it
    """,
    "state": """
        import os, itertools

        numbers = itertools.count()

        def make():
            name = f"SPECIMEN_{os.getpid()}_{next(numbers)}"
            os.environ[name] = "x"
            return name

        def close(it):
            del os.environ[it]
    """,
}

TESTS = """
    import threading
    import pytest
    from kit_{kind} import make, close

    KEPT = []

    def test_body():
        KEPT.append(make())

    def test_library_thread():
        def work():
            KEPT.append(make())
        helper = threading.Thread(target=work)
        helper.start()
        helper.join()

    def test_late():
        it = make()
        threading.Timer(0.05, close, [it]).start()

    def test_closed():
        close(make())

    @pytest.fixture
    def function_leak():
        KEPT.append(make())
        yield

    @pytest.fixture
    def function_fine():
        it = make()
        yield
        close(it)

    def test_function_fixture(function_leak):
        pass

    def test_closed_by_teardown(function_fine):
        pass

    class TestClass:
        @pytest.fixture(scope="class")
        def class_leak(self):
            KEPT.append(make())
            yield

        def test_class_fixture(self, class_leak):
            pass

    @pytest.fixture(scope="module")
    def module_leak():
        KEPT.append(make())
        yield

    def test_module_fixture(module_leak):
        pass

    @pytest.fixture(scope="session")
    def session_leak():
        KEPT.append(make())
        yield

    def test_session_fixture(session_leak):
        pass

    @pytest.fixture(scope="session")
    def lent():
        it = make()
        yield
        close(it)

    def test_loan(lent):
        pass

    def test_loan_again(lent):
        pass
"""

LEAKING_TESTS = {"test_body", "test_library_thread", "test_function_fixture"}
LEAKING_FIXTURES = {"class_leak", "module_leak", "session_leak"}


def files_of(kind):
    """A kit and its tests."""
    return {f"kit_{kind}.py": KITS[kind], f"test_{kind}.py": textwrap.dedent(TESTS).format(kind=kind)}
