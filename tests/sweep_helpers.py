"""Small sweeps for tests, and the process of one that is to be killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gym_lagrangian.sweeps.file import sweep_in

HERE = Path(__file__).parent

SMALL = {
    "systems": ["Kepler"],
    "models": ["Baseline"],
    "seeds": 2,
    "steps": 40,
    "training": {
        "chunk": 10,
        "batch": 8,
        "optimiser": "adam",
        "learning_rate": [1e-2, 1e-3, 1e-5, 1e-6],
    },
    "model": {"width": 8, "depth": 1},
    "early_stopping": {"first": 10, "factor": 2},
}

# The same as a file; JSON's values are TOML's here.
TOML = """
systems = ["Kepler"]
models = ["Baseline"]
seeds = 2
steps = 40
[training]
chunk = 10
batch = 8
optimiser = "adam"
learning_rate = [1e-2, 1e-3, 1e-5, 1e-6]
[model]
width = 8
depth = 1
[early_stopping]
first = 10
factor = 2
"""


def small(**changes):
    """A small sweep, with other entries; None leaves one out."""
    document = SMALL | changes
    return sweep_in({name: value for name, value in document.items() if value is not None})


class Victim:
    """``gym-lagrangian sweep`` in processes of their own, Ray's workers among them."""

    MARK = "SWEEP_TEST_MARK"

    def __init__(self, folder):
        self.folder, self.mark = folder, f"{folder.name}-{time.monotonic_ns()}"
        (folder / "small.toml").write_text(TOML)
        self.out = folder / "out"

    def start(self):
        """The driver."""
        paths = os.pathsep.join([str(HERE.parent), str(HERE)])
        environment = os.environ | {"PYTHONPATH": paths, self.MARK: self.mark}
        command = [sys.executable, "-m", "gym_lagrangian.cli", "sweep", "small.toml"]
        with (self.folder / "said").open("w") as said:
            return subprocess.Popen(
                [*command, "--out", "out", "--workers", "1"],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    @property
    def said(self):
        """What the last driver wrote to standard error."""
        return (self.folder / "said").read_text()

    def processes(self, name=b""):
        """The numbers of all processes of this sweep whose command begins so."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                ours = f"{self.MARK}={self.mark}".encode() in (path / "environ").read_bytes()
                if ours and (path / "cmdline").read_bytes().startswith(name):
                    found.append(int(path.name))
            except OSError:  # gone, or another user's
                continue
        return found

    def reports(self):
        """How often packs have saved their state, which says how far the sweep is."""
        last = {}
        for path in self.out.glob("ray/pack-*/**/checkpoint_*"):
            pack, number = path.parent, int(path.name.rpartition("_")[2])
            last[pack] = max(last.get(pack, 0), number + 1)
        return sum(last.values())

    def finish(self, attempts=5):
        """Give the command until it ends well: Ray may not start on a machine that is busy."""
        for _ in range(attempts):
            done = self.start().wait() == 0
            self.wait_until_gone()
            if done:
                return True
        return False

    def kill_worker(self):
        """Kill the processes that train; whether there were any."""
        workers = self.processes(b"ray::ImplicitFunc")
        for number in workers:
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return bool(workers)

    def wait_until_gone(self, seconds=60):
        """Wait for what Ray leaves behind."""
        end = time.monotonic() + seconds
        while self.processes() and time.monotonic() < end:
            time.sleep(0.2)
        for number in self.processes():
            os.kill(number, signal.SIGKILL)
