"""Subjects of pictures: environments, systems from outside, checkpoints; and their exact twins."""

import gc
from typing import ClassVar

import equinox as eqx
import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import RescaleAction
from matplotlib.text import Text
from stranger.machines import ARM
from stranger.systems import CartPole

from gym_lagrangian import LearnedDynamicsEnv, checkpoints
from gym_lagrangian.cli import main
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.physics.dynamics import ContinuousDynamics
from gym_lagrangian.viewing.play import Game
from gym_lagrangian.viewing.plots import figures
from gym_lagrangian.viewing.rollout import film, rollout

EXACT, STRANGER = "DoublePendulum-v0", "stranger.systems:CartPole"
# A method that compiles fast, where accuracy is beside the point.
QUICK = {"integrator": "rk4", "substeps": 2}


@pytest.fixture(scope="module")
def arm(tmp_path_factory) -> str:
    """The checkpoint of a small LNN of a machine whose equations nobody knows."""
    key, config = jax.random.key(0), {"width": 8, "depth": 2, "quadratic_start": 1.0}
    model = checkpoints.fresh_model("LNN", ARM, (), key=key, **config)
    about = {"parameters": {}, "conditioned_on": (), "model": "LNN", "model_config": model.config}
    path = tmp_path_factory.mktemp("arm") / "arm.safetensors"
    checkpoints.save(
        path, jax.tree.map(lambda leaf: 0.2 * leaf, model), checkpoints.Card.of(ARM, **about)
    )
    return str(path)


class Pretended(eqx.Module):
    """The truth, times a gain, in the guise of a model."""

    system: CartPole
    gain: float

    learned: ClassVar[bool] = True
    has_energy: ClassVar[bool] = False

    def acceleration(self, q, qd, tau, m):
        return self.gain * self.system.acceleration(q, qd, tau, m)

    def friction(self, q, qd, m):
        return None


def pretended(gain: float, **arguments) -> gymnasium.Env:
    """A cart-pole that says of itself that it is learned."""
    env = gymnasium.make("Lagrangian-v0", system=CartPole, **QUICK, **arguments)
    field = Pretended(env.unwrapped.system, gain)
    env.unwrapped.dynamics = ContinuousDynamics(field, "dop853", 6)
    return env


class Repeat(gymnasium.Wrapper):
    """Every action three times, or until the end."""

    def step(self, action):
        for _ in range(3):
            found = self.env.step(action)
            if found[2] or found[3]:
                break
        return found


