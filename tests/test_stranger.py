"""A user's systems, tasks and machine through every public function of the package."""

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stranger.machines import ARM
from stranger.systems import CartPole
from stranger.tasks import HoldStill

import gym_lagrangian
from gym_lagrangian import Coordinates, LearnedDynamicsEnv, System, Task, Transitions, registration
from gym_lagrangian import checkpoint as checkpoints
from gym_lagrangian.cli import main
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.learning.config import FitConfig, TrainingConfig
from gym_lagrangian.planning import CEM, MPPI, Policy, plan_return
from gym_lagrangian.planning.returns import ranked
from gym_lagrangian.systems.task import TaskState

HERE = Path(__file__).parent
SYSTEM = "stranger.systems:CartPole"
QUICK = TrainingConfig(steps=20, batch=16, chunk=10)
SMALL = {"width": 8, "depth": 2}
DRIVE = "gym_lagrangian.systems.task:Drive"


def in_a_process(code: str) -> str:
    """What a fresh interpreter that can import the stranger's package prints."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"PYTHONPATH": str(HERE)},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def cartpole_id():
    (found,) = gym_lagrangian.register_system(SYSTEM)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An LNN of the cart-pole, trained for a moment."""
    out = tmp_path_factory.mktemp("trained") / "cartpole.safetensors"
    gym_lagrangian.train(SYSTEM, "LNN", out=out, config=QUICK, model_config=SMALL)
    return out


@pytest.fixture(scope="module")
def arm_data():
    """Transitions of the arm, of which nobody tells the equations."""
    real = gym_lagrangian.collect("DoublePendulum-v0", 300, seed=0, integrator="rk4", substeps=2)
    names = ("q", "qd", "next_q", "next_qd", "tau")
    return Transitions(ARM, dt=real.dt, **{name: getattr(real, name) for name in names})


@pytest.fixture(scope="module")
def arm(tmp_path_factory, arm_data):
    """A DeLaN fitted to them."""
    out = tmp_path_factory.mktemp("arm") / "arm.safetensors"
    config = FitConfig(steps=20, chunk=10, batch=16)
    gym_lagrangian.fit(arm_data, "DeLaN", out=out, config=config, model_config=SMALL)
    return out


def drive(env, policy, steps: int = 2) -> None:
    """Let a policy drive an environment."""
    info = env.reset(seed=0)[1]
    for _ in range(steps):
        info = env.step(policy.act(info))[4]


def at_rest(env, params, x) -> TaskState:
    """Where a plan begins."""
    x = jnp.array(x)
    state, _ = env.start(x, params.m_bounds[0], params.goal_bounds[0], params)
    return env.view(state, params)


