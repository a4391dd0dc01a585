"""Gymnasium's MuJoCo environments, moved by models."""

import copy
import pickle
from typing import Any, ClassVar

import equinox as eqx
import gymnasium
import jax
import numpy as np
import pytest
from adapter_helpers import Motion, Stated, Still, actions_of, assert_same_outcome, retrace
from gymnasium.vector import SyncVectorEnv

pytest.importorskip("mujoco")
pytest.importorskip("imageio")  # which Gymnasium's MuJoCo environments import

import mujoco
from gymnasium.envs.mujoco import MujocoEnv

from gym_lagrangian import FitConfig, LearnedDynamicsEnv, collect, fit
from gym_lagrangian.adapters import adapter_for
from gym_lagrangian.adapters.mujoco import MujocoAdapter
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.models.embedding import Embedding

IDS = ("InvertedPendulum-v5", "InvertedDoublePendulum-v5", "Reacher-v5", "InvertedPendulum-v4")


def make(name, **options):
    return gymnasium.make(name, disable_env_checker=True, **options)


def moved_by(env, motion, adapter=None):
    coordinates = adapter_for(env, adapter).coordinates(env.unwrapped)
    model = Stated(Embedding.of(coordinates), motion)
    return LearnedDynamicsEnv(env, model, adapter=adapter)


def refreshed(env, action, outcome):
    """What a step would have handed out, had MuJoCo brought all it derives up to date."""
    mujoco.mj_forward(env.model, env.data)
    env.do_simulation = lambda control, frames: None
    outcome = type(env).step(env, action)
    del env.do_simulation
    return outcome


class Oracle(Motion):
    """A twin of the environment that is put into every state and moved from there."""

    twin: Any = eqx.field(static=True)

    def step(self, state, tau, m, dt):
        shape = jax.ShapeDtypeStruct(state.shape, state.dtype)
        return jax.pure_callback(self.moved, shape, state, tau)

    def moved(self, state, tau):
        adapter, twin = MujocoAdapter(), self.twin
        adapter.set_state(twin, *np.split(np.asarray(state), 2))
        gears = twin.model.actuator_gear[:, 0]
        twin.do_simulation(np.asarray(tau)[: len(gears)] / gears, twin.frame_skip)
        return np.concatenate(adapter.state(twin)).astype(state.dtype)


class Custom(MujocoEnv):
    """A model of one's own, as text."""

    # Gymnasium 1.1 insists on exactly these.
    modes: ClassVar = ["human", "rgb_array", "depth_array", "rgbd_tuple"]
    metadata: ClassVar = {"render_modes": modes, "render_fps": 50}
    space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def __init__(self, path):
        super().__init__(str(path), 2, self.space)

    def reset_model(self):
        return self.data.qpos.copy()

    def step(self, action):
        self.do_simulation(action, self.frame_skip)
        return self.data.qpos.copy(), 0.0, False, False, {}


@pytest.fixture
def custom(tmp_path):
    """A MuJoCo environment of one body with a joint, an actuator and more of one's choice."""

    def build(
        joint='type="hinge"', actuator='<motor joint="j" ctrlrange="-1 1"/>', more="", cls=Custom
    ):
        path = tmp_path / "model.xml"
        path.write_text(
            f'<mujoco><option timestep="0.01"/><worldbody><body><joint name="j" {joint}/>'
            '<geom size=".1" pos="0 0 -.5"/></body><body pos="9 0 0">'
            '<joint name="k" type="slide" axis="1 0 0"/><geom size=".1"/></body></worldbody>'
            f"<actuator>{actuator}</actuator>{more}</mujoco>"
        )
        return cls(path)

    return build


