r"""The paper's second experiment: every model on the relativistic particle.

Accelerations on the training distribution, weighted by 1 + γ; free motion for one second from
v ~ U(−0.99, 0.99), judged by max_t |v − v_true|; and the proof that a Hamiltonian network fed
(q, q̇) must fail. With p := q̇ the equation q̇ = ∂H/∂p forces H = ½p² + V(q, g), so that its q̈
cannot depend on v. On the paper's own sampling that shows little, as q̈ = 0 does as well there;
on slow states, v ~ U(−0.9, 0.9) without weights, the best predictor that is not given v is
q̈ = g · median f(v), with f(v) = q̈/g of the true motion. It is better than zero, and it is the best
that a non-canonical HNN trained on such states can learn.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gym_lagrangian import evaluation
from gym_lagrangian.checkpoints import Checkpoint
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.learning.train import train
from gym_lagrangian.models.base import Model
from gym_lagrangian.reproduce.protocol import Protocol
from gym_lagrangian.systems.relativistic_particle import RelativisticParticle
from gym_lagrangian.systems.sample import Sample

SYSTEM = "RelativisticParticle"

# The variant that physics has, beside the one that the paper prints. Its LNN is trained briefly: a
# force residual without forces is small at L = 0 too, and a long training drifts there.
PHYSICAL, PHYSICAL_STEPS = {"lagrangian": "special_relativity"}, 20_000

# The models of the paper's Figure 3, in its order.
FIGURE = ("NoncanonicalHNN", "HNN", "LNN")

# Their weighted acceleration loss at the end of training, in the authors' published code.
PAPER = {"LNN": 7.9e-4, "HNN": 2.4e-4, "NoncanonicalHNN": 0.41}

# The states of the proof: so fast at most, and so many to train on.
SLOW, SLOW_STATES = 0.9, 100_000


class Traces(NamedTuple):
    """The velocity over one second of free motion from one start.

    Attributes:
        time: seconds (T,), from 0.
        velocity: v (T,) by name; ``"truth"`` is the exact system.
    """

    time: np.ndarray
    velocity: dict[str, np.ndarray]


class Still(eqx.Module):
    """The predictor that nothing accelerates."""

    learned: ClassVar[bool] = True
    has_energy: ClassVar[bool] = False

    def friction(self, q: Array, qd: Array, m: Array) -> None:
        """None."""

    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        """q̈ = 0."""
        return jnp.zeros_like(q)


class WithoutVelocity(eqx.Module):
    """A predictor of unforced motion that does not look at v."""

    learned: ClassVar[bool] = True
    has_energy: ClassVar[bool] = False

    share: Array

    def friction(self, q: Array, qd: Array, m: Array) -> None:
        """None."""

    def acceleration(self, q: Array, qd: Array, tau: Array, m: Array) -> Array:
        """q̈ = `share` · g."""
        return self.share * m[2:]


def measure(found: Checkpoint, protocol: Protocol) -> dict[str, Any]:
    """A model's numbers, JSON-able."""
    system, dt = found.card.build_system(), found.card.metrics["dt"]
    how: Any = {"forced": found.card.forced, "states": protocol.loss_states}
    return {
        "losses": evaluation.losses(found.model, system, dt=dt, **how),
        "velocity_error": evaluation.velocity_error(
            found.model, system, states=protocol.velocity_states, seed=protocol.seed
        ),
    }


def still(protocol: Protocol) -> float:
    """The weighted acceleration loss of q̈ = 0."""
    how: Any = {"forced": False, "states": protocol.loss_states}
    return evaluation.acceleration_loss(Still(), RelativisticParticle(), **how)


def traces(models: dict[str, Checkpoint], protocol: Protocol) -> Traces:
    """Figure 3: one motion, from the start whose velocity changes the most."""
    motions = {
        name: evaluation.free_motions(
            models[name].model,
            RelativisticParticle(),
            dt=evaluation.VELOCITY_SECONDS / evaluation.VELOCITY_POINTS,
            states=protocol.velocity_states,
            seconds=evaluation.VELOCITY_SECONDS,
            seed=protocol.seed,
        )
        for name in FIGURE
        if name in models
    }
    truth = next(iter(motions.values()))[1]
    velocity = truth.states[..., 1]
    start = int(np.argmax(np.ptp(velocity, axis=0)))
    chosen = {"truth": truth} | {name: motion for name, (motion, _) in motions.items()}
    return Traces(truth.time, {name: m.states[:, start, 1] for name, m in chosen.items()})


def proof(lnn: Model, protocol: Protocol) -> dict[str, float]:
    """Mean |q̈ error| on slow states, JSON-able: of zero, of the best predictor that does not
    know v, of a non-canonical HNN trained on such states here, and of the LNN.
    """
    known, fresh = (slow_states(SLOW_STATES, seed=protocol.seed + i) for i in (1, 2))
    system = RelativisticParticle()
    qdd = np.asarray(_accelerations(system, known))
    predictors: dict[str, Any] = {
        "zero": Still(),
        "without_velocity": WithoutVelocity(jnp.median(qdd[:, 0] / known.m[:, 2])),
        "NoncanonicalHNN": _trained("NoncanonicalHNN", known, qdd, protocol.proof_steps),
        "LNN": lnn,
    }
    error = evaluation.acceleration_error
    return {name: error(model, system, fresh) for name, model in predictors.items()}


def slow_states(count: int, *, seed: int) -> Sample:
    """Unforced states of the protocol, but v ~ U(−0.9, 0.9) and all of weight 1."""
    key_state, key_v = jax.random.split(jax.random.key(seed))
    keys = jax.random.split(key_state, count)
    samples = jax.vmap(RelativisticParticle().fast_state)(keys)
    qd = jax.random.uniform(key_v, samples.qd.shape, minval=-SLOW, maxval=SLOW)
    return samples._replace(qd=qd, weight=jnp.ones_like(samples.weight))


@eqx.filter_jit
def _accelerations(system: RelativisticParticle, samples: Sample) -> Array:
    return jax.vmap(system.acceleration)(samples.q, samples.qd, samples.tau, samples.m)


def _trained(name: str, samples: Sample, qdd: np.ndarray, steps: int) -> Model:
    """A model that learned these states alone."""
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "states.npz", Path(folder) / "model.safetensors"
        np.savez(data, q=samples.q, qd=samples.qd, m=samples.m, qdd=qdd)
        config = TrainingConfig.of(name, SYSTEM, steps=steps)
        return train(SYSTEM, name, out=out, config=config, data=data).model
