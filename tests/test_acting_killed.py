"""Kill −9 at random moments: a run goes on, and comes to what it would have come to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import acting_victim
import numpy as np
import pytest
from acting_helpers import ID, TINY
from test_acting import quietly

from gym_lagrangian import Transitions, checkpoints
from gym_lagrangian.acting.folder import Folder

HERE = Path(__file__).parent
BUDGET, EPISODES = 16.0, 8
HOW = {"seed": 5, "random": 2.0, "episode": 2.0}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What nobody interrupts."""
    return quietly(ID, budget=BUDGET, out=tmp_path_factory.mktemp("whole"), **HOW)


def start(out):
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    cache = {"JAX_COMPILATION_CACHE_DIR": str(out.parent / "cache")}
    cache["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    command = [sys.executable, acting_victim.__file__, str(out)]
    return subprocess.Popen(command, env=cache | os.environ | {"PYTHONPATH": path})


def written(out):
    """How many files of episodes and models there are, which says how far a run is."""
    return sum(len(list((out / name).glob("*[0-9].*"))) for name in ("episodes", "models"))


def killed_after(process, out, count, delay):
    """Kill it a moment after so many files are there; whether it was still running."""
    while written(out) < count and process.poll() is None:
        time.sleep(0.005)
    time.sleep(delay)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return alive


def survives(out, kills, seed, whole):
    """Whatever was in the folder when a run was killed is in it, unchanged, at the end."""
    rng, running = np.random.default_rng(seed), 0
    for _ in range(kills):
        ahead = written(out) + int(rng.integers(0, 2))
        running += killed_after(start(out), out, ahead, rng.uniform(0.0, 0.3))
        done = [path.read_bytes() for path in sorted((out / "episodes").glob("*.npz"))]
        assert len(Folder(out).history()) >= len(done) - 1  # all but the episode under way
        kept = Folder(whole.out)
        assert done == [kept.episode(i).read_bytes() for i in range(len(done))]
    assert running, "every kill came too late"
    return equal(quietly(ID, budget=BUDGET, out=out, **HOW), whole)


def equal(found, whole):
    """The same history, experience and model, number for number."""
    for one, other in zip(found.history, whole.history, strict=True):
        assert {**one, "wall": 0} == {**other, "wall": 0}
    ours, theirs = (Transitions.load(run.out / "transitions.npz") for run in (found, whole))
    for name, array in ours.arrays.items():
        np.testing.assert_array_equal(array, theirs.arrays[name])
    shas = [checkpoints.load(run.out / "model.safetensors").sha256 for run in (found, whole)]
    assert shas[0] == shas[1]
    return True


def test_the_victim_is_the_run_that_is_compared(whole):
    assert len(whole.history) == EPISODES
    assert TINY["model"] == whole.checkpoint.card.model


def test_two_kills(tmp_path, whole):
    assert survives(tmp_path / "run", 2, 0, whole)


@pytest.mark.slow
def test_twenty_kills(tmp_path, whole):
    assert survives(tmp_path / "run", 20, 1, whole)
