"""Lines of code: which allocate, which add to a container, what native code takes; they know nothing of leaks.

`allocations` follows tracemalloc, `line_watch` a trace function, `native` memray.
"""

from __future__ import annotations