class TestSystem:
    def test_moves_by_the_equations_derived_by_hand(self):
        """M q̈ = τ + f of the cart-pole, from a textbook's free-body diagrams."""
        system = CartPole()
        rng = np.random.default_rng(0)
        with jax.enable_x64(True):
            for _ in range(20):
                (x, th), (xd, thd), (force, torque) = rng.normal(size=(3, 2))
                big, m, l, g = 1.3, 0.4, 0.7, 9.81  # noqa: E741
                s, c = np.sin(th), np.cos(th)
                mass = np.array([[big + m, m * l * c], [m * l * c, m * l**2]])
                push = np.array([force + m * l * thd**2 * s, torque + m * g * l * s])
                found = system.acceleration(
                    *map(jnp.asarray, ([x, th], [xd, thd], [force, torque], [big, m, l, g]))
                )
                np.testing.assert_allclose(found, np.linalg.solve(mass, push), rtol=1e-11)

    def test_array_code_moves_alike(self):
        states = [], []
        for name, visited in zip(("CartPole", "ArrayCartPole"), states, strict=True):
            env = gymnasium.make("Lagrangian-v0", system=f"stranger.systems:{name}")
            env.reset(options={"state": [0.1, 0.3, 0.0, 0.2]})
            for _ in range(10):
                visited.append(env.step(np.array([0.5], np.float32))[4]["state"])
        np.testing.assert_allclose(states[0], states[1], atol=1e-12)

    def test_energy_is_conserved_beyond_the_work_done(self, cartpole_id):
        env = gymnasium.make(cartpole_id, task=DRIVE, force_max=10.0, velocity_max=100.0)
        env.action_space.seed(0)
        env.reset(seed=0)
        drift = [env.step(env.action_space.sample())[4]["energy_drift"] for _ in range(200)]
        assert np.abs(drift).max() < 1e-6

    def test_magnitudes_are_estimated_from_the_lagrangian(self):
        found = CartPole().magnitudes
        assert found.q == (1.0, 1.0)
        assert found.tau[0] == pytest.approx(10.0)  # the force of the default task
        assert found.tau[1] == pytest.approx(0.1 * 9.81 * 0.5 / np.sqrt(2), rel=0.1)
        assert found.qd[0] == pytest.approx(np.sqrt(2 * 10.0 / 1.1))

    def test_passes_gymnasiums_own_check(self, cartpole_id):
        check_env(gymnasium.make(cartpole_id).unwrapped, skip_render_check=True)

    def test_draws_by_default_curves_of_its_coordinates(self, cartpole_id):
        env = gymnasium.make(cartpole_id, render_mode="rgb_array", render_size=200)
        env.reset(seed=0)
        env.step(env.action_space.sample())
        picture = env.render()
        assert picture.shape == (200, 200, 3)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3

    def test_without_a_single_parameter(self, tmp_path):
        env = gymnasium.make("Lagrangian-v0", system="stranger.odd:Ball", render_mode="rgb_array")
        env.reset(options={"state": [0.0, 2.0]})
        info = env.step(np.zeros(1, np.float32))[4]
        assert info["state"] == pytest.approx([0.1 - 0.5 * 9.81 * 0.05**2, 2.0 - 9.81 * 0.05])
        out = tmp_path / "ball.safetensors"
        gym_lagrangian.train("stranger.odd:Ball", "DeLaN", out=out, config=QUICK)
        learned = gymnasium.make(
            "Lagrangian-v0", checkpoint=out, show_truth=True, render_mode="rgb_array"
        )
        learned.reset(seed=0)
        assert learned.render().shape == (500, 500, 3)

    def test_terminates_where_the_task_says(self, cartpole_id):
        env = gymnasium.make(cartpole_id)
        env.reset(options={"state": [0.0, 0.7, 0.0, 2.0]})
        _, _, terminated, truncated, info = env.step(np.zeros(1, np.float32))
        assert (terminated, truncated, info["diverged"]) == (True, False, False)

    def test_vector_environment_equals_scalar_ones(self, cartpole_id):
        vector = gymnasium.make_vec(
            cartpole_id, num_envs=3, vectorization_mode="vector_entry_point"
        )
        sync = gymnasium.make_vec(cartpole_id, num_envs=3, vectorization_mode="sync")
        np.testing.assert_array_equal(vector.reset(seed=5)[0], sync.reset(seed=5)[0])
        vector.action_space.seed(1)
        ended = 0
        for _ in range(60):
            action = vector.action_space.sample()
            ours, theirs = vector.step(action), sync.step(action)
            for one, other in zip(ours[:4], theirs[:4], strict=True):
                np.testing.assert_allclose(one, other, atol=1e-9)
            ended += int(ours[2].sum())
        assert ended > 0, "nothing terminated: the test shows less than it should"


