"""The strategy that trains a policy in the learned model.

After every fit a policy is trained by PPO in the model (see `acting.ppo`). Training continues from
the policy before, on roll-outs that branch off all experienced states. The policy then acts by its
mean.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gym_lagrangian.acting.planning import params_of
from gym_lagrangian.acting.ppo import PPO, Agent, fresh, mean_action, train
from gym_lagrangian.acting.strategy import Actor, Situation, Strategy
from gym_lagrangian.acting.world import World
from gym_lagrangian.envs.functional import cast
from gym_lagrangian.errors import DataError
from gym_lagrangian.files import replacing
from gym_lagrangian.systems.task import TaskState

# The least number of rows to which experienced states are padded.
_ROWS = 256


@dataclass(frozen=True)
class PolicySearch(Strategy):
    """An agent trained in the model.

    Attributes:
        ppo: how.
    """

    ppo: PPO = field(default_factory=PPO)

    def actor(self, situation: Situation) -> Actor:
        world, scale = situation.world, _units(situation.world)
        path = situation.file.with_suffix(".npz")
        begun = self._begun(situation, len(scale))
        agent = _read(path, begun) if path.exists() else self._trained(situation, begun, scale)
        _write(path, agent)
        act = partial(_act, agent, scale)

        def chosen(state: np.ndarray, observation: np.ndarray, time: float) -> np.ndarray:
            return np.asarray(act(_seen(world, state, world.goal_of(observation))))

        return chosen

    def document(self, world: World) -> dict[str, Any]:
        return {"policy": asdict(self.ppo)}

    def _begun(self, situation: Situation, inputs: int) -> Agent:
        """The agent before, or an untrained one."""
        outputs, key = situation.world.task.action_size, jax.random.key(situation.seed)
        blank = fresh(inputs, outputs, self.ppo.width, key)
        before = situation.before and situation.before.with_suffix(".npz")
        return blank if before is None or not before.exists() else _read(before, blank)

    def _trained(self, situation: Situation, agent: Agent, scale: Any) -> Agent:
        world = situation.world
        params = cast(params_of(world, situation.checkpoint), "float32")
        states, count = _padded(situation.states)
        key = jax.random.fold_in(jax.random.key(situation.seed), 1)
        return train(world.functional, self.ppo, params, agent, scale, states, count, key)[0]


@jax.jit
def _act(agent: Agent, scale: Any, observation: Any) -> Any:
    return mean_action(agent, observation / scale)


def _seen(world: World, state: np.ndarray, goal: np.ndarray) -> Any:
    """What the task observes of a state: what the agent was trained on."""
    q, qd = np.split(state.astype(np.float32), 2)
    m, goal = (np.asarray(a, np.float32) for a in (world.m, goal))
    return world.task.observation(TaskState(*map(jnp.asarray, (q, qd, m, goal, 0.0, 0.0 * q))))


def _units(world: World) -> Any:
    """The ends (o,) of observations, at most 10 where they are wide."""
    low, high = world.task.observation_bounds(np.stack([world.m] * 2), world.goal_bounds)
    return jnp.clip(jnp.maximum(jnp.abs(low), jnp.abs(high)), 1e-3, 10.0)


def _padded(states: np.ndarray) -> tuple[Any, Any]:
    """The states with copies of the first up to a power of two, and how many are real."""
    rows = max(_ROWS, 2 ** int(np.ceil(np.log2(len(states)))))
    copies = np.repeat(states[:1], rows - len(states), axis=0)
    return jnp.asarray(np.concatenate([states, copies]), jnp.float32), jnp.asarray(len(states))


def _write(path: Path, agent: Agent) -> None:
    leaves: Any = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(agent))}
    with replacing(path, failure=DataError) as part, part.open("wb") as file:
        np.savez(file, **leaves)


def _read(path: Path, like: Agent) -> Agent:
    with np.load(path, allow_pickle=False) as file:
        leaves = [jnp.asarray(file[str(i)]) for i in range(len(jax.tree.leaves(like)))]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
