"""Times one case in a process of its own: python worker.py '{"case": "scalar", ...}' SECONDS.

Prints a line of JSON once it is warm (`startup`: seconds to prepare, compile and run once), then
for every line on its standard input works for SECONDS and prints `rate`, units a second, `cores`,
how many it was given, and `memory`, the process's peak in MB.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import cases


def main() -> None:
    """Prepare the case, then answer every line with a sample."""
    arguments = json.loads(sys.argv[1])
    least = float(sys.argv[2])
    start = time.perf_counter()
    run, units = getattr(cases, arguments.pop("case"))(**arguments)
    run()
    print(json.dumps({"startup": time.perf_counter() - start}), flush=True)
    for _ in sys.stdin:
        runs, start, worked = 0, time.perf_counter(), time.process_time()
        while (elapsed := time.perf_counter() - start) < least or not runs:
            run()
            runs += 1
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cores = (time.process_time() - worked) / elapsed
        sample = {"rate": units * runs / elapsed, "cores": cores, "memory": memory}
        print(json.dumps(sample), flush=True)


if __name__ == "__main__":
    main()
