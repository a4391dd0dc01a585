"""In programs that set jax otherwise, and in those that fork, everything works or says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("other_settings.py")
PARTS = ["environments", "pure_functions", "plans", "fits"]


def run(*arguments: str) -> subprocess.CompletedProcess:
    here = os.pathsep.join([str(SCRIPT.parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": here},
    )


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["jax_numpy_rank_promotion=raise"], PARTS),
        (["jax_enable_x64=true", "jax_debug_nans=true", "jax_check_tracer_leaks=true"], PARTS),
    ],
    ids=["ranks", "the others"],
)
def test_every_part_works(settings, parts):
    done = run(str(SCRIPT), *settings, *parts)
    assert done.stdout.split() == parts, done.stderr[-2000:]


NOT_COMPILED = """
import jax
jax.config.update("jax_disable_jit", True)
import gymnasium, numpy as np
env = gymnasium.make("gym_lagrangian:RelativisticParticle-v0", integrator="rk4", substeps=1)
env.reset(seed=0)
print(np.isfinite(env.step(np.ones(1, np.float32))[0]).all(), jax.config.jax_disable_jit)
"""


def test_an_environment_steps_where_jax_is_told_not_to_compile():
    done = run("-c", NOT_COMPILED)
    assert done.stdout.split() == ["True", "True"], done.stderr[-2000:]


FORKED = """
import os, warnings
import gymnasium, gym_lagrangian
from gymnasium.vector import AsyncVectorEnv

def make():
    return gymnasium.make("RelativisticParticle-v0", integrator="rk4", substeps=1)

with warnings.catch_warnings(record=True) as before:
    warnings.simplefilter("always")
    if os.fork() == 0:
        os._exit(0)
    os.wait()
print(sum("spawn" in str(one.message) for one in before))
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    envs = AsyncVectorEnv([make, make])
print(sum('context="spawn"' in str(one.message) for one in found), flush=True)
for process in envs.processes:  # which may hang, as the warning says
    process.kill()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_fork_is_warned_of_once_jax_was_used():
    """AsyncVectorEnv's default context forks on Linux: a warning for each of its two workers."""
    done = run("-c", FORKED)
    assert done.stdout.split() == ["0", "2"], done.stderr[-2000:]
