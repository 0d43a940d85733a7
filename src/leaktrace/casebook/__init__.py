"""All that is known of a run and of each suspect, and its versioned JSON."""

from __future__ import annotations
