"""The readings of a run, and whose growth each was.

`recorder` knows boundaries and not pytest; `journal` is its crash-proof file, `reader` the way back. Runs in the user's
process, between two tests, so that it makes no object that outlives it.
"""

from __future__ import annotations
