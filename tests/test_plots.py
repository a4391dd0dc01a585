"""Figures show the numbers that they are given, with units, and say what is missing."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from gym_lagrangian.checkpoints import Card, Checkpoint
from gym_lagrangian.cli import main
from gym_lagrangian.errors import ConfigurationError, MissingExtra
from gym_lagrangian.physics.mechanics import Lagrangian, motion_terms
from gym_lagrangian.registration import load_system
from gym_lagrangian.viewing import plots
from gym_lagrangian.viewing.rollout import Rollout, Trajectory, rollout
from gym_lagrangian.viewing.symbols import symbols

PNG = b"\x89PNG\r\n\x1a\n"
TIME = np.arange(41) * 0.05


def trajectory(label: str, states: np.ndarray, steps: int = 40, energy: float = -3.0):
    return Trajectory(
        label=label,
        time=TIME[: steps + 1],
        states=states[: steps + 1],
        energy=np.full(steps + 1, energy),
        energy_drift=np.linspace(0, 0.02, steps + 1),
        total_reward=1.0,
        diverged=False,
        last_frame=np.zeros((100, 100, 3), np.uint8),
    )


def pair(steps: int = 40) -> Rollout:
    """A model whose error grows by e every 0.1 s, from 1e-6."""
    q = np.stack([2 * TIME, np.sin(TIME)], axis=1)
    exact = np.concatenate([q, np.gradient(q, TIME, axis=0)], axis=1)
    off = exact.copy()
    off[:, 1] += 1e-6 * np.exp(10 * TIME)
    names = ("theta1 (rad)", "x (m)")
    return Rollout(trajectory("Model-v0", off, steps), trajectory("Exact-v0", exact), names)


def exact_only() -> Rollout:
    return pair()._replace(truth=None)


def lines(axes) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in axes.get_lines()}


def draws(figure) -> bool:
    """Whether it can be drawn, with labels that do not collapse."""
    figure.draw_without_rendering()
    return all(axes.get_window_extent().width > 50 for axes in figure.axes)


def test_spread():
    """Means over seeds, geometric where the axis is logarithmic, whatever the order of rows."""
    rows = [
        {"model": model, "n": n, "error": error, "success": success}
        for model, n, error, success in [
            ("B", 10, 4.0, 0.5),
            ("A", 100, 0.1, 1.0),
            ("A", 10, 1.0, 0.0),
            ("A", 10, 4.0, 1.0),
        ]
    ]
    panels = {"error": "error (rad)", "success": "successes"}
    figure = plots.spread_figure(rows, "n", panels, shares=["success"])
    assert draws(figure)
    error, success = figure.axes
    np.testing.assert_allclose(lines(error)["A"], [[10, 2.0], [100, 0.1]])
    np.testing.assert_allclose(lines(success)["A"], [[10, 0.5], [100, 1.0]])
    np.testing.assert_allclose(lines(success)["B"], [[10, 0.5]])
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"]


def test_energy():
    figure = plots.energy_figure([pair(), pair(20)])
    energy, drift = figure.axes
    assert energy.get_ylabel() == "energy (J)"
    assert drift.get_xlabel() == "time (s)"
    assert len(energy.get_lines()) == 3  # one truth, two models
    np.testing.assert_allclose(lines(energy)["Exact-v0"][:, 1], -3.0)
    np.testing.assert_allclose(lines(drift)["Exact-v0"][-1], (2.0, 2.0))
    assert draws(figure)
    assert len(plots.energy_figure([exact_only()]).axes[0].get_lines()) == 1


def test_phase_portrait_wraps_angles_and_leaves_lengths():
    figure = plots.phase_portrait_figure(pair())
    angle, length = figure.axes
    assert angle.get_xlabel() == "θ₁ (rad)"
    assert length.get_ylabel() == "velocity of x (m/s)"
    curve = lines(angle)["Exact-v0"]
    assert np.nanmax(np.abs(curve[:, 0])) <= np.pi
    assert np.isnan(curve[:, 0]).sum() == 1
    assert np.abs(lines(length)["Exact-v0"][:, 0]).max() == pytest.approx(1.0, abs=1e-3)
    assert draws(figure)


def test_phase_portrait_is_a_smooth_curve_through_every_state_of_the_first_seconds():
    time = np.arange(81) * 0.1
    states = np.stack([np.sin(time), np.cos(time)], axis=1)
    motion = pair().truth._replace(time=time, states=states, label="Exact-v0")
    figure = plots.phase_portrait_figure(Rollout(motion, None, ("x (m)",)))
    curve = lines(figure.axes[0])["Exact-v0"]
    distance = np.linalg.norm(curve[:, None] - states[time <= 5.0], axis=-1)
    assert distance.min(axis=0).max() < 1e-9
    np.testing.assert_allclose(np.linalg.norm(curve, axis=1), 1.0, atol=1e-3)
    assert np.linalg.norm(np.diff(curve, axis=0), axis=1).sum() == pytest.approx(5.0, abs=0.01)


def test_greek_letters_stand_for_their_names():
    assert symbols("velocity of theta12 (rad/s)") == "velocity of θ₁₂ (rad/s)"
    assert symbols("thetas, x1, joint 2") == "thetas, x1, joint 2"


def test_error_growth_is_a_straight_line_where_it_is_exponential():
    figure = plots.error_growth_figure([pair(30)])
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "largest error (m or rad)"
    curve = lines(axes)["Model-v0"]
    assert len(curve) == 30
    np.testing.assert_allclose(np.log(curve[:, 1] / 1e-6), 10 * curve[:, 0], atol=1e-6)
    assert draws(figure)
    with pytest.raises(ConfigurationError, match="Model-v0 is exact"):
        plots.error_growth_figure([exact_only()])


class InGauge(Lagrangian):
    """A system's Lagrangian in another gauge: L / 2 + 7."""

    mass_matrix_solver = "direct"

    def __init__(self, system: Lagrangian):
        self.system = system

    def lagrangian(self, q, qd, m):
        return 0.5 * self.system.lagrangian(q, qd, m) + 7.0

    def terms_of_motion(self, q, qd, m):
        return motion_terms(self.lagrangian, q, qd, m)


