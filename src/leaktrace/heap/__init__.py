"""The graph of living objects: what refers to what, from named roots; it knows nothing of leaks.

Nothing in here runs a line of a stranger's code: `safe` is the only way to look at an object.
"""

from __future__ import annotations
