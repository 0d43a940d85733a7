"""pytest plugin: gives each test's body, with its fixtures' values bound, to psleak."""

from __future__ import annotations

import os
import types
import unittest

import psleak
import pytest


class Wrapped(psleak.MemoryLeakTestCase):
    def runTest(self) -> None:  # noqa: N802 - unittest's name for a case of one test
        ...


def execute(body) -> None:
    options = {}
    if os.environ.get("ACCURACY_PSLEAK_FEW"):
        # Calls of a tenth of a second, or megabytes each, cannot be made 22,000 times.
        options = {"times": 20, "retries": 5}
    Wrapped().execute(body, **options)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if isinstance(pyfuncitem.instance, unittest.TestCase):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001 - pytest's own pyfunc_call reads it too
    values = {name: pyfuncitem.funcargs[name] for name in wanted}
    execute(lambda: pyfuncitem.obj(**values))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    result = yield
    instance = getattr(item, "instance", None)
    if isinstance(instance, unittest.TestCase):
        name = item.originalname
        body = getattr(type(instance), name)

        def wrapped(self) -> None:
            execute(lambda: body(self))

        setattr(instance, name, types.MethodType(wrapped, instance))
    return result
