"""One module for each kind of resource, all with the same tests: leaked by each owner, closed, closed late, lent.

A kit's name begins with its kind. `bench/resources` judges leaktrace and its peers on the same modules.
"""

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
    "threads_waited": """
        import threading

        def work(stop):
            # It holds up the end of the process only until the main thread is done.
            while threading.main_thread().is_alive() and not stop.wait(0.05):
                pass

        def make():
            stop = threading.Event()
            thread = threading.Thread(target=work, args=[stop])
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
    "tasks_async": """
        import asyncio

        async def make():
            task = asyncio.create_task(asyncio.sleep(3600))
            await asyncio.sleep(0)
            return task

        async def close(it):
            it.cancel()
            await asyncio.wait([it])
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
    "state_path": """
        import itertools, sys

        numbers = itertools.count()

        def make():
            sys.path.append(f"/specimen/{next(numbers)}")
            return sys.path[-1]

        def close(it):
            sys.path.remove(it)
    """,
    "state_logging": """
        import logging

        def make():
            it = logging.NullHandler()
            logging.getLogger().addHandler(it)
            return it

        def close(it):
            logging.getLogger().removeHandler(it)
    """,
    "state_cwd": """
        import os, pathlib

        def make():
            before = os.getcwd()
            inner = pathlib.Path(before, "inner")
            inner.mkdir(exist_ok=True)
            os.chdir(inner)
            return before

        def close(it):
            os.chdir(it)
    """,
}

TESTS = """
    import threading
    import pytest
    from kit_{name} import make, close

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

ASYNC_TESTS = """
    import asyncio, threading
    import pytest, pytest_asyncio
    from kit_{name} import make, close

    # One loop for all: what a test leaves in it lives on after the test.
    pytestmark = pytest.mark.asyncio(loop_scope="session")
    KEPT = []

    async def test_body():
        KEPT.append(await make())

    async def test_library_thread():
        loop = asyncio.get_running_loop()
        def work():
            KEPT.append(asyncio.run_coroutine_threadsafe(make(), loop).result())
        helper = threading.Thread(target=work)
        helper.start()
        while helper.is_alive():
            await asyncio.sleep(0.001)

    async def test_late():
        it = await make()
        asyncio.get_running_loop().call_later(0.05, it.cancel)

    async def test_closed():
        await close(await make())

    @pytest_asyncio.fixture(loop_scope="session")
    async def function_leak():
        KEPT.append(await make())
        yield

    @pytest_asyncio.fixture(loop_scope="session")
    async def function_fine():
        it = await make()
        yield
        await close(it)

    async def test_function_fixture(function_leak):
        pass

    async def test_closed_by_teardown(function_fine):
        pass

    class TestClass:
        @pytest_asyncio.fixture(scope="class", loop_scope="session")
        async def class_leak(self):
            KEPT.append(await make())
            yield

        async def test_class_fixture(self, class_leak):
            pass

    @pytest_asyncio.fixture(scope="module", loop_scope="session")
    async def module_leak():
        KEPT.append(await make())
        yield

    async def test_module_fixture(module_leak):
        pass

    # What a fixture of the session leaves in the session's loop ends with that loop: nobody's leak.

    @pytest_asyncio.fixture(scope="session", loop_scope="session")
    async def lent():
        it = await make()
        yield
        await close(it)

    async def test_loan(lent):
        pass

    async def test_loan_again(lent):
        pass
"""

LEAKING_TESTS = {"test_body", "test_library_thread", "test_function_fixture"}
LEAKING_FIXTURES = {"class_leak", "module_leak", "session_leak"}


def kind_of(name: str) -> str:
    """The kind of a kit's things."""
    return name.partition("_")[0]


def files_of(name: str) -> dict[str, str]:
    """A kit and its tests."""
    tests = ASYNC_TESTS if name.endswith("_async") else TESTS
    return {f"kit_{name}.py": KITS[name], f"test_{name}.py": textwrap.dedent(tests).format(name=name)}
