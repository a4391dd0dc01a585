"""Measure everything side by side and save the tables: python benchmarks/run.py --out results

Installs the libraries compared with into an environment in --cache (default: a temporary folder),
times all rows of a table in turns, each in a process of its own, prints the tables and writes them
to benchmarks.json and benchmarks.md. Ratios are to the row whose ratio is 1.00, round by round;
`startup` is preparing, compiling and running once; `cores` below 1 says that the machine was busy
elsewhere.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from groups import groups
from measure import measure
from peers import python_of_peers
from report import machine, markdown, versions


def main() -> None:
    """Parse the arguments, measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"))
    parser.add_argument("--cache", type=Path, help="where the environment of the peers is kept")
    parser.add_argument("--only", help="only tables whose title contains this")
    parser.add_argument("--no-peers", action="store_true", help="only what is installed here")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()

    pythons = {False: Path(sys.executable)}
    if not options.no_peers:
        pythons[True] = python_of_peers(options.cache or Path(tempfile.mkdtemp()))
    repeats = options.repeats or (1 if options.quick else 7)
    seconds = options.seconds or (0.01 if options.quick else 1.0)
    chosen = groups(quick=options.quick, peers=not options.no_peers)
    chosen = [group for group in chosen if options.only is None or options.only in group.title]
    result = {
        "machine": machine(),
        "versions": {"peers" if k else "ours": json.loads(versions(v)) for k, v in pythons.items()},
        "repeats": repeats,
        "seconds": seconds,
        "tables": [],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for group in chosen:
        print(f"measuring {group.title}", file=sys.stderr, flush=True)
        result["tables"].append(measure(group, pythons, repeats=repeats, seconds=seconds))
        (options.out / "benchmarks.json").write_text(json.dumps(result, indent=1))
        (options.out / "benchmarks.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