class TestEveryEnvironment:
    @pytest.mark.parametrize("name", IDS)
    def test_the_true_next_states_give_the_true_trajectory(self, name):
        """10³ random steps: q and q̇ are equal to rounding; observation, reward and flags are the
        original's once MuJoCo has refreshed what it derives from them.
        """
        episodes = retrace(
            lambda: make(name), adapter_for(make(name)), 1000, refresh=refreshed, atol=1e-6
        )
        assert episodes > 1

    def test_where_only_the_state_counts_nothing_needs_a_refresh(self):
        assert retrace(lambda: make(IDS[0]), MujocoAdapter(), 500) > 1

    @pytest.mark.parametrize("name", IDS[:3])
    def test_moved_by_mujoco_itself(self, name):
        """An oracle in the model's place: the environment's own episodes, flags of its wrappers
        included.
        """
        twin, truth = make(name).unwrapped, make(name)
        env = moved_by(make(name), Oracle(twin))
        for seed in range(3):
            env.reset(seed=seed)
            truth.reset(seed=seed)
            for action in actions_of(truth, 60, seed):
                found, expected = env.step(action), truth.step(action)
                assert found[2:4] == expected[2:4]
                np.testing.assert_allclose(
                    MujocoAdapter().state(env.unwrapped),
                    MujocoAdapter().state(truth.unwrapped),
                    atol=1e-8,
                )
                if expected[2] or expected[3]:
                    break
            else:
                raise AssertionError("no episode ended")

    def test_without_the_refresh_a_fingertip_lags_by_less_than_a_frame(self):
        """What Reacher itself hands out of positions is of an earlier instant, by less than the
        10 ms of a frame; the adapter's is of the state reached.
        """
        env = make("Reacher-v5").unwrapped
        env.reset(seed=0)
        lags, bounds = [], []
        for action in actions_of(env, 50):
            env.step(action)
            stale, speed = env.get_body_com("fingertip").copy(), np.abs(env.data.qvel[:2]).sum()
            mujoco.mj_kinematics(env.model, env.data)
            lags.append(np.linalg.norm(env.get_body_com("fingertip") - stale))
            bounds.append(0.01 * 0.21 * speed)
        assert 1e-4 < max(lags) < 5e-3
        assert np.all(np.array(lags) <= 2.0 * np.array(bounds))

    @pytest.mark.parametrize("name", IDS)
    def test_a_model_that_stands_still(self, name):
        """Nothing that is handed out comes from the true next state."""
        env = moved_by(make(name), Still())
        before, _ = env.reset(seed=1)
        rewards = set()
        for action in actions_of(env, 20):
            observation, reward, terminated, truncated, _ = env.step(action)
            np.testing.assert_allclose(observation, before, atol=1e-12)
            control = np.sum(action.astype(float) ** 2) if name.startswith("Reacher") else 0.0
            rewards.add(round(float(reward) + control, 6))
            assert (terminated, truncated) == (False, False)
        assert len(rewards) == 1

    def test_what_the_interface_reads_of_a_model(self):
        adapter = MujocoAdapter()
        env = make("InvertedDoublePendulum-v5").unwrapped
        coordinates = adapter.coordinates(env)
        assert coordinates.coordinates == ("slider", "hinge", "hinge2")
        assert coordinates.angular == (False, True, True)
        assert adapter.dt(env) == pytest.approx(0.05)
        np.testing.assert_allclose(adapter.generalized_force(env, [3.0]), [500.0, 0.0, 0.0])
        reacher = make("Reacher-v5").unwrapped
        assert adapter.coordinates(reacher).coordinates == ("joint0", "joint1")
        np.testing.assert_allclose(adapter.generalized_force(reacher, [0.5, -2.0]), [100, -200])

    @pytest.mark.parametrize("name", IDS[:3])
    def test_forces_are_those_that_mujoco_applies(self, name):
        env = make(name).unwrapped
        env.reset(seed=0)
        adapter, action = MujocoAdapter(), 0.3 * env.action_space.high
        env.step(action)
        n = adapter.coordinates(env).n
        np.testing.assert_allclose(
            adapter.generalized_force(env, action), env.data.qfrc_actuator[:n], rtol=1e-6
        )


class TestCopies:
    """MuJoCo's environments are copied as their arguments: they begin anew, under the model."""

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
    def test_the_model_goes_along(self, copied):
        env = moved_by(make("Reacher-v5"), Still())
        twin = copied(env)
        assert twin.unwrapped is not env.unwrapped
        first, _ = twin.reset(seed=2)
        action = np.ones(2, np.float32)
        np.testing.assert_allclose(twin.step(action)[0], first, atol=1e-12)
        twin.unwrap()
        assert "step" in vars(env.unwrapped)
        assert not np.allclose(twin.env.step(action)[0], first, atol=1e-3)

    def test_several_in_a_vector_environment(self):
        envs = SyncVectorEnv([lambda: moved_by(make("InvertedPendulum-v5"), Still())] * 2)
        first, _ = envs.reset(seed=0)
        observation, reward, *_ = envs.step(np.ones((2, 1), np.float32))
        np.testing.assert_allclose(observation, first, atol=1e-12)
        np.testing.assert_array_equal(reward, [1, 1])


