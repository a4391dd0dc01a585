"""Rows timed in turns, each in a process of its own, so that a busy machine slows all alike."""

from __future__ import annotations

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

from groups import Entry, Group

WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """A process of `worker.py`, warm once constructed."""

    def __init__(self, python: Path, entry: Entry, seconds: float):
        self.entry = entry
        self._process = subprocess.Popen(
            [str(python), str(WORKER), json.dumps(entry.case), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.startup = self._read()["startup"]
        self.samples: list[dict[str, float]] = []

    def work(self) -> None:
        """Take one sample."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self.samples.append(self._read())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict[str, float]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # some libraries greet on standard output
                return json.loads(line)
        raise RuntimeError(f"{self.entry.name}: the worker ended, see its error above")


def measure(group: Group, pythons: dict[bool, Path], *, repeats: int, seconds: float) -> Any:
    """One table: `repeats` rounds, in each of which every row works for `seconds` in turn."""
    workers = [Worker(pythons[entry.peer], entry, seconds) for entry in group.entries]
    try:
        for _ in range(repeats):
            for worker in workers:
                worker.work()
    finally:
        for worker in workers:
            worker.close()
    reference = next(w for w in workers if w.entry.name == group.reference)
    return {"title": group.title, "rows": [_row(worker, reference) for worker in workers]}


def _row(worker: Worker, reference: Worker) -> dict[str, Any]:
    rates = [sample["rate"] for sample in worker.samples]
    pairs = zip(worker.samples, reference.samples, strict=True)
    rate = statistics.median(rates)
    entry = worker.entry
    return {
        "name": entry.name,
        "rate": rate,
        "lowest": min(rates),
        "highest": max(rates),
        "ratio": statistics.median(one["rate"] / two["rate"] for one, two in pairs),
        "evaluations": entry.evaluations and rate * entry.evaluations,
        "multiply_adds": entry.products and rate * entry.products,
        "cores": statistics.median(sample["cores"] for sample in worker.samples),
        "startup": worker.startup,
        "memory": max(sample["memory"] for sample in worker.samples),
    }
