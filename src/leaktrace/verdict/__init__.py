"""From readings to a verdict, with its reason; pure, and called again after each batch.

`judge` asks `exact` and `inexact` counters; every number that it turns on stands in `rules`, with its reason.
"""

from __future__ import annotations
