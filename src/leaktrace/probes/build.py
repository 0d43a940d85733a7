"""Which build of CPython this is, as far as that decides what can be measured."""

from __future__ import annotations

from leaktrace.pristine import sys


def is_free_threaded() -> bool:
    """Whether it was built without the GIL (PEP 703), even where the GIL is on in this run.

    Its allocator is mimalloc and cannot be replaced by malloc, its collector has no generations, and a class's
    references are counted in each thread apart, so that `sys.getrefcount` does not tell all of them.
    """
    flags = getattr(sys, "abiflags", None)
    if flags is None:  # Windows, before 3.14
        import sysconfig  # noqa: PLC0415 - dear, and wanted nowhere else

        return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return "t" in flags
