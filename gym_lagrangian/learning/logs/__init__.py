"""From the logs of a real machine to transitions: files, clocks, velocities, suspicions."""