class TestJoints:
    def test_the_target_stays_where_reset_put_it(self):
        env = moved_by(make("Reacher-v5"), Still())
        env.reset(seed=3)
        target = env.unwrapped.get_body_com("target").copy()
        env.step(np.ones(2, np.float32))
        np.testing.assert_array_equal(env.unwrapped.get_body_com("target"), target)

    def test_named(self, custom):
        env = custom()
        assert MujocoAdapter().coordinates(env).coordinates == ("j",)
        chosen = MujocoAdapter(joints=("k", "j")).coordinates(env)
        assert (chosen.coordinates, chosen.angular) == (("k", "j"), (False, True))
        with pytest.raises(ConfigurationError, match=r"\('x',\): expected some of j, k"):
            MujocoAdapter(joints=("x",)).coordinates(env)

    def test_a_hinge_with_a_spring_has_no_period(self, custom):
        assert MujocoAdapter().coordinates(custom('type="hinge" stiffness="2"')).angular == (False,)

    @pytest.mark.parametrize(
        ("joint", "cyclic"),
        [
            ('type="slide" axis="1 0 0"', True),
            ('type="slide" axis="1 0 0" stiffness="2"', False),
            ('type="slide" axis="1 0 1"', False),
            ('type="hinge" axis="0 0 1"', True),
            ('type="hinge" axis="1 0 0"', False),
        ],
    )
    def test_where_gravity_tells_no_place_from_another(self, custom, joint, cyclic):
        chosen = MujocoAdapter(joints=("j", "k")).coordinates(custom(joint))
        assert ("j" in chosen.cyclic) is cyclic

    def test_of_a_chain_only_the_first(self):
        names = {
            "InvertedDoublePendulum-v5": ("slider",),
            "Reacher-v5": ("joint0",),
            "Swimmer-v5": ("slider1", "slider2"),
        }
        for name, cyclic in names.items():
            assert MujocoAdapter().coordinates(make(name).unwrapped).cyclic == cyclic

    def test_without_any_motor_all(self, custom):
        env = custom(actuator="")
        assert MujocoAdapter().coordinates(env).coordinates == ("j", "k")
        np.testing.assert_array_equal(MujocoAdapter().generalized_force(env, []), [0, 0])


class TestFree:
    """Steps in which a contact or a limit acts are told from others."""

    def watched(self, env, action):
        return MujocoAdapter().watched(env, action).free

    def test_limits(self, custom):
        env = custom('type="hinge" axis="0 1 0" limited="true" range="-10 10"')
        env.reset()
        assert self.watched(env, [0.0])
        MujocoAdapter().set_state(env, np.array([0.2]), np.array([0.0]))
        assert not self.watched(env, [0.0])

    def test_a_model_that_leads_beyond_a_limit(self, custom):
        """Nothing stops it, and `info` says so."""
        env = moved_by(custom('type="slide" axis="1 0 0" limited="true" range="-1 1"'), Still())
        assert env.reset()[1]["disturbed"] is False
        env.unwrapped.data.qpos[0] = 1.2
        observation, *_, info = env.step(np.zeros(1, np.float32))
        assert (observation[0], info["disturbed"]) == (1.2, True)

    def test_dry_friction_is_friction(self, custom):
        env = custom('type="hinge" axis="0 1 0" frictionloss=".1"')
        env.reset()
        MujocoAdapter().set_state(env, np.array([0.2]), np.array([0.3]))
        assert self.watched(env, [0.0])

    def test_a_joint_that_is_no_coordinate_moves(self, custom):
        env = custom()
        env.reset()
        env.data.qvel[1] = 0.5
        assert not self.watched(env, [0.0])

    def test_contacts_and_the_motion_is_the_environments_own(self):
        env, twin = make("HalfCheetah-v5").unwrapped, make("HalfCheetah-v5").unwrapped
        env.reset(seed=0)
        twin.reset(seed=0)
        free = []
        for action in actions_of(env, 30):
            watched = MujocoAdapter().watched(env, action)
            assert_same_outcome(watched.outcome, twin.step(action), atol=1e-12)
            free.append(watched.free)
        assert not all(free)