class TestEnvironment:
    """One that the user made."""

    def test_is_stepped_as_that_of_an_id_is(self):
        env = gymnasium.make(EXACT, g=5.0, **QUICK)
        one = rollout(env, steps=4, seed=3).trajectory
        two = rollout(EXACT, steps=4, seed=3, g=5.0, **QUICK).trajectory
        assert one.label == two.label == EXACT
        np.testing.assert_array_equal(one.states, two.states)
        np.testing.assert_array_equal(one.last_frame, two.last_frame)

    def test_wrapped_or_not(self):
        env = gymnasium.make(EXACT, **QUICK)
        one, two = (rollout(e, steps=3, seed=1).trajectory for e in (env, env.unwrapped))
        np.testing.assert_array_equal(one.states, two.states)

    def test_stays_open_and_as_it_was(self, lnn_checkpoint):
        env = LearnedDynamicsEnv(gymnasium.make(EXACT, **QUICK), lnn_checkpoint)
        chain, sampled = str(env), env.action_space.sample().dtype
        rollout(env, steps=2)
        assert str(env) == chain
        assert env.spec.id == EXACT
        env.reset(seed=0)
        env.step(np.zeros(2, sampled))

    def test_is_let_go_by_a_film_that_nobody_watches_to_the_end(self):
        env = pretended(1.1)
        chain = str(env)
        shown = film(env, steps=50, size=100)
        next(shown.frames)
        assert str(env) != chain
        del shown
        gc.collect()
        assert str(env) == chain

    def test_has_its_twin_beside_it(self, lnn_checkpoint):
        env = LearnedDynamicsEnv(gymnasium.make(EXACT, **QUICK), lnn_checkpoint)
        found = rollout(env, steps=5, seed=2)
        assert (found.trajectory.label, found.truth.label) == (f"{EXACT} learned", EXACT)
        assert found.error[-1] > 0
        start = found.trajectory.states[0]
        exact = rollout(EXACT, steps=5, seed=2, start=start).trajectory
        np.testing.assert_allclose(found.truth.states, exact.states, atol=1e-12)
        assert found.truth.total_reward == pytest.approx(exact.total_reward)

    def test_the_twin_has_the_parameters_and_the_goal_of_the_episode(self):
        ranges = {"g": (3.0, 15.0), "l": (0.3, 2.0), "task": "stranger.tasks:Reach"}
        env = pretended(1.0, **ranges)
        for seed in range(3):
            found = rollout(env, steps=10, seed=seed)
            np.testing.assert_allclose(found.truth.states, found.trajectory.states, atol=1e-9)
            assert found.truth.total_reward == pytest.approx(found.trajectory.total_reward)

    def test_the_twin_is_given_what_wrappers_make_of_actions(self):
        env = Repeat(RescaleAction(pretended(1.0), np.float32(0.0), np.float32(1.0)))
        found = rollout(env, steps=10)
        np.testing.assert_allclose(found.trajectory.time[:3], [0.0, 0.15, 0.3])
        np.testing.assert_allclose(found.truth.states, found.trajectory.states, atol=1e-9)
        np.testing.assert_array_equal(found.truth.time, found.trajectory.time)

    def test_the_twin_ends_with_it(self):
        start = [0.0, 0.7, 0.0, 0.0]
        found = rollout(pretended(10.0), steps=50, start=start, actions="zero")
        assert len(found.truth.time) == len(found.trajectory.time) < 50

    def test_is_played(self):
        env = pretended(1.2)
        game = Game(env, size=100)
        before = game.picture()
        game.advance()
        assert np.any(game.picture() != before)
        game.close()
        env.reset()

    def test_with_other_actions_is_not_played_nor_left_free(self):
        class Three(gymnasium.ActionWrapper):
            action_space = spaces.Discrete(3)

            def action(self, action):
                return np.array([action - 1.0], np.float32)

        env = Three(pretended(1.0))
        assert len(rollout(env, steps=3).trajectory.time) == 4
        with pytest.raises(ConfigurationError, match=r"arrow keys.*Discrete\(3\)"):
            Game(env, size=100)
        with pytest.raises(ConfigurationError, match=r'"zero": of Discrete\(3\)'):
            rollout(env, actions="zero")

    @pytest.mark.parametrize("look", [rollout, film, Game, figures])
    def test_refused(self, look):
        env = gymnasium.make(EXACT, **QUICK)
        with pytest.raises(ConfigurationError, match="g, dt: only with an id"):
            look(env, g=9.0, dt=0.1)
        with pytest.raises(ConfigurationError, match="not an environment of gym_lagrangian"):
            look(gymnasium.make("CartPole-v1"), seed=0)
        vector = gymnasium.make_vec(EXACT, vectorization_mode="vector_entry_point", **QUICK)
        for other in (vector, 3):
            with pytest.raises(ConfigurationError, match="expected an id, a system's name"):
                look(other, seed=0)

    def test_is_not_compared(self):
        with pytest.raises(ConfigurationError, match="only with an id"):
            film(gymnasium.make(EXACT, **QUICK), compare=["LNN"])


class TestId:
    def test_another_persons_system(self):
        found = rollout(STRANGER, steps=3, task="stranger.tasks:HoldStill", g=5.0, **QUICK)
        assert found.truth is None
        assert found.trajectory.label == "CartPole"
        assert found.coordinates == ("x (m)", "theta (rad)")
        assert found.trajectory.total_reward < 0
        again = rollout(CartPole, steps=3, task="stranger.tasks:HoldStill", g=5.0, **QUICK)
        np.testing.assert_array_equal(found.trajectory.states, again.trajectory.states)

    @pytest.mark.parametrize("what", [EXACT, "DoublePendulum", None], ids=str)
    def test_a_checkpoint_of_ones_own(self, what, lnn_checkpoint):
        given = () if what is None else (what,)
        found = rollout(*given, steps=2, checkpoint=lnn_checkpoint)
        assert found.trajectory.label.startswith("DoublePendulumLNN-")
        assert found.truth.label == EXACT

    def test_the_twin_of_an_id_is_what_the_exact_id_does(self, baseline_checkpoint):
        """Also once the model has left the range, which it does first."""
        narrow = {"omega_max": 2.0, "torque_max": 9.0}
        found = rollout(EXACT, steps=60, seed=1, checkpoint=baseline_checkpoint, **narrow)
        exact = rollout(EXACT, steps=60, seed=1, **narrow).trajectory
        assert len(found.trajectory.time) != len(found.truth.time)
        np.testing.assert_array_equal(found.truth.states, exact.states)
        np.testing.assert_array_equal(found.truth.last_frame, exact.last_frame)
        for name in ("label", "total_reward", "diverged"):
            assert getattr(found.truth, name) == getattr(exact, name)

    def test_both_end_at_the_time_limit(self, lnn_checkpoint):
        found = rollout(EXACT, steps=9, checkpoint=lnn_checkpoint, max_episode_steps=3)
        assert len(found.trajectory.time) == len(found.truth.time) == 4

    def test_a_film_is_what_the_environment_would_draw(self, lnn_checkpoint):
        frames = list(film(EXACT, steps=2, size=120, checkpoint=lnn_checkpoint, seed=5).frames)
        arguments = {"checkpoint": lnn_checkpoint, "render_size": 120, "show_truth": True}
        env = gymnasium.make(EXACT, render_mode="rgb_array", **arguments)
        env.reset(seed=5)
        env.action_space.seed(5)
        for frame in frames:
            np.testing.assert_array_equal(frame, env.render())
            env.step(env.action_space.sample())

    def test_checkpoints_are_compared(self, lnn_checkpoint, baseline_checkpoint):
        given = {"checkpoint": lnn_checkpoint, "compare": [baseline_checkpoint]}
        for what in (EXACT, "gym_lagrangian.systems.double_pendulum:DoublePendulum"):
            shown = film(what, steps=1, size=100, **given)
            assert [frame.shape[1] for frame in shown.frames] == [300, 300]

    def test_what_cannot_be_compared(self, arm):
        with pytest.raises(ConfigurationError, match="name the system too"):
            film(checkpoint=arm, compare=["LNN"])
        with pytest.raises(ConfigurationError, match="no trained 'LNN' of stranger"):
            film(STRANGER, compare=["LNN"])


