"""Figures, drawn with matplotlib (the extra ``plots``), which is imported only when used.

Each function returns one `matplotlib.figure.Figure`, which needs no display; `figures` makes all
that apply to an id.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_lagrangian.checks import seed_number
from gym_lagrangian.errors import ConfigurationError, MissingExtra
from gym_lagrangian.registration import GENERIC_ID, distributions_of
from gym_lagrangian.viewing.rollout import Rollout, Trajectory, follow
from gym_lagrangian.viewing.subject import Subject, Viewed, subject
from gym_lagrangian.viewing.symbols import symbols

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gym_lagrangian.checkpoints import Checkpoint
    from gym_lagrangian.models.base import Model
    from gym_lagrangian.physics.mechanics import Lagrangian
    from gym_lagrangian.systems.base import System
    from gym_lagrangian.systems.coordinates import Coordinates

# Okabe and Ito's palette, which colour-blind readers can tell apart.
TRUTH, MODEL = "#000000", "#0072B2"
COLOURS = (MODEL, "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

# Seconds of motion that a phase portrait can show without becoming a tangle.
_PORTRAIT = 5.0


def figures(
    what: Viewed = GENERIC_ID,
    *,
    steps: int = 500,
    seed: int = 0,
    start: Sequence[float] | None = None,
    **arguments: Any,
) -> dict[str, Figure]:
    """Every figure that applies to an environment, by name, of free motion beside its exact twin.

    Arguments:
        what, arguments: as for `gym_lagrangian.viewing.rollout.rollout`.
        steps: steps at most.
        seed: of the starting state, drawn from those on which models of the system are judged;
            where the system is unknown, as the environment draws it at reset.
        start: the exact starting state (q, q̇) instead.

    Raises:
        ConfigurationError, CheckpointError: as `gym_lagrangian.viewing.rollout.rollout`.
        MissingExtra: matplotlib is not installed.
    """
    with contextlib.closing(subject(what, arguments)) as shown:
        return figures_of(shown, steps=steps, seed=seed, start=start)


def figures_of(
    shown: Subject, *, steps: int, seed: int, start: Sequence[float] | None = None
) -> dict[str, Figure]:
    """The `figures` of a subject."""
    new_figure(1, 1)  # is matplotlib there? before minutes of simulation
    start = _default_start(shown, seed_number(seed)) if start is None else start
    free = follow(shown, steps=steps, seed=seed, start=start, actions="zero")
    return _figures_of_motion(free) | (_figures_of_model(shown) if shown.learned else {})


def _default_start(shown: Subject, seed: int) -> list[float] | None:
    import jax

    if shown.base.system is None:
        return None
    sample = distributions_of(shown.base.system).starts(jax.random.key(seed))
    return np.concatenate([sample.q, sample.qd]).tolist()


def _figures_of_motion(free: Rollout) -> dict[str, Figure]:
    one = free.trajectory
    made = {"rollout": rollout_figure(free)}
    if one.energy is not None or one.model_energy is not None:
        made["energy"] = energy_figure([free])
    if any(_loses_heat(each) for each in (one, free.truth) if each is not None):
        made["power"] = power_figure(free)
    made["phase-portrait"] = phase_portrait_figure(free)
    if free.truth is not None:
        made["error-growth"] = error_growth_figure([free])
    return made


def _figures_of_model(shown: Subject) -> dict[str, Figure]:
    """What there is to see of the checkpoint that moves a subject."""
    from gym_lagrangian.physics.mechanics import Lagrangian

    found, made = shown.checkpoint, {}
    if found is None:
        return made
    if found.extra.get("history", np.empty(0)).size:
        made["training-curve"] = training_curve_figure(found)
    m = np.asarray(shown.base.functional[1].m_bounds).mean(axis=0)
    in_joules = found.card.forced
    if isinstance(found.model, Lagrangian) and (in_joules or shown.base.system is not None):
        made["learned-physics"] = learned_physics_figure(found.model, shown.coordinates, m)
    if in_joules and found.card.friction is not None:
        made["friction"] = friction_figure(found.model, shown.coordinates, m)
    return made


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches that needs no display.

    Raises:
        MissingExtra: matplotlib is not installed; the message says how to install it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            'figures need matplotlib: pip install "gym-lagrangian[plots]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def rollout_figure(rollout: Rollout) -> Figure:
    """The last picture of each trajectory; coordinates, and energies as far as they are known.

    They are the true energy and its drift, which is energy beyond what the actions put in; where
    the truth is unknown, the energy of the model. A dotted line marks where the two part.
    """
    pair = [rollout.trajectory] if rollout.truth is None else [rollout.truth, rollout.trajectory]
    colours = [MODEL] if rollout.truth is None else [TRUTH, MODEL]
    figure = new_figure(11, 6)
    grid = figure.add_gridspec(1, 2, width_ratios=[1, 2.2])
    pictures, curves = (figure.add_subfigure(grid[i]) for i in range(2))
    frames = pictures.subplots(len(pair), 1, squeeze=False)[:, 0]
    for axes, trajectory in zip(frames, pair, strict=True):
        axes.imshow(trajectory.last_frame)
        axes.set_title(trajectory.label, fontsize=9)
        axes.axis("off")
    drawn = [_coordinates(one, rollout.coordinates) | _energies(one) for one in pair]
    rows = curves.subplots(len(drawn[0]), 1, sharex=True, squeeze=False)[:, 0]
    for quantities, one, colour in zip(drawn, pair, colours, strict=True):
        for axes, values in zip(rows, quantities.values(), strict=True):
            axes.plot(one.time, values, color=colour, linewidth=1.2)
        rows[-1].get_lines()[-1].set_label(one.label)
    for axes, name in zip(rows, drawn[0], strict=True):
        axes.set_ylabel(symbols(name))
        if rollout.parting_time is not None:
            axes.axvline(rollout.parting_time, color="0.7", linestyle=":", zorder=0)
    rows[-1].set_xlabel("time (s)")
    curves.legend(loc="outside upper center", ncols=2)
    return figure


def _coordinates(trajectory: Trajectory, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The coordinates over time, by what stands along their axes."""
    return dict(zip(names, trajectory.states.T, strict=False))


