"""Logs of a real machine, as transitions: files, clocks, velocities, checks."""