@pytest.mark.parametrize("name", ["DoublePendulum", "RelativisticParticle"])
def test_learned_physics_is_compared_up_to_gauge(name):
    system = load_system(name)()
    figure = plots.learned_physics_figure(InGauge(system), system)
    assert "learned × 2" in figure.get_suptitle()
    assert "potential +14 J" in figure.get_suptitle()
    assert len(figure.axes) == 2 * system.n
    for axes in figure.axes:
        curves = axes.get_lines()
        for learned, exact in zip(curves[::2], curves[1::2], strict=True):
            np.testing.assert_allclose(learned.get_ydata(), exact.get_ydata(), atol=2e-4)
    assert "potential (J)" in {axes.get_ylabel() for axes in figure.axes}
    assert draws(figure)


class Wrong(InGauge):
    """With a force that is not there."""

    def lagrangian(self, q, qd, m):
        return super().lagrangian(q, qd, m) + 3.0 * jnp.sin(q[0])


def test_learned_physics_shows_what_was_learned_wrongly():
    system = load_system("DoublePendulum")()
    figure = plots.learned_physics_figure(Wrong(system), system)
    along_first, along_second = (
        [line.get_ydata() for line in a.get_lines()] for a in figure.axes[2:]
    )
    assert np.abs(np.subtract(*along_first)).max() > 3
    assert np.abs(np.subtract(*along_second)).max() < 3


def test_training_curve():
    history = np.stack([100 * np.arange(1, 6), 0.5 ** np.arange(5)], axis=1)
    model = load_system("DoublePendulum")()
    about = {"parameters": {}, "conditioned_on": (), "model": "LNN", "model_config": {}}
    card = Card.of(model, **about)
    figure = plots.training_curve_figure(Checkpoint(model, card, "", {"history": history}))
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.get_lines()[0].get_xydata(), history)
    assert axes.get_title() == "LNN of DoublePendulum"
    assert draws(figure)
    with pytest.raises(ConfigurationError, match="no training history"):
        plots.training_curve_figure(Checkpoint(model, card, "", {}))


