"""The search for the tests that must run before another one to make it leak.

`search` asks children with fewer and fewer tests, by delta debugging (`ddmin`); `trial_cache` remembers what they
said. Runs in the command's own process.
"""

from __future__ import annotations
