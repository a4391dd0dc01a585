"""What a network adds to calibrated physics: a Lagrangian and friction, near the data alone."""

from __future__ import annotations

import arm_logs
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import Coordinates, FitConfig, Transitions, checkpoints, fit
from gym_lagrangian.checkpoints import fresh_model
from gym_lagrangian.envs.functional import cast
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.models.embedding import Embedding
from gym_lagrangian.models.residual import places_among

ARM = Coordinates(("shoulder", "elbow"), angular=True, name="Arm", qd_scale=3.0, tau_scale=2.0)
TRUE = {"m1": 1.2, "l1": 0.35, "c1": 0.175, "I1": 1.2 * 0.35**2 / 12}
TRUE |= {"m2": 0.8, "l2": 0.3, "c2": 0.15, "I2": 0.8 * 0.3**2 / 12}
PHYSICS = {"system": "Chain", "options": {"links": 2}, "start": TRUE, "learned": ["m1"]}
M = jnp.zeros(0)


def near(count=60):
    """States of slow motion around hanging (count, 4)."""
    return np.random.default_rng(1).uniform(-0.5, 0.5, (count, 4))


def build(strength=1.0, **config):
    """A model in float64 whose residual is not small."""
    x = near()
    places = places_among(Embedding.of(ARM), x[:, :2], x[:, 2:], np.zeros((len(x), 0)), 16)
    how = PHYSICS | {"width": 8, "places": places} | config
    model = fresh_model("Residual", ARM, (), key=jax.random.key(0), **how)
    network = jax.tree.map(lambda leaf: strength * (leaf + 0.3), model.network)
    return cast(eqx.tree_at(lambda one: one.network, model, network), "float64")


def states(count=16, seed=0):
    """q, q̇ and τ (count, 2)."""
    return np.random.default_rng(seed).uniform(-1, 1, (3, count, 2))


def test_forces_and_friction_alone_change_its_energy():
    """dE/dt = q̇ᵀτ + q̇ᵀF with q̇ᵀF ≤ 0, and M is positive definite, whatever the weights."""
    with jax.enable_x64(True):
        model = build(strength=3.0)

        def balance(q, qd, tau):
            qdd = model.acceleration(q, qd, tau, M)
            slope = jax.jvp(lambda q, qd: model.energy(q, qd, M), (q, qd), (qd, qdd))[1]
            friction = model.friction(q, qd, M)
            lowest = jnp.linalg.eigvalsh(model.mass_matrix(q, qd, M))[0]
            return slope - qd @ (tau + friction), qd @ friction, lowest

        gap, power, lowest = jax.jit(jax.vmap(balance))(*states())
        np.testing.assert_allclose(gap, 0.0, atol=1e-8)
        assert np.all(power <= 0)
        assert np.all(lowest > 0)


def test_near_its_data_it_adds_and_far_from_them_it_is_its_physics():
    with jax.enable_x64(True):
        model = build()

        def added(q, qd):
            terms = [one.acceleration(q, qd, q, M) for one in (model, model.physics)]
            return jnp.abs(terms[0] - terms[1]).max()

        here = jax.jit(jax.vmap(added))(near()[:, :2], near()[:, 2:])
        there = jax.jit(jax.vmap(added))(near()[:, :2] + np.pi, near()[:, 2:] + 30.0)
        assert np.median(here) > 1e-1
        assert np.max(there) < 1e-3 * np.median(here)


def test_without_data_it_is_calibrated_physics():
    with jax.enable_x64(True):
        model = build(places=())
        q, qd, tau = states()
        found, expected = (
            jax.jit(jax.vmap(lambda q, qd, tau, one=one: one.acceleration(q, qd, tau, M)))(
                q, qd, tau
            )
            for one in (model, model.physics)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_it_learns_what_its_physics_lack(tmp_path):
    """Friction, of which the physics knows nothing; and its checkpoint gives it back."""
    log = arm_logs.motion(0, 500, jitter=0.0)
    rows = {"q": log.q[:-1], "qd": log.qd[:-1], "tau": log.tau[:-1]}
    data = Transitions(ARM, dt=0.01, next_q=log.q[1:], next_qd=log.qd[1:], **rows)
    config = FitConfig.of("Residual", steps=200, chunk=50, batch=32, horizon=3)
    out, how = tmp_path / "arm.safetensors", PHYSICS | {"width": 8}
    found = fit(data, "Residual", out=out, config=config, model_config=how)
    held_out = found.extra["held_out"][:, 1]
    assert held_out[-1] < 0.6 * held_out[0]
    assert len(found.model.places) == 32
    assert "m1" in found.card.metrics["standard_errors"]
    again, x = checkpoints.load(out).model, np.hstack([log.q[0], log.qd[0]])
    both = [one.predict(x, log.tau[:5], dt=0.01) for one in (again, found.model)]
    np.testing.assert_array_equal(*both)


def test_places_lie_among_the_data_and_apart():
    x = near(200)
    arrays = (x[:, :2], x[:, 2:], np.zeros((200, 0)))
    places = np.array(places_among(Embedding.of(ARM), *arrays, 12))
    features = np.hstack([np.cos(x[:, :2]), np.sin(x[:, :2]), x[:, 2:] / 3.0])
    gaps = np.linalg.norm(places[:, None] - features, axis=2)
    assert np.all(gaps.min(axis=1) < 1e-5)
    between = np.linalg.norm(places[:, None] - places, axis=2)[np.triu_indices(12, 1)]
    assert gaps.min(axis=0).max() <= between.min() + 1e-5


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"places": [[1.0, 2.0]]}, "expected rows of 6 numbers"),
        ({"friction_scale": -1.0}, "friction_scale = -1"),
        ({"breadth": 3}, "Residual takes no argument 'breadth'"),
    ],
)
def test_bad_settings_are_refused(config, message):
    with pytest.raises(ConfigurationError, match=message):
        fresh_model("Residual", ARM, (), key=jax.random.key(0), **PHYSICS | config)