def _energies(trajectory: Trajectory) -> dict[str, np.ndarray]:
    """The true energy and its drift; the model's energy where the true one is unknown."""
    if trajectory.energy is not None and trajectory.energy_drift is not None:
        drift = 100 * trajectory.energy_drift
        return {"energy (J)": trajectory.energy, "energy drift\n(% of scale)": drift}
    if trajectory.model_energy is not None:
        return {"model energy (J)": trajectory.model_energy}
    return {}


def energy_figure(rollouts: Iterable[Rollout]) -> Figure:
    """Energies along each trajectory, as in `rollout_figure`.

    The true energy drifts by nothing for exact physics, whatever is done. The twin of the first
    rollout is drawn in black.

    Raises:
        ConfigurationError: a rollout without any energy.
    """
    styled = _styled(rollouts)
    names = list(_energies(styled[0][0]))
    if not names:
        raise ConfigurationError(f"{styled[0][0].label} has no energy, and the true one is unknown")
    figure = new_figure(8, 2.5 * len(names))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for trajectory, style in styled:
        for axes, values in zip(panels, _energies(trajectory).values(), strict=True):
            axes.plot(trajectory.time, values, **style)
    for axes, name in zip(panels, names, strict=True):
        label(axes, "", name.replace("\n", " "), legend=axes is panels[0])
    panels[-1].set_xlabel("time (s)")
    return figure