class TestCommand:
    def names(self, env_id, folder):
        assert main(["plot", env_id, "--steps", "4", "--out", str(folder)]) == 0
        for path in folder.iterdir():
            assert path.read_bytes().startswith(PNG)
        return {path.stem.removeprefix(f"{env_id}-") for path in folder.iterdir()}

    def test_exact_id(self, tmp_path, capsys):
        found = self.names("DoublePendulum-v0", tmp_path / "new")
        assert found == {"rollout", "energy", "phase-portrait"}
        assert capsys.readouterr().out.count("figure: ") == 3

    def test_learned_id(self, tmp_path):
        assert self.names("DoublePendulumLNN-v0", tmp_path) == {
            "rollout",
            "energy",
            "phase-portrait",
            "error-growth",
            "training-curve",
            "learned-physics",
        }

    def test_bad_input(self, tmp_path, capsys):
        for arguments in (["CartPole-v1"], ["DoublePendulum-v0", "--seed", "-1"]):
            assert main(["plot", *arguments, "--out", str(tmp_path / "new")]) == 2
            assert capsys.readouterr().err.startswith("gym-lagrangian: ")
        assert list(tmp_path.iterdir()) == []


def test_missing_matplotlib_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r'pip install "gym-lagrangian\[plots\]"'):
        plots.figures("DoublePendulum-v0")


class Brake:
    """A model that knows friction alone."""

    def __init__(self, *coefficients: float):
        self.coefficients = jnp.array(coefficients)

    def friction(self, q, qd, m):
        return -self.coefficients * qd


class TestFriction:
    """Figures of what is lost, of motion that loses energy."""

    def test_power_of_exact_motion_is_balanced(self):
        """What the actions do, less the heat, is what the energy gains, to rounding."""
        found = rollout("stranger.damped:Pendulum", steps=60, start=[2.0, 0.0], b=0.3)
        figure = plots.power_figure(found)
        assert draws(figure)
        drawn = {name: line[:, 1] for name, line in lines(figure.axes[0]).items()}
        assert drawn["friction"].max() <= 0.0
        assert np.abs(drawn["actions"]).max() > 0.1
        total = drawn["actions"] + drawn["friction"]
        np.testing.assert_allclose(drawn["energy"], total, atol=1e-6)
        np.testing.assert_allclose(drawn["left over"], 0.0, atol=1e-6)

    def test_power_without_an_energy_is_refused(self):
        with pytest.raises(ConfigurationError, match="no energy to balance"):
            plots.power_figure(exact_only())

    def test_learned_friction_is_beside_the_true_one(self):
        system = load_system("stranger.damped:DampedCartPole")()
        figure = plots.friction_figure(Brake(0.2, 0.01), system)
        assert draws(figure)
        for axes, learned, true in zip(figure.axes, (0.2, 0.01), (0.1, 0.005), strict=True):
            drawn = lines(axes)
            for name, coefficient in (("learned", learned), ("exact", true)):
                qd, force = drawn[name].T
                np.testing.assert_allclose(force, -coefficient * qd, atol=1e-6)
        assert [axes.get_ylabel() for axes in figure.axes] == ["friction (N)", "friction (N·m)"]

    def test_a_frictionless_truth_is_a_line_at_zero(self):
        figure = plots.friction_figure(Brake(0.2, 0.1), load_system("DoublePendulum")())
        np.testing.assert_array_equal(lines(figure.axes[0])["exact"][:, 1], 0.0)

    def test_a_model_without_is_refused(self):
        class Slick:
            def friction(self, q, qd, m):
                return None

        with pytest.raises(ConfigurationError, match="this Slick has no friction"):
            plots.friction_figure(Slick(), load_system("DoublePendulum")())

    def test_figures_of_a_damped_system_are_those_of_friction_too(self):
        found = plots.figures("stranger.damped:Pendulum", steps=5, start=[2.0, 0.0])
        assert "power" in found
        assert "power" not in plots.figures("DoublePendulum-v0", steps=5)
