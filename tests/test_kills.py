"""Kills at random moments: a command goes on, or begins again, and comes to the same.

By SIGKILL, by SIGTERM as supervisors end a process, and by SIGINT, which is Ctrl-C. Those of sweeps
are in `test_sweeps.py`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import victim
from killing import STATUS

from gym_lagrangian import checkpoints, collect, read_minari

HERE = Path(__file__).parent
OUT, UNFINISHED = "model.safetensors", "model.resume.safetensors"


class Run:
    """A command in a folder, started, ended and started again."""

    def __init__(self, command, folder, cache):
        self.command, self.folder, self.cache = command, folder, cache
        folder.mkdir()
        there = {"fit": "data.npz", "collect": "found.npz"}
        if command in there:
            (folder / there[command]).write_bytes((cache / "data.npz").read_bytes())

    def files(self):
        """What is in the folder, but for what a process that is killed leaves unfinished."""
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        names = {path.relative_to(self.folder).as_posix(): path for path in paths}
        passing = (".part", ".lock", "said")
        return {k: p.read_bytes() for k, p in names.items() if not k.endswith(passing)}

    def start(self):
        paths = os.pathsep.join([str(HERE.parent), str(HERE)])
        surroundings = {
            "PYTHONPATH": paths,
            "JAX_COMPILATION_CACHE_DIR": str(self.cache / "compiled"),
            "MINARI_DATASETS_PATH": str(self.folder),
        }
        more = ["--resume"] if (self.folder / UNFINISHED).exists() else []
        with (self.folder / "said").open("w") as said:
            return subprocess.Popen(
                [sys.executable, victim.__file__, self.command, *more],
                cwd=self.folder,
                env=os.environ | surroundings,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    def ended(self, by=None, delay=0.0, ready=lambda: True):
        """Start it, and end it by a signal a while after it is ready; whether it was running."""
        before, process = self.files(), self.start()
        while by and not ready() and process.poll() is None:
            time.sleep(0.005)
        try:
            status = process.wait(delay if by else None)
        except subprocess.TimeoutExpired:
            process.send_signal(by)
            status = process.wait()
        said = (self.folder / "said").read_text()
        assert status in (0, *STATUS.get(by, ())), said
        self.nothing_is_lost(before)
        if by is not None and status > 0:
            self.is_true(said, before)
        return status != 0

    @property
    def finished(self):
        """Whether there is nothing to go on with: the same command would be refused."""
        if self.command == "minari":
            return (self.folder / "killed" / "cart-v0").exists()
        return (self.folder / OUT).exists() and not (self.folder / UNFINISHED).exists()

    def nothing_is_lost(self, before):
        """Every file that was there is there, or what it became, and every file is whole."""
        after = self.files()
        gone = before.keys() - after.keys()
        assert {name.replace(".resume", "") for name in gone} <= after.keys(), gone
        for name in after:
            readable(self.folder / name)

    def is_true(self, said, before):
        """What was said of the unfinished state on the way out."""
        after = self.files()
        if "go on with --resume" in said:
            assert UNFINISHED in after
        if "is as it was" in said:
            assert after[UNFINISHED] == before[UNFINISHED]
        if "before there was anything to save" in said:
            assert not {UNFINISHED, OUT} & after.keys()
        if self.command in ("train", "fit") and UNFINISHED in after and OUT not in after:
            assert UNFINISHED in said or before.get(UNFINISHED) == after[UNFINISHED]

    def result(self):
        """What it came to, without times."""
        if self.command == "minari":
            return read(self.folder)
        found = self.files()
        if self.command == "learn":
            lines = map(json.loads, found.pop("run/history.jsonl").splitlines())
            return found, [line | {"wall": 0} for line in lines]
        return found


def readable(path):
    """Read all of a file of ours."""
    if path.suffix == ".safetensors":
        checkpoints.load(path)
    elif path.suffix == ".npz":
        with np.load(path) as file:
            assert all(file[name] is not None for name in file)
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".jsonl":
        assert all(json.loads(line) for line in path.read_text().splitlines())


def read(folder):
    """The data set of Minari, column by column."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(folder))
        found = read_minari("killed/cart-v0")
    return {name: array.tolist() for name, array in (found.arrays | found.columns).items()}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Data to fit, and compiled programs, of which killed processes may leave half."""
    folder = tmp_path_factory.mktemp("cache")
    collect("DoublePendulum-v0", 60).save(folder / "data.npz")
    return folder


def survives(command, kills, folder, cache, seed):
    """Whatever kills it, and whenever."""
    whole, start = Run(command, folder / "whole", cache), time.monotonic()
    assert not whole.ended()
    usual, rng, survived, lives = time.monotonic() - start, np.random.default_rng(seed), 0, 0
    while survived < kills:
        lives += 1
        run, over = Run(command, folder / str(lives), cache), False
        while not over and survived < kills:
            by = list(STATUS)[int(rng.integers(3))]
            killed = run.ended(by, delay=rng.uniform(0.0, usual))
            survived, over = survived + killed, not killed or run.finished
        assert over or not run.ended()
        assert run.result() == whole.result()
    return survived


def test_a_kill_while_it_learns(tmp_path, cache):
    whole, run = (Run("learn", tmp_path / name, cache) for name in ("whole", "killed"))
    assert not whole.ended()
    episodes = run.folder / "run" / "episodes"
    assert run.ended(signal.SIGKILL, ready=lambda: len(list(episodes.glob("*.npz"))) > 2)
    assert not run.ended()
    assert run.result() == whole.result()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "kills"), [("train", 10), ("fit", 10), ("collect", 5), ("minari", 5), ("learn", 20)]
)
def test_kills_at_random(command, kills, tmp_path, cache):
    if command == "minari":
        pytest.importorskip("minari")
    assert survives(command, kills, tmp_path, cache, seed=0) == kills
