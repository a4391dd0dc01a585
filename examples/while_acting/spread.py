"""Seconds of several runs in a few words."""

import statistics


def spread(seconds: list[float | None]) -> str:
    """How many there are, and their median and extremes."""
    there = [s for s in seconds if s is not None]
    if not there:
        return f"0 of {len(seconds)}"
    middle = statistics.median(there)
    return f"{len(there)} of {len(seconds)}, {middle:g} s ({min(there):g}–{max(there):g})"