class TestDoor:
    def test_ids(self, trained):
        ids = gym_lagrangian.register_system(
            CartPole, name="Cart", namespace="mine", checkpoints={"LNN": trained}
        )
        assert ids == ("mine/Cart-v0", "mine/CartLNN-v0")
        learned = gymnasium.make("mine/CartLNN-v0").unwrapped
        assert learned.checkpoint.card.model == "LNN"
        assert {row.id for row in registration.environments()} >= set(ids)

    def test_again_replaces_and_another_class_is_refused(self):
        first = gym_lagrangian.register_system(SYSTEM, name="Twice", max_episode_steps=10)
        assert gym_lagrangian.register_system(SYSTEM, name="Twice", max_episode_steps=7) == first
        assert gymnasium.spec(first[0]).max_episode_steps == 7
        with pytest.raises(ConfigurationError, match=r"stranger/Twice-v0.*taken by stranger.*Cart"):
            gym_lagrangian.register_system("stranger.systems:ArrayCartPole", name="Twice")

    def test_an_id_of_gymnasium_is_never_taken(self):
        gymnasium.register("stranger/Taken-v0", entry_point="somewhere:Else")
        with pytest.raises(ConfigurationError, match=r"taken by somewhere:Else"):
            gym_lagrangian.register_system(SYSTEM, name="Taken")
        assert gymnasium.spec("CartPole-v1").entry_point != gymnasium.spec("CartPole-v0")

    def test_an_id_that_a_user_gave_to_the_class(self):
        gymnasium.register(
            "Mine-v0",
            entry_point="gym_lagrangian.envs.scalar:LagrangianEnv",
            kwargs={"system": SYSTEM, "force_max": 3.0},
        )
        assert gym_lagrangian.collect("Mine-v0", 5).tau[:, 0].max() <= 3.0

    def test_specs_survive_json(self, trained):
        env = gymnasium.make(
            "Lagrangian-v0", system=CartPole, task=HoldStill, checkpoint=trained, dt=np.float32(0.1)
        )
        text = env.spec.to_json()
        again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(text))
        assert again.unwrapped.task == env.unwrapped.task
        assert again.unwrapped.dt == pytest.approx(0.1)
        assert json.loads(text)["kwargs"]["system"] == SYSTEM

    def test_pickled_environments_step_alike(self, cartpole_id):
        env = gymnasium.make(cartpole_id, task=HoldStill)
        copy = pickle.loads(pickle.dumps(env))
        for one in (env, copy):
            one.reset(seed=3)
        action = np.array([0.2, -0.4], np.float32)
        np.testing.assert_array_equal(env.step(action)[0], copy.step(action)[0])

    def test_spawned_workers_find_it(self):
        code = (
            "import gymnasium, gym_lagrangian\n"
            "if __name__ == '__main__':\n"
            "    envs = gymnasium.make_vec('gym_lagrangian:Lagrangian-v0', num_envs=2,\n"
            f"        system={SYSTEM!r}, vectorization_mode='async',\n"
            "        vector_kwargs={'context': 'spawn'})\n"
            "    print(envs.reset(seed=0)[0].shape)\n"
            "    envs.close()\n"
        )
        script = HERE / "stranger" / "__pycache__" / "spawning.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(code)
        run = subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=os.environ | {"PYTHONPATH": str(HERE)},
        )
        script.unlink()
        assert "(2, 5)" in run.stdout, run.stderr

    def test_a_class_of_main_works_in_its_process_and_says_why_it_stays(self):
        code = (
            "import gymnasium, gym_lagrangian\n"
            "from gym_lagrangian import System\n"
            "class Ball(System):\n"
            "    coordinates = ('y',)\n"
            "    parameters = {'m': 1.0}\n"
            "    def lagrangian(self, q, qd, m):\n"
            "        return 0.5 * m[0] * qd[0] ** 2 - 9.81 * m[0] * q[0]\n"
            "ids = gym_lagrangian.register_system(Ball)\n"
            "print(ids[0], gymnasium.make(ids[0]).reset(seed=0)[0].shape)\n"
        )
        assert in_a_process(code).split("\n")[0] == "main/Ball-v0 (2,)"
        with pytest.raises(ConfigurationError, match=r"stays in its own process; put it in a mod"):
            gymnasium.make("Lagrangian-v0", system="__main__:Ball")

    def test_every_command_takes_module_and_class(self, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        options = ["--steps", "20", "--model-option", "width=8", "--batch", "8"]
        assert main(["train", SYSTEM, "DeLaN", *options]) == 0
        assert (tmp_path / "CartPoleDeLaN.safetensors").exists()
        assert main(["collect", SYSTEM, "--transitions", "80", "--out", "swings.npz"]) == 0
        assert main(["fit", "swings.npz", "Baseline", "--out", "fit.safetensors", *options]) == 0
        assert main(["rollout", SYSTEM, "--steps", "5", "--checkpoint", "fit.safetensors"]) == 0
        assert main(["plot", SYSTEM, "--steps", "5", "--checkpoint", "fit.safetensors"]) == 0
        assert "they part" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("reference", "message"),
        [
            ("stranger.tasks:HoldStill", r"expected a subclass of gym_lagrangian's System"),
            ("stranger.nowhere:CartPole", r"module 'stranger.nowhere' cannot be imported"),
            ("stranger.systems:Cart", r"has no such name; it has .*CartPole"),
            ("CartPole", r"unknown system 'CartPole'; choose one of DoublePendulum"),
            ("gym_lagrangian:System", r"no complete System: it lacks lagrangian"),
            (3, r"system 3 is 3: expected a subclass"),
        ],
    )
    def test_what_is_no_system(self, reference, message):
        with pytest.raises(ConfigurationError, match=message):
            gymnasium.make("Lagrangian-v0", system=reference)

    def test_a_name_that_two_claim(self):
        with pytest.raises(ConfigurationError, match=r"'dt' is an argument of .* rename"):
            gym_lagrangian.register_system("stranger.odd:Greedy")


