"""From the raw logs of an arm to a plan in what was learned, and what a person is shown."""

import json
from argparse import ArgumentTypeError
from unittest import mock

import arm_logs
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian import Coordinates, FitConfig, Machine, Transitions, checkpoint, read_logs
from gym_lagrangian.cli import main
from gym_lagrangian.cli.arguments import horizon
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.learning.fit import _settled
from gym_lagrangian.learning.logs.inspection import inspection
from gym_lagrangian.learning.prediction import predictions, table
from gym_lagrangian.learning.scales import scales, seen_as
from gym_lagrangian.planning import MPPI, Policy

QUICK = ["--steps", "250", "--batch", "32", "--horizon", "2", "--model-option", "width=12"]


def stand(q, qd, tau, m):
    """A reward of one's own: both links up."""
    return -jnp.cos(q[0]) - jnp.cos(q[0] + q[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five logs and the machine's file."""
    folder = tmp_path_factory.mktemp("arm")
    (folder / "logs").mkdir()
    (folder / "arm.toml").write_text(arm_logs.MACHINE)
    for seed in range(5):
        given = arm_logs.columns(arm_logs.motion(seed, 500), dropped=0.005, seed=seed)
        arm_logs.write(folder / "logs" / f"log{seed}.csv", given)
    return folder


@pytest.fixture(scope="module")
def fitted(folder):
    """The checkpoint that the command writes."""
    out = folder / "arm.safetensors"
    logs = sorted(map(str, (folder / "logs").glob("*.csv")))
    command = ["fit", str(folder / "arm.toml"), *logs, "--model", "DeLaN", "--out", str(out)]
    assert main([*command, *QUICK]) == 0
    return out


def test_the_checkpoint_knows_the_machine(fitted):
    card = checkpoint.load(fitted).card
    assert (card.system, card.model, card.friction, card.forced) == (
        "Arm",
        "DeLaN",
        "passive",
        True,
    )
    usage = card.model_coordinates().usage.document()
    assert json.loads(usage.pop("logs"))["position"] == ["q1", "q2"]
    assert usage == {
        "dt": 0.02,
        "actuated": ("shoulder", "elbow"),
        "force_max": (5.0, 2.0),
        "friction": "passive",
    }
    assert "transitions of 0.02 s, with forces" in card.data


def test_a_fit_to_logs_ends_with_what_it_is_worth(fitted):
    """Beside the error stand that of a perfect model, and predictions of held-out motion."""
    metrics = checkpoint.load(fitted).card.metrics
    assert 0 < metrics["noise_floor"] < metrics["held_out_error"]
    found = metrics["prediction"]
    assert list(found["predictions"]) == ["DeLaN", "constant velocity", "linear model"]
    assert all(joint["mean_time"] > 0 for joint in found["predictions"]["DeLaN"].values())
    (head, columns, *rows) = table(found)
    assert "DeLaN of Arm" in head
    assert "median s" in columns
    assert len(rows) == 6


def test_logs_ask_for_windows_that_grow_and_a_robust_loss(folder):
    data = read_logs(Machine.load(folder / "arm.toml"), folder / "logs").transitions()
    config = _settled(FitConfig(), data, scales(data, seen_as(data)))
    (short, first), (long, second) = config.horizon
    assert 2 <= short < long
    assert first == second == 0.5
    assert config.robust
    told = _settled(FitConfig(horizon=3, robust=False), data, scales(data, seen_as(data)))
    assert (told.horizon, told.robust) == (3, False)


def test_a_schedule_on_the_command_line():
    assert horizon("3") == 3
    assert horizon("8:0.5,40:0.5") == ((8, 0.5), (40, 0.5))
    with pytest.raises(ArgumentTypeError, match="expected N, or N:SHARE"):
        horizon("8,40")


def test_an_environment_of_it_has_the_machines_step_and_motors(fitted):
    env = gymnasium.make(
        "gym_lagrangian:Lagrangian-v0", checkpoint=str(fitted), reward=stand, integrator="rk4"
    )
    base = env.unwrapped
    assert base.dt == 0.02
    assert env.action_space.shape == (2,)
    env.reset(seed=0)
    _, reward, *_, info = env.step(np.ones(2, np.float32))
    q = info["state"][:2]
    assert reward == pytest.approx(-np.cos(q[0]) - np.cos(q.sum()), abs=1e-5)
    np.testing.assert_allclose(base.functional_state.tau, [5.0, 2.0], rtol=1e-6)


def test_arguments_count_before_the_machines_own(fitted):
    env = gymnasium.make(
        "Lagrangian-v0", checkpoint=str(fitted), dt=0.04, actuated=("elbow",), force_max=1.0
    )
    assert env.unwrapped.dt == 0.04
    assert env.action_space.shape == (1,)


def test_a_vector_environment_and_a_plan(fitted):
    envs = gymnasium.make_vec(
        "Lagrangian-v0",
        num_envs=3,
        vectorization_mode="vector_entry_point",
        checkpoint=str(fitted),
        reward=stand,
        integrator="rk4",
    )
    observations, _ = envs.reset(seed=0)
    assert observations.shape == (3, 6)
    _, rewards, *_ = envs.step(np.zeros((3, 2), np.float32))
    assert np.all(rewards < 0)  # hanging
    env = gymnasium.make("Lagrangian-v0", checkpoint=str(fitted), reward=stand, integrator="rk4")
    policy = Policy(env, planner=MPPI(samples=16, elites=8, horizon=5))
    _, info = env.reset(seed=0)
    action = policy.act(info)
    assert action.shape == (2,)
    assert np.isfinite(action).all()
    assert np.isfinite(env.step(action)[1])


def test_it_beats_constant_velocities_on_what_was_held_out(fitted):
    metrics = checkpoint.load(fitted).card.metrics
    assert metrics["held_out_error"] < 0.7 * metrics["constant_velocity_error"]


def test_the_command_learns_from_what_python_reads(folder, fitted):
    data = read_logs(Machine.load(folder / "arm.toml"), folder / "logs").transitions()
    assert data.description() in checkpoint.load(fitted).card.data


def test_a_reward_and_a_task_of_the_machine(folder, tmp_path, monkeypatch):
    """They are named in the file, and are the environment's unless another one is given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_reach.py").write_text(
        "from gym_lagrangian import Task\n\n\n"
        "class Reach(Task):\n"
        "    def reward(self, q, qd, tau, m):\n        return 0.0 * q[0] + 7.0\n\n\n"
        "def eight(q, qd, tau, m):\n    return 0.0 * q[0] + 8.0\n"
    )
    text = (folder / "arm.toml").read_text()
    rewards = {}
    for line in ('task = "own_reach:Reach"', 'reward = "own_reach:eight"'):
        (tmp_path / "arm.toml").write_text(f"{line}\n{text}")
        out = tmp_path / "m.safetensors"
        moved = Machine.load(tmp_path / "arm.toml").coordinates
        model = checkpoint.fresh_model(
            "Baseline", moved, (), key=jax.random.key(0), width=4, depth=1
        )
        card = checkpoint.Card.of(
            moved, parameters={}, conditioned_on=(), model="Baseline", model_config=model.config
        )
        checkpoint.save(out, model, card)
        env = gymnasium.make("Lagrangian-v0", checkpoint=str(out), integrator="rk4")
        env.reset(seed=0)
        rewards[line[:4]] = env.step(np.zeros(2, np.float32))[1]
        assert env.action_space.shape == (2,)
    assert rewards == {"task": 7.0, "rewa": 8.0}


def test_data_keep_the_machine_in_a_file(folder, tmp_path):
    data = read_logs(Machine.load(folder / "arm.toml"), folder / "logs").transitions()
    data.save(tmp_path / "arm.npz")
    again = Transitions.load(tmp_path / "arm.npz")
    assert again.coordinates == data.coordinates
    assert again.coordinates.time_step == 0.02


# -- what a person is shown --------------------------------------------------------------------


def test_an_inspection_measures_what_was_put_in(folder):
    found = inspection(read_logs(Machine.load(folder / "arm.toml"), folder / "logs"))
    assert len(found.sampling) == 5
    for one in found.sampling:
        assert one.rate == pytest.approx(100, rel=0.01)
        assert one.jitter == pytest.approx(0.02, rel=0.3)
        assert one.duration == pytest.approx(5.0, rel=0.05)
    for one in found.coordinates:
        assert one.resolution == pytest.approx(arm_logs.COUNTS, rel=0.01)
        assert one.noise == pytest.approx(arm_logs.COUNTS / np.sqrt(12), rel=0.1)
        assert one.source == "positions"
        assert 0 < one.velocity_error < 0.05 * one.speed
        assert one.taken > one.given > 0  # friction takes the rest
    assert found.suspicions == ()
    assert found.dt == 0.02
    assert 1100 < found.transitions < 1250
    assert json.loads(json.dumps(found.document()))["machine"] == "Arm"


def test_inspect_prints_and_draws(folder, tmp_path, capsys):
    out = tmp_path / "seen"
    assert main(["inspect", str(folder / "arm.toml"), str(folder / "logs"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for text in (
        "log3.csv",
        "shoulder: ",
        "taken from positions",
        "rad/s rms",
        "energy in",
        "nothing looks wrong",
    ):
        assert text in printed
    names = sorted(path.name for path in out.iterdir())
    assert names == ["clock.png", "coverage.png", "motion.png", "report.json"]
    assert json.loads((out / "report.json").read_text())["transitions"] > 1000


def test_inspect_says_what_looks_wrong(folder, tmp_path, capsys):
    text = (folder / "arm.toml").read_text()
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace('force = "tau1"', 'force = "tau1"\nforce_gain = -1'))
    assert main(["inspect", str(wrong), str(folder / "logs")]) == 0
    assert "SUSPICION (sign of a torque): the force on shoulder" in capsys.readouterr().out
    fitted = ["fit", str(wrong), str(folder / "logs"), "--out", str(tmp_path / "m.safetensors")]
    assert main([*fitted, *QUICK]) == 2
    assert "its sign is wrong" in capsys.readouterr().err
    assert not (tmp_path / "m.safetensors").exists()


def test_logs_that_look_wrong_are_drawn_as_far_as_that_means_anything(folder, tmp_path, capsys):
    text = (folder / "arm.toml").read_text()
    (tmp_path / "ms.toml").write_text(text.replace('column = "t"', 'column = "t"\nunit = "ms"'))
    command = ["inspect", str(tmp_path / "ms.toml"), str(folder / "logs")]
    assert main([*command, "--out", str(tmp_path / "seen")]) == 0
    assert "SUSPICION (unit of time)" in capsys.readouterr().out
    assert not (tmp_path / "seen" / "coverage.png").exists()
    assert (tmp_path / "seen" / "motion.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "arm.toml", "--out", "m.safetensors"], "expected logs of the machine"),
        (["fit", "none.toml", "log.csv", "--out", "m.safetensors"], "none.toml"),
        (["fit", "a.npz", "--out", "m.safetensors"], "expected FILE.npz and one MODEL"),
        (["fit", "a.npz", "LNN", "b.csv", "--out", "m.safetensors"], "one MODEL"),
        (["fit", "a.npz", "LNN", "--model", "LNN", "--out", "m.safetensors"], "one MODEL"),
        (["fit", "a.npz", "LNN", "--dt", "0.1", "--out", "m.safetensors"], "only with logs"),
        (["inspect", "none.toml", "log.csv"], "none.toml"),
    ],
    ids=str,
)
def test_bad_commands(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# -- open-loop prediction ----------------------------------------------------------------------


def test_a_model_predicts_as_its_environment_steps(fitted):
    model, forces = checkpoint.load(fitted).model, np.array([[1.0, -0.5], [0.2, 0.3], [0.0, 1.0]])
    start = np.array([[0.3, -0.2, 1.0, 0.5], [0.1, 0.2, -1.0, 0.0]])
    found = np.asarray(model.predict(start, np.stack([forces, forces]), dt=0.02, substeps=2))
    assert found.shape == (2, 3, 4)
    env = gymnasium.make("Lagrangian-v0", checkpoint=str(fitted), integrator="rk4", substeps=2)
    for states, x in zip(found, start, strict=True):
        env.reset(options={"state": x})
        for expected, force in zip(states, forces, strict=True):
            info = env.step((force / [5.0, 2.0]).astype(np.float32))[4]
            np.testing.assert_allclose(info["state"], expected, rtol=1e-4, atol=1e-4)
    alone = model.predict(start[0], forces, dt=0.02, substeps=2)
    np.testing.assert_allclose(alone, found[0], atol=1e-5)
    for states, tau in ((start, forces), (start[0], forces[0]), (start[0, 0], forces)):
        with pytest.raises(ConfigurationError, match=r"expected \(2n,\) and \(T, n\)"):
            model.predict(states, tau, dt=0.02)


def test_predict_reports_what_the_model_is_worth(folder, fitted, tmp_path, capsys):
    """The checkpoint knows where its machine's logs keep things."""
    arm_logs.write(tmp_path / "held_out.csv", arm_logs.columns(arm_logs.motion(9, 500)))
    out = tmp_path / "seen"
    command = ["predict", str(fitted), str(tmp_path / "held_out.csv"), "--horizon", "0.4"]
    assert main([*command, "--amount", "0.2", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "DeLaN of Arm" in printed
    report = json.loads((out / "report.json").read_text())
    assert report["amount"] == {"shoulder": 0.2, "elbow": 0.2}
    times = {who: one["elbow"]["mean_time"] for who, one in report["predictions"].items()}
    assert times["DeLaN"] > 1.2 * times["constant velocity"]
    assert sorted(p.name for p in out.iterdir()) == ["errors.png", "report.json", "times.png"]
    assert main(["predict", str(fitted), str(tmp_path / "none.csv")]) == 2
    assert main(["predict", "DoublePendulumLNN", str(tmp_path / "held_out.csv")]) == 2
    assert "was not fitted to the logs of a described machine" in capsys.readouterr().err


def test_errors_and_times_are_those_of_their_definitions():
    """Of motion at a constant velocity, and of an oscillation, which is linear."""
    time = 0.1 * np.arange(60)
    still = mock.Mock()
    still.card.model, still.card.training, still.card.parameters = "Still", {}, {}
    still.model.predict = lambda x, tau, **_: np.repeat(x[:, None], tau.shape[1], axis=1)
    wave = np.stack([np.sin(time), np.cos(time)], axis=1)
    ramp = np.stack([2.0 * time, np.full(60, 2.0)], axis=1)
    for states, exact in ((ramp, "constant velocity"), (wave, "linear model")):
        still.card.model_coordinates.return_value = Coordinates(("x",))
        found = predictions(still, straight(states), horizon=1.0, amount=0.5)
        assert found.errors[exact].max() < 1e-8
        assert np.all(found.times(exact) == pytest.approx(1.0))
    ramped = predictions(still, straight(ramp), horizon=1.0, amount=0.5)
    np.testing.assert_allclose(ramped.errors["Still"][0, :, 0], 0.2 * np.arange(1, 11))
    np.testing.assert_allclose(ramped.times("Still"), 0.2)  # .6 m is the first beyond .5 m


def straight(states):
    return Transitions(
        Coordinates(("x",)),
        q=states[:-1, :1],
        qd=states[:-1, 1:],
        next_q=states[1:, :1],
        next_qd=states[1:, 1:],
        dt=0.1,
    )


def test_motion_that_cannot_be_predicted(fitted):
    found, one = checkpoint.load(fitted), straight(np.ones((2, 2)))
    with pytest.raises(DataError, match="motion of Coordinates, not of Arm"):
        predictions(found, one)
    row = np.zeros((1, 2))
    short = Transitions(
        found.card.model_coordinates(), q=row, qd=row, next_q=row, next_qd=row, dt=0.02
    )
    with pytest.raises(DataError, match="longest episode has 1 steps"):
        predictions(found, short)