class TestRefusals:
    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"joint": 'type="ball"', "actuator": ""}, "'j' is of the kind mjJNT_BALL"),
            ({"joint": 'type="free"', "actuator": ""}, "'j' is of the kind mjJNT_FREE"),
            ({"actuator": '<position name="servo" joint="j" kp="3"/>'}, "'servo' is no motor"),
            (
                {"actuator": '<general name="lag" joint="j" dyntype="integrator"/>'},
                "'lag' is no motor",
            ),
            (
                {"more": '<equality><joint joint1="j" joint2="k"/></equality>'},
                "1 equality constraints",
            ),
        ],
    )
    def test_what_is_no_hinge_slide_or_motor(self, custom, parts, message):
        with pytest.raises(ConfigurationError, match=message):
            MujocoAdapter().coordinates(custom(**parts))

    def test_other_masses_and_gravity(self, custom):
        env = custom()
        model = Stated(Embedding.of(MujocoAdapter().coordinates(env)), Still())
        LearnedDynamicsEnv(env, model)
        with pytest.raises(CheckpointError, match="model of Custom, this is Reacher-v5"):
            LearnedDynamicsEnv(make("Reacher-v5"), model)

    @pytest.mark.parametrize("skips", [{"scale": 2.0}, {"times": 2}, {"frames": 1}])
    def test_steps_that_do_something_else_with_their_action(self, custom, skips):
        class Other(Custom):
            def step(self, action):
                for _ in range(skips.get("times", 1)):
                    control = np.asarray(action) * skips.get("scale", 1.0)
                    self.do_simulation(control, skips.get("frames", self.frame_skip))
                return self.data.qpos.copy(), 0.0, False, False, {}

        env = moved_by(custom(cls=Other), Still())
        env.reset(seed=0)
        with pytest.raises(ConfigurationError, match=r"subclass MujocoAdapter|simulates 2 times"):
            env.step(np.array([0.5], np.float32))
        assert "do_simulation" not in vars(env.unwrapped)


class TestLearning:
    def test_rows_are_mujocos(self):
        """Put into every recorded state, MuJoCo makes the recorded step."""
        data = collect("InvertedDoublePendulum-v5", 100, seed=3)
        twin, adapter = make("InvertedDoublePendulum-v5").unwrapped, MujocoAdapter()
        twin.reset(seed=0)
        for q, qd, tau, *after in zip(
            data.q, data.qd, data.tau, data.next_q, data.next_qd, strict=True
        ):
            adapter.set_state(twin, q, qd)
            twin.do_simulation(tau[:1] / 500.0, twin.frame_skip)
            np.testing.assert_allclose(adapter.state(twin), after, atol=1e-8)

    def test_a_machine_that_walks_is_told_what_cannot_be_learned(self):
        with pytest.warns(UserWarning, match="such as one that walks, cannot be learned"):
            data = collect("HalfCheetah-v5", 10)
        assert data.coordinates.n == 9

    def test_the_end_of_a_range_is_left_out(self):
        """Reacher's elbow, which turns by 3 rad at most."""
        push = {"policy": lambda _: np.array([0.0, 1.0], np.float32)}
        with pytest.warns(UserWarning, match="steps were not free: a contact, the end of a joint"):
            free = collect("Reacher-v5", 60, **push)
        assert free.next_q[:, 1].max() < 3.01
        assert np.all(free.next_qd[:, 1] > 0.0)  # nowhere does it bounce

    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize(
        "name",
        ["InvertedPendulum-v5", pytest.param("InvertedDoublePendulum-v5", marks=pytest.mark.slow)],
    )
    def test_a_pendulum_on_a_cart_in_three_lines(self, name, tmp_path):
        """A small DeLaN of few steps predicts one better than constant velocity does."""
        data, out = collect(name, 400), tmp_path / "learned.safetensors"
        config = FitConfig(steps=300, batch=32, chunk=100, learning_rate=1e-2, warmup=10, horizon=1)
        small = {"width": 16, "depth": 2}
        found = fit(data, "DeLaN", friction="viscous", out=out, config=config, model_config=small)
        metrics = found.card.metrics
        assert metrics["held_out_error"] < 0.3 * metrics["constant_velocity_error"]
        env, truth = LearnedDynamicsEnv(make(name), str(out)), make(name)
        errors, changes = [], []
        for seed in range(30):
            first, _ = env.reset(seed=seed)
            truth.reset(seed=seed)
            action = np.array([seed % 3 - 1.0], np.float32)
            moved, expected = env.step(action), truth.step(action)
            errors.append(np.abs(moved[0] - expected[0])[:8])
            changes.append(np.abs(first - expected[0])[:8])
        assert np.mean(errors) < 0.3 * np.mean(changes)
        heavy = make(name)
        heavy.unwrapped.model.opt.gravity[2] = -20.0
        with pytest.raises(CheckpointError, match="trained at gravity"):
            LearnedDynamicsEnv(heavy, str(out))