class TestTasks:
    def test_another_task_on_a_shipped_model(self):
        env = gymnasium.make("DoublePendulumLNN-v0", task="stranger.tasks:HoldStill", force_max=3.0)
        env.reset(options={"state": [0.3, 0.3, 0.0, 0.0]})
        _, reward, _, _, info = env.step(np.array([1.0, 0.0], np.float32))
        assert reward == pytest.approx(-np.sum(info["state"][2:] ** 2) - 0.01, rel=1e-6)
        assert env.unwrapped.checkpoint.card.model == "LNN"

    def test_a_reward_alone(self):
        env = gymnasium.make("DoublePendulum-v0", reward="stranger.tasks:slow")
        env.reset(options={"state": [0.0, 0.0, 1.0, 0.0]})
        _, reward, *_, info = env.step(np.zeros(2, np.float32))
        assert reward == pytest.approx(np.exp(-np.sum(info["state"][2:] ** 2)), rel=1e-6)

    def test_a_reward_made_within_a_function(self):
        env = gymnasium.make("DoublePendulum-v0", reward=lambda q, qd, tau, m: 7.0)
        env.reset(seed=0)
        assert env.step(env.action_space.sample())[1] == 7.0

    def test_a_reward_that_cannot_be_compiled_for(self):
        class Unhashable:
            __hash__ = None

            def __call__(self, q, qd, tau, m):
                return 0.0

        with pytest.raises(ConfigurationError, match="cannot be hashed"):
            gymnasium.make("DoublePendulum-v0", reward=Unhashable())

    def test_a_goal_is_drawn_kept_and_seen(self):
        env = gymnasium.make("DoublePendulum-v0", task="stranger.tasks:Reach", target=(0.5, 0.9))
        observation, info = env.reset(seed=0)
        (goal,) = info["goal"]
        assert 0.5 <= goal <= 0.9
        assert observation[-1] == pytest.approx(goal)
        for _ in range(3):
            observation, _, _, _, info = env.step(env.action_space.sample())
        assert info["goal"] == pytest.approx(goal)
        assert env.reset()[1]["goal"] != pytest.approx(goal)
        assert "goal" not in gymnasium.make("DoublePendulum-v0").reset(seed=0)[1]

    def test_a_goal_is_apart_from_m_and_from_checkpoints(self):
        env = gymnasium.make("DoublePendulumLNN-v0", task="stranger.tasks:Reach", target=0.25)
        assert env.reset(seed=0)[1]["goal"] == pytest.approx([0.25])

    def test_a_force_that_depends_on_attitude_is_followed_along_the_step(self):
        """Energy is kept to the integrator's error, at the largest step too."""
        env = gymnasium.make("DoublePendulum-v0", task="stranger.tasks:Thrust", dt=0.2, substeps=24)
        env.reset(options={"state": [1.0, 0.5, 0.0, 0.0]})
        work = []
        for _ in range(50):
            info = env.step(np.ones(1, np.float32))[4]
            work.append(info["energy"])
            assert abs(info["energy_drift"]) < 1e-9
        assert np.ptp(work) > 1.0, "the thruster does no work: the test shows nothing"

    @pytest.mark.parametrize("task", ["Nothing", "Effort"])
    @pytest.mark.parametrize(
        "planner", [MPPI(samples=64, elites=8, horizon=10), CEM(64, 8, 10)], ids=["MPPI", "CEM"]
    )
    def test_planning_never_seeks_to_diverge(self, task, planner):
        """With −1 a step, or with a cost, leaving the range would be the cheapest plan."""
        env = gymnasium.make("DoublePendulum-v0", task=f"stranger.costly:{task}", omega_max=1.5)
        policy = Policy(env, planner, seed=0)
        info = env.reset(options={"state": [0.3, 0.3, 0.0, 0.0]})[1]
        for _ in range(30):
            info = env.step(policy.act(info))[4]
            assert not info["diverged"]

    def test_a_plan_that_leaves_ranks_below_every_one_that_stays(self):
        env, params = gym_lagrangian.functional.make(
            "DoublePendulum", task="stranger.costly:Nothing", omega_max=1.5
        )
        start = at_rest(env, params, [0.3, 0.3, 0.0, 0.0])
        still, strong = jnp.zeros((10, 2)), jnp.ones((10, 2))
        later = jnp.concatenate([still[:2], strong[:8]])
        found = jax.vmap(lambda u: plan_return(env, params, start, u))(
            jnp.stack([still, strong, later])
        )
        assert found.value[0] == -10.0 < found.value[1]
        assert found.valid[0] == 1.0 > found.valid[2] > found.valid[1]
        assert list(np.argsort(ranked(found))) == [1, 2, 0]

    def test_a_plan_that_terminates_earns_nothing_further(self):
        env, params = gym_lagrangian.functional.make(SYSTEM)
        start = at_rest(env, params, [0.0, 0.79, 0.0, 1.0])
        (falls, valid) = plan_return(env, params, start, jnp.zeros((10, 1)))
        after = env.next(start, jnp.zeros(1), params)
        assert env.task.terminated(after)
        assert falls == pytest.approx(float(env.reward(start, jnp.zeros(1), after)))
        assert valid == 1.0

    def test_rewards_that_are_none(self):
        for name, message in (
            ("vector", r"Bad.*reward.*shape \(2,\).*expected shape \(\)|reward returns.*\(2,\)"),
            ("five", r"takes 5 arguments: expected reward\(before, action, after\)"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                gymnasium.make("DoublePendulum-v0", reward=f"stranger.odd:{name}")
        env = gymnasium.make("DoublePendulum-v0", reward="stranger.odd:not_a_number")
        with pytest.raises(ConfigurationError, match=r"reward not_a_number is NaN in the state"):
            env.reset(seed=0)
        envs = gymnasium.make_vec(
            "DoublePendulum-v0",
            num_envs=2,
            vectorization_mode="vector_entry_point",
            reward="stranger.odd:later_not_a_number",
        )
        envs.reset(seed=0)
        with pytest.raises(ConfigurationError, match=r"reward later_not_a_number is NaN"):
            envs.step(envs.action_space.sample())

    def test_a_task_for_other_coordinates(self):
        swing_up = "gym_lagrangian.systems.double_pendulum:SwingUp"
        with pytest.raises(ConfigurationError, match=r"SwingUp is a task for theta1.*no theta1"):
            gymnasium.make("Lagrangian-v0", system=SYSTEM, task=swing_up)

    def test_names_are_checked(self):
        with pytest.raises(ConfigurationError, match=r"takes no argument 'torqe'.*force_max"):
            gymnasium.make("Lagrangian-v0", system=SYSTEM, torqe=3.0)
        with pytest.raises(ConfigurationError, match=r"\('y',\): expected some of x, theta"):
            gymnasium.make("Lagrangian-v0", system=SYSTEM, task="stranger.odd:Elsewhere")


class TestDefinitions:
    def test_an_inherited_option_takes_a_plain_default(self):
        class Weaker(HoldStill):
            force_max = 0.5

        assert Weaker(coordinates=CartPole()).force_max == 0.5
        assert Weaker(coordinates=CartPole(), force_max=1.0).force_max == 1.0

    def test_systems_and_tasks_compare_by_value(self):
        assert CartPole() == CartPole()
        assert hash(CartPole()) == hash(CartPole())
        assert HoldStill(coordinates=CartPole()) == HoldStill(coordinates=CartPole())
        assert HoldStill(coordinates=CartPole(), force_max=1.0) != HoldStill(coordinates=CartPole())

    @pytest.mark.parametrize(
        ("stated", "message"),
        [
            ({"angular": (True,)}, r"Odd\.angular has 1 values, expected 2"),
            ({"qd_scale": (1.0, 2.0, 3.0)}, r"Odd\.qd_scale has 3 values, expected 2"),
            ({"q_scale": -1.0}, r"Odd\.q_scale = -1\.0: expected a positive number"),
            ({"coordinates": ()}, r"Odd\.coordinates = \(\): expected one different name"),
            ({"coordinates": ("a", "a")}, r"Odd\.coordinates.*one different name"),
            ({"coordinates": "ab"}, r"Odd\.coordinates = 'ab'"),
            ({"parameters": {"m 1": 1.0}}, r"Odd\.parameters: 'm 1' is no name"),
            ({"parameters": {"m": "heavy"}}, r"Odd\.parameters.*expected numbers"),
            ({"parameters": {"m": float("nan")}}, r"Odd parameter m.*finite number"),
        ],
    )
    def test_what_makes_no_sense_is_refused_with_the_classs_name(self, stated, message):
        body = {"coordinates": ("a", "b"), "lagrangian": lambda self, q, qd, m: qd[0] ** 2} | stated
        with pytest.raises(ConfigurationError, match=message):
            type("Odd", (System,), body)

    def test_bounds_of_a_task_of_the_wrong_length(self):
        class Odd(Task):
            reset_low = (0.0, 0.0, 0.0)

        with pytest.raises(ConfigurationError, match=r"Odd\.reset_low has 3 values, expected 4"):
            gymnasium.make("Lagrangian-v0", system=SYSTEM, task=Odd)

    def test_coordinates_are_values(self):
        again = Coordinates.of_document(json.loads(json.dumps(ARM.document())))
        assert again == ARM
        assert hash(again) == hash(ARM)
        with pytest.raises(AttributeError):
            ARM.name = "other"


class TestIdentity:
    def test_a_moved_class_takes_the_model_and_an_edited_one_does_not(self, trained):
        moved = gymnasium.make(
            "Lagrangian-v0", system="stranger.odd:MovedCartPole", checkpoint=trained
        )
        assert moved.unwrapped.checkpoint.card.model == "LNN"
        with pytest.raises(CheckpointError, match=r"moves otherwise: its Lagrangian was edited"):
            gymnasium.make("Lagrangian-v0", system="stranger.odd:Edited", checkpoint=trained)

    def test_a_class_that_shares_a_name_is_refused(self):
        with pytest.raises(CheckpointError, match=r"stranger.odd:DoublePendulum moves otherwise"):
            gymnasium.make(
                "Lagrangian-v0",
                system="stranger.odd:DoublePendulum",
                checkpoint="DoublePendulumLNN",
            )

    def test_the_checkpoint_alone_says_what_moves(self, trained):
        env = gymnasium.make("Lagrangian-v0", checkpoint=trained).unwrapped
        assert env.system == CartPole()
        shipped = gymnasium.make(
            "Lagrangian-v0", checkpoint="RelativisticParticleLNN-special_relativity"
        )
        assert shipped.unwrapped.system.variant == "special_relativity"
        with pytest.raises(ConfigurationError, match="neither system nor checkpoint"):
            gymnasium.make("Lagrangian-v0")

    def test_its_card(self, trained):
        card = checkpoints.load(trained).card
        assert card.physics["entry_point"] == SYSTEM
        assert card.coordinates["coordinates"] == ["x", "theta"]
        assert (card.members, card.friction, card.base, card.ranges) == (1, None, None, {})

    def test_swapped_in_by_hand(self, cartpole_id, trained):
        env = LearnedDynamicsEnv(gymnasium.make(cartpole_id), trained)
        env.reset(seed=0)
        assert "model_energy" in env.step(env.action_space.sample())[4]


class TestCoordinatesAlone:
    def test_nothing_pretends_that_there_is_a_truth(self, arm):
        env = gymnasium.make("Lagrangian-v0", checkpoint=arm, render_mode="rgb_array")
        _, info = env.reset(seed=0)
        own = {"model_energy", "model_dissipated"}
        assert set(info) == {"state", "time", "diverged", "success"} | own
        assert env.unwrapped.system is None
        assert env.render().shape == (500, 500, 3)
        with pytest.raises(ConfigurationError, match="the true equations of Arm are unknown"):
            gymnasium.make(
                "Lagrangian-v0", checkpoint=arm, render_mode="rgb_array", show_truth=True
            )
        with pytest.raises(ConfigurationError, match="the true equations of Arm are unknown"):
            gym_lagrangian.evaluate("Lagrangian-v0", checkpoint=str(arm))

    def test_scales_come_from_the_data(self, arm, arm_data):
        card = checkpoints.load(arm).card
        assert card.physics is None
        np.testing.assert_allclose(card.coordinates["qd_scale"], 2 * arm_data.qd.std(axis=0))
        assert "held_out_error" in card.metrics

    def test_transitions_go_through_a_file(self, arm_data, tmp_path):
        arm_data.save(tmp_path / "arm.npz")
        again = Transitions.load(tmp_path / "arm.npz")
        assert again.coordinates == ARM
        np.testing.assert_array_equal(again.next_qd, arm_data.next_qd)
        assert Transitions.load(tmp_path / "arm.npz", ARM).coordinates == ARM

    def test_an_environment_needs_a_model(self):
        with pytest.raises(ConfigurationError, match="the equations of Arm are unknown"):
            gymnasium.make("Lagrangian-v0", system="stranger.machines:ARM")
        with pytest.raises(ConfigurationError, match="no equations: it needs no id of its own"):
            gym_lagrangian.register_system("stranger.machines:ARM")
        with pytest.raises(ConfigurationError, match="known by its coordinates alone"):
            gym_lagrangian.train(ARM, "LNN", out="never.safetensors")

    def test_no_canonical_momenta(self, arm_data, tmp_path):
        with pytest.raises(ConfigurationError, match=r"HNN needs the canonical momenta"):
            gym_lagrangian.fit(arm_data, "HNN", out=tmp_path / "hnn.safetensors")

    def test_steps_in_a_vector_environment_with_a_reward_of_ones_own(self, arm):
        envs = gymnasium.make_vec(
            "Lagrangian-v0",
            num_envs=4,
            vectorization_mode="vector_entry_point",
            checkpoint=str(arm),
            reward="stranger.tasks:slow",
        )
        envs.reset(seed=0)
        _, reward, _, _, info = envs.step(envs.action_space.sample())
        np.testing.assert_allclose(
            reward, np.exp(-np.sum(info["state"][:, 2:] ** 2, axis=1)), rtol=1e-5
        )

    @pytest.mark.parametrize("planner", [MPPI(samples=16, elites=4, horizon=3), CEM(16, 4, 3)])
    def test_plans_in_the_learned_model(self, arm, planner):
        policy = Policy("Lagrangian-v0", planner, checkpoint=str(arm), reward="stranger.tasks:slow")
        assert policy.act(np.zeros(4)).shape == (2,)
        assert np.all(np.isfinite(policy.act(np.zeros(4))))

    def test_a_model_of_other_coordinates_is_refused(self, arm):
        with pytest.raises(CheckpointError, match="is a model of Arm, this is CartPole"):
            gymnasium.make("Lagrangian-v0", system=SYSTEM, checkpoint=arm)


def test_policies_notice_what_they_do_not_plan_for(cartpole_id):
    env = gymnasium.make(cartpole_id)
    planner = MPPI(samples=8, elites=2, horizon=2)
    with pytest.warns(UserWarning, match="not for that of its wrapper TransformReward"):
        Policy(gymnasium.wrappers.TransformReward(env, lambda r: -r), planner)
    policy = Policy(cartpole_id, planner)
    other = gymnasium.make(cartpole_id, dt=0.1, M=2.0)
    with pytest.warns(UserWarning, match="plans for steps of 0.05 s, the environment's are 0.1 s"):
        differences = policy.check(other)
    assert any(re.match(r"m = \(1, 0.1, 0.5, 9.81\)", difference) for difference in differences)
    assert policy.check(env) == ()
    with pytest.warns(UserWarning, match="the environment's clock went on by 0.1 s"):
        drive(other, policy)