def power_figure(rollout: Rollout) -> Figure:
    """The balance of power over time, a mean over every step, one panel a trajectory.

        dE/dt = q̇ᵀτ + q̇ᵀF

    of the true energy and friction; of the model's own where the true ones are unknown. What is
    left over is what the model gets wrong; of exact motion it is zero.

    Raises:
        ConfigurationError: no energy is known.
    """
    found = {one.label: (one, powers(one)) for one in (rollout.truth, rollout.trajectory) if one}
    if not all(balance for _, balance in found.values()):
        raise ConfigurationError(f"{rollout.trajectory.label} has no energy to balance")
    figure = new_figure(8, 2.8 * len(found))
    panels = figure.subplots(len(found), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, (name, (one, balance)) in zip(panels, found.items(), strict=True):
        middle = 0.5 * (one.time[1:] + one.time[:-1])
        for (what, power), colour in zip(balance.items(), _cycle(), strict=False):
            axes.plot(middle, power, color=colour, lw=1.2, label=what)
        label(axes, "", "power (W)", legend=axes is panels[0])
        axes.set_title(name, loc="left", fontsize="medium")
    panels[-1].set_xlabel("time (s)")
    return figure


def powers(one: Trajectory) -> dict[str, np.ndarray]:
    """The mean powers (T,) in watts over every step of a trajectory; empty without an energy."""
    energy, heat = one.energy, one.dissipated
    if energy is None or heat is None:
        energy, heat = one.model_energy, one.model_dissipated
    if energy is None or heat is None or one.work is None:
        return {}
    rate, work, heat = (np.diff(sum_) / np.diff(one.time) for sum_ in (energy, one.work, heat))
    left = rate - work + heat
    return {"energy": rate, "actions": work, "friction": -heat, "left over": left}


def _loses_heat(one: Trajectory) -> bool:
    sums = (one.dissipated, one.model_dissipated)
    return any(heat is not None and np.any(heat != 0) for heat in sums)


def friction_figure(
    model: Model, coordinates: Coordinates, m: Sequence[float] | np.ndarray | None = None
) -> Figure:
    """Friction of every coordinate against its own velocity at q = 0, the others at rest: learned,
    beside the true one where it is known.

    Arguments:
        model: a learned model with friction.
        coordinates: of what it learned; the system where its equations are known.
        m: the parameters; default: their own, the middle of those that are drawn.

    Raises:
        ConfigurationError: the model has no friction.
    """
    parameters = coordinates.parameter_bounds().mean(axis=0) if m is None else np.asarray(m)
    reach = np.array(coordinates.magnitudes.qd)
    velocities = np.linspace(-reach, reach, 201)
    learned = _frictions(model, velocities, parameters)
    if learned is None:
        raise ConfigurationError(
            f'this {type(model).__name__} has no friction: fit one with friction="viscous" or '
            '"passive"'
        )
    physics = coordinates.physics
    true = None if physics is None else _frictions(physics, velocities, parameters)
    figure = new_figure(4.5 * coordinates.n, 4)
    panels = figure.subplots(1, coordinates.n, squeeze=False)[0]
    for i, axes in enumerate(panels):
        axes.plot(velocities[:, i], learned[i], color=MODEL, lw=1.2, label="learned")
        if physics is not None:
            exact = np.zeros_like(learned[i]) if true is None else true[i]
            axes.plot(velocities[:, i], exact, label="exact", **_EXACT)
        name, unit = coordinates.coordinates[i], coordinates.units[i]
        force = "N·m" if coordinates.angular[i] else "N"
        label(axes, f"velocity of {name} ({unit}/s)", f"friction ({force})", legend=i == 0)
    return figure


def phase_portrait_figure(rollout: Rollout) -> Figure:
    """Velocity against coordinate in the first seconds, for every coordinate.

    The motion begins at the dot. Angles are wrapped to ±π.
    """
    n = len(rollout.coordinates)
    figure = new_figure(4.5 * n, 4.5)
    panels = figure.subplots(1, n, squeeze=False)[0]
    for trajectory, style in _styled([rollout]):
        for i, (axes, name) in enumerate(zip(panels, rollout.coordinates, strict=True)):
            states = trajectory.states[:, i], trajectory.states[:, n + i]
            q, qd = _smooth(trajectory.time, *states)
            if "(rad)" in name:
                q, qd = wrapped(q, qd)
            axes.plot(q, qd, **style)
            axes.plot(q[:1], qd[:1], "o", color=style["color"])
            unit = name.replace(")", "/s)")
            label(axes, name, f"velocity of {unit}", legend=i == 0)
    return figure


def _smooth(time: np.ndarray, q: np.ndarray, qd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first seconds of q and q̇ (T,) on a fine grid, through every state."""
    from scipy.interpolate import CubicHermiteSpline

    if len(time) < 2:  # a motion that diverged at once
        return q, qd
    motion = CubicHermiteSpline(time, q, qd)
    shown = time[time <= _PORTRAIT]
    fine = np.unique(np.concatenate([shown, np.linspace(0.0, shown[-1], 1000)]))
    return motion(fine), motion(fine, 1)


def error_growth_figure(rollouts: Iterable[Rollout]) -> Figure:
    """Largest error of a coordinate against the exact twin over time, on a logarithmic axis.

    A straight line is exponential growth: a chaotic system magnifies any error so, and only
    where the line starts tells of the model.

    Raises:
        ConfigurationError: a rollout without a twin.
    """
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    units: set[str] = set()
    for one, colour in zip(rollouts, _cycle(), strict=False):
        name = one.trajectory.label
        if one.truth is None:
            raise ConfigurationError(f"{name} is exact, or its truth is unknown: it has no error")
        time = one.truth.time[: len(one.error)]
        axes.semilogy(time[1:], one.error[1:], color=colour, label=name, lw=1.2)
        units |= {"rad" if "(rad)" in axis else "m" for axis in one.coordinates}
    label(axes, "time (s)", f"largest error ({' or '.join(sorted(units))})", legend=True)
    return figure


def training_curve_figure(checkpoint: Checkpoint) -> Figure:
    """Mean training loss by step, as the checkpoint recorded it.

    Raises:
        ConfigurationError: the checkpoint has no history.
    """
    history = np.asarray(checkpoint.extra.get("history", ()), np.float64).reshape(-1, 2)
    if not len(history):
        raise ConfigurationError("this checkpoint has no training history: extra['history']")
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    axes.semilogy(history[:, 0], history[:, 1], color=MODEL, lw=1.2)
    label(axes, "step", "mean training loss")
    axes.set_title(f"{checkpoint.card.model} of {checkpoint.card.system}")
    return figure


def learned_physics_figure(
    model: Lagrangian, coordinates: Coordinates, m: Sequence[float] | np.ndarray | None = None
) -> Figure:
    """Learned mass matrix and potential, along each coordinate through the origin, beside the true
    ones where they are known.

    A Lagrangian is only defined up to a factor and a constant (a L + b moves alike), so the
    factor and the constant of the potential that fit best, by least squares, are applied to
    what was learned, and stated in the title. The mass matrix is that of a system at rest, the
    potential its energy V(q) = −L(q, 0).

    Arguments:
        model: a learned Lagrangian: an `LNN` or a `DeLaN`.
        coordinates: of what it learned; the system where its equations are known.
        m: the parameters; default: their own, the middle of those that are drawn.
    """
    parameters = coordinates.parameter_bounds().mean(axis=0) if m is None else np.asarray(m)
    sweeps = [_sweep(coordinates, i) for i in range(coordinates.n)]
    learned, gauge = [_physics(model, grid, parameters) for grid in sweeps], "as learned"
    true = None
    if coordinates.physics is not None:
        true = [_physics(coordinates.physics, grid, parameters) for grid in sweeps]
        factor, constant = _gauge(true, learned)
        learned = [(factor * masses, factor * energy + constant) for masses, energy in learned]
        gauge = f"learned × {factor:.4g}, potential {constant:+.4g} J; dotted: exact"
    figure = new_figure(4.5 * coordinates.n, 6)
    rows = figure.subplots(2, coordinates.n, squeeze=False, sharex="col", sharey="row")
    for i, grid in enumerate(sweeps):
        _draw_physics(rows[:, i], grid[:, i], learned[i], None if true is None else true[i])
        name = f"{coordinates.coordinates[i]} ({coordinates.units[i]}), others 0"
        label(rows[0, i], "", "mass matrix" if i == 0 else "", legend=i == 0)
        label(rows[1, i], name, "potential (J)" if i == 0 else "", legend=i == 0)
    title = f"{type(model).__name__} of {coordinates.name}, up to gauge: {gauge}"
    figure.suptitle(title, fontsize=10)
    return figure


# Mass matrices (T, n, n) and potential energies (T,) of T states.
_Physics = tuple[np.ndarray, np.ndarray]


def _draw_physics(rows: Any, q: np.ndarray, learned: _Physics, true: _Physics | None) -> None:
    """Draw mass matrices above potentials along one coordinate, the true ones dotted."""
    n = learned[0].shape[1]
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    for (i, j), colour in zip(pairs, _cycle(), strict=False):
        rows[0].plot(q, learned[0][:, i, j], c=colour, label=f"$M_{{{i + 1}{j + 1}}}$")
        if true is not None:
            rows[0].plot(q, true[0][:, i, j], **_EXACT)
    rows[1].plot(q, learned[1], c=MODEL, label="learned")
    if true is not None:
        rows[1].plot(q, true[1], label="exact", **_EXACT)


_EXACT: dict[str, Any] = {"color": TRUTH, "linestyle": ":", "linewidth": 1.6}


def spread_figure(
    rows: Sequence[dict[str, Any]], x: str, panels: dict[str, str], *, shares: Sequence[str] = ()
) -> Figure:
    """Results of repeated experiments, one panel a quantity, one line a model, over log x.

    A point is the mean over all rows of one model and one x, the geometric one on a logarithmic
    axis; the band is their range.

    Arguments:
        rows: what was found: ``"model"``, `x` and the quantities by name.
        panels: name of a quantity → its label.
        shares: those quantities that are shares, on an axis from 0 to 1.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    figure = new_figure(3.6 * len(panels), 3.4)
    for axes, (name, title) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        share = name in shares
        for model, colour in zip(models, _cycle(), strict=False):
            found: dict[float, list[float]] = {}
            for row in rows:
                if row["model"] == model:
                    found.setdefault(row[x], []).append(row[name])
            at, values = zip(*sorted(found.items()), strict=True)
            mean = [np.mean(v) if share else np.exp(np.mean(np.log(v))) for v in values]
            axes.plot(at, mean, "o-", ms=3, color=colour, label=model)
            low, high = ([end(v) for v in values] for end in (min, max))
            axes.fill_between(at, low, high, color=colour, alpha=0.15, lw=0)
        axes.set(xscale="log", yscale="linear" if share else "log", title=title)
        if share:
            axes.set_ylim(-0.03, 1.03)
        label(axes, x, "", legend=axes is figure.axes[0])
    return figure


def _styled(rollouts: Iterable[Rollout]) -> list[tuple[Trajectory, dict[str, Any]]]:
    """Every trajectory and how to draw it: the first twin below all, in black."""
    rollouts = list(rollouts)
    styled: list[tuple[Trajectory, dict[str, Any]]] = []
    truth = rollouts[0].truth
    if truth is not None:
        styled.append((truth, {"color": TRUTH, "lw": 1.6, "label": truth.label}))
    for (one, *_), colour in zip(rollouts, _cycle(), strict=False):
        styled.append((one, {"color": colour, "lw": 1.1, "label": one.label}))
    return styled


def _cycle() -> Iterable[str]:
    return itertools.cycle(COLOURS)


def label(axes: Axes, x: str, y: str, *, legend: bool = False) -> None:
    """The look that all axes share, and what stands along them."""
    axes.set_xlabel(symbols(x))
    axes.set_ylabel(symbols(y))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(loc="best", fontsize=8)


def wrapped(angle: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An angle within ±π; a NaN breaks the line where it jumps from one to the other."""
    angle = (angle + np.pi) % (2 * np.pi) - np.pi
    jumps = np.flatnonzero(np.abs(np.diff(angle)) > np.pi) + 1
    return np.insert(angle, jumps, np.nan), np.insert(other, jumps, np.nan)


def _sweep(coordinates: Coordinates, index: int) -> np.ndarray:
    """States of rest (101, n) along one coordinate, the others zero."""
    reach = np.pi if coordinates.angular[index] else 2 * coordinates.magnitudes.q[index]
    grid = np.zeros((101, coordinates.n))
    grid[:, index] = np.linspace(-reach, reach, len(grid))
    return grid


def _physics(field: Lagrangian, grid: np.ndarray, m: np.ndarray) -> _Physics:
    """Mass matrices and energies at rest."""
    import jax
    import jax.numpy as jnp

    def at_rest(q):
        rest = jnp.zeros_like(q)
        parameters = jnp.asarray(m, q.dtype)
        return field.mass_matrix(q, rest, parameters), field.energy(q, rest, parameters)

    mass_matrix, energy = jax.jit(jax.vmap(at_rest))(jnp.asarray(grid, jnp.float32))
    return np.asarray(mass_matrix), np.asarray(energy)


def _frictions(
    field: System | Model, velocities: np.ndarray, m: np.ndarray
) -> list[np.ndarray] | None:
    """The friction (T,) of each coordinate when it alone moves, with the velocities (T, n); None
    where there is none.
    """
    import jax
    import jax.numpy as jnp

    n = velocities.shape[1]
    own = [jnp.asarray(velocities[:, i, None] * np.eye(n)[i], jnp.float32) for i in range(n)]
    rest, parameters = jnp.zeros(n), jnp.asarray(m, jnp.float32)
    if field.friction(rest, rest, parameters) is None:
        return None
    force = jax.jit(jax.vmap(lambda qd: field.friction(rest, qd, parameters)))
    return [np.asarray(force(qd))[:, i] for i, qd in enumerate(own)]


def _gauge(true: list, learned: list) -> tuple[float, float]:
    """The factor and the constant of the potential that bring what was learned closest."""

    def stack(sweeps):
        masses = np.concatenate([mass_matrix.ravel() for mass_matrix, _ in sweeps])
        potentials = np.concatenate([potential for _, potential in sweeps])
        return masses, potentials

    (masses, potentials), (true_masses, true_potentials) = stack(learned), stack(true)
    constant = np.concatenate([np.zeros_like(masses), np.ones_like(potentials)])
    columns = np.stack([np.concatenate([masses, potentials]), constant], axis=1)
    target = np.concatenate([true_masses, true_potentials])
    (factor, offset), *_ = np.linalg.lstsq(columns.astype(np.float64), target, rcond=None)
    return float(factor), float(offset)