def texts(figure) -> str:
    """Everything that is written in a figure."""
    figure.draw_without_rendering()
    return " ".join(text.get_text() for text in figure.findobj(Text))


class TestWithoutTruth:
    """A machine that is known by its coordinates alone, moved by a model of it."""

    def test_rollout(self, arm):
        found = rollout(checkpoint=arm, steps=3)
        assert found.truth is None
        assert found.trajectory.energy is None
        assert found.trajectory.energy_drift is None
        assert found.trajectory.model_energy.shape == (4,)
        assert found.trajectory.label == "arm"
        env = gymnasium.make("Lagrangian-v0", checkpoint=arm)
        np.testing.assert_array_equal(
            rollout(env, steps=3).trajectory.states, found.trajectory.states
        )

    def test_no_figure_speaks_of_truth(self, arm):
        made = figures(checkpoint=arm, steps=3)
        assert made.keys() == {"rollout", "energy", "phase-portrait", "learned-physics"}
        for figure in made.values():
            for word in ("exact", "true", "truth", "drift"):
                assert word not in texts(figure).lower()
        assert "model energy (J)" in texts(made["energy"])
        assert "up to gauge: as learned" in texts(made["learned-physics"])

    def test_no_table_speaks_of_energy(self, arm, tmp_path, capsys):
        out = ["--out", str(tmp_path)]
        assert main(["rollout", "--checkpoint", arm, "--steps", "3", *out]) == 0
        header, row, picture = capsys.readouterr().out.splitlines()
        assert header.split() == ["id", "return", "steps"]
        assert row.split() == ["arm", "0.000", "3"]
        assert picture == f"picture: {tmp_path / 'arm-seed0.png'}"

    def test_no_caption_speaks_of_energy(self, arm, monkeypatch):
        from gym_lagrangian.viewing import _painter

        said = []
        monkeypatch.setattr(
            _painter.Renderer, "draw", lambda self, scene, **given: said.append(given) or PICTURE
        )
        list(film(checkpoint=arm, steps=1, size=100).frames)
        assert [given["captions"] for given in said] == [["0.00 s"], ["0.05 s"]]
        assert not any({"ghost", "drifts"} & given.keys() for given in said)

    def test_is_played(self, arm):
        game = Game(checkpoint=arm, size=100)
        game.advance()
        assert game.picture().shape == (100, 100, 3)
        game.close()


PICTURE = np.zeros((100, 100, 3), np.uint8)


class TestLearnedEnvironment:
    def test_figures_of_one_that_was_handed_in(self, lnn_checkpoint):
        env = gymnasium.make(EXACT, checkpoint=lnn_checkpoint)
        assert figures(env, steps=2, start=[0.1, 0, 0, 0]).keys() >= {
            "error-growth",
            "learned-physics",
        }

    def test_no_figure_of_a_model_that_no_longer_moves_it(
        self, lnn_checkpoint, baseline_checkpoint
    ):
        inner = gymnasium.make(EXACT, checkpoint=lnn_checkpoint)
        made = figures(LearnedDynamicsEnv(inner, baseline_checkpoint), steps=2)
        assert "error-growth" in made
        assert "learned-physics" not in made
