r"""Bands around the open-loop prediction of an ensemble, which contain nine of ten true states.

Every member is followed on its own from the start. With x̄ and s the mean and the standard deviation
of the k members at time t_j, component by component,

    band:  x̄ ± f_j (s + β_j).

The disagreement of the members is not their error: all of them learned from the same data, and
sensors are noisy. The factor f_j is therefore taken from motion that was held out: the 90 %
quantile of |x − x̄| / (s + β_j) over its windows (split conformal prediction), for each step and
component by itself. The floor β_j, half of the median of s there, keeps the band wide enough where
all members happen to agree. Both are on the checkpoint's card. After the longest window, f and β
keep their last values.

An ensemble without calibration has f = t_{.95, k−1} (1 + 1/k)^½ and β = 0: the band of one more
member.

The 90 % hold on average over motion like that which was held out. Outside of the data members
disagree and bands widen, but nothing guarantees the 90 %.

Reference: Lei et al., "Distribution-Free Predictive Inference for Regression", J. American
Statistical Association 113 (2018).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from gym_lagrangian.checkpoints import Checkpoint
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.learning.transitions import Transitions, wrapped
from gym_lagrangian.learning.windows import starts_of
from gym_lagrangian.models.base import Model
from gym_lagrangian.models.ensemble import Ensemble

# The share of true states that bands hold.
LEVEL = 0.9

# Seconds of motion that are calibrated, where so much was held out in one piece.
_HORIZON = 1.0

# Windows that are looked at, and the fewest that say anything of a quantile.
_WINDOWS, _FEWEST = 128, 20

# β as a share of the median of s.
_FLOOR = 0.5


class Bands(NamedTuple):
    """Where the state is with a probability of `level`, over T steps; of B motions, arrays have a
    first axis B.

    Attributes:
        level: the probability, of each component by itself.
        time: (T,) seconds since the start.
        mean: (T, 2n) of the members, angles not wrapped.
        low, high: (T, 2n) the ends of the bands.
        angular: (2n,) whether a component is an angle.
    """

    level: float
    time: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    angular: np.ndarray

    def hold(self, states: Any) -> np.ndarray:
        """Whether states (T, 2n) lie within, component by component; an angle on the circle."""
        missed = _missed(np.asarray(states, np.float64), self.mean, self.angular)
        return missed <= 0.5 * (self.high - self.low)


def bands(
    model: Checkpoint | Model,
    states: Any,
    forces: Any,
    *,
    dt: float,
    m: Any = None,
    integrator: str | None = None,
    substeps: int | None = None,
) -> Bands:
    """Bands of the states after each of T steps.

    Arguments:
        model: the checkpoint of an ensemble, or an `Ensemble`, of which nothing is calibrated.
        states: where to start, (q, q̇) of shape (2n,), or (B, 2n).
        forces: generalized forces (T, n) held for `dt` seconds each, or (B, T, n).
        m: parameters (k,) of all motions; default those at which a checkpoint was trained.
        integrator, substeps: how a step is integrated; default as it was fitted, else one of RK4.

    Raises:
        ConfigurationError: a single model, or as `Model.predict`.
    """
    ensemble, known = _ensemble(model), _known(model)
    how: dict[str, Any] = _how(model) | {
        name: value
        for name, value in (("integrator", integrator), ("substeps", substeps))
        if value is not None
    }
    m = _parameters(model) if m is None else m
    each = ensemble.predict(states, forces, dt=dt, m=m, members=True, **how)
    mean, spread = _moments(np.asarray(each, np.float64))
    time = dt * np.arange(1, mean.shape[-2] + 1)
    half = _half_widths(known, spread, time, ensemble.members)
    return Bands(LEVEL, time, mean, mean - half, mean + half, _angular(ensemble))


def calibration(found: Checkpoint, data: Transitions, held: np.ndarray) -> dict[str, Any]:
    """The factors f and floors β of an ensemble, JSON-able; empty where too little was held out,
    where parameters vary, or where members go beyond all numbers.

    Arguments:
        held: which rows (N,) of the data were held out of training.
    """
    ensemble = _ensemble(found)
    steps = _steps(data, held)
    if steps is None or np.any(data.m != data.m[0]):
        return {}
    starts = starts_of(data.episode, held, steps)
    starts = starts[np.linspace(0, len(starts) - 1, min(_WINDOWS, len(starts))).astype(int)]
    rows = np.resize(starts, _WINDOWS)[:, None] + np.arange(steps)  # one shape compiles once
    begin = np.hstack([data.q, data.qd])[rows[:, 0]]
    m = data.m[0]
    each = ensemble.predict(begin, data.tau[rows], dt=data.dt, m=m, members=True, **_how(found))
    mean, spread = _moments(np.asarray(each, np.float64)[:, : len(starts)])
    truth = np.hstack([data.next_q, data.next_qd])[rows[: len(starts)]]
    missed = _missed(truth, mean, _angular(ensemble))
    floor = _FLOOR * np.median(spread, axis=0) + np.finfo(np.float32).tiny
    factor = _quantile(missed / (spread + floor))
    if not np.all(np.isfinite(factor * floor)):
        return {}
    numbers = {"factor": factor.tolist(), "floor": floor.tolist()}
    return {"level": LEVEL, "dt": data.dt, "windows": len(starts), **numbers}


def _steps(data: Transitions, held: np.ndarray) -> int | None:
    """The longest windows of which there are enough, up to the horizon; None for none."""
    most = max(1, round(_HORIZON / data.dt))
    lengths = range(most, 0, -1)
    return next((k for k in lengths if len(starts_of(data.episode, held, k)) >= _FEWEST), None)


def _quantile(scores: np.ndarray) -> np.ndarray:
    """The conformal quantile of scores (W, T, 2n) over W windows: of rank ⌈(W + 1) level⌉."""
    count = len(scores)
    rank = min(count, int(np.ceil((count + 1) * LEVEL)))
    return np.sort(scores, axis=0)[rank - 1]  # what is no number is last


def _half_widths(
    known: dict[str, Any] | None, spread: np.ndarray, time: np.ndarray, members: int
) -> np.ndarray:
    """Half the width of the band, of the shape of `spread` (…, T, 2n)."""
    if not known:
        return _of_one_more(members) * spread
    factor, floor = (np.asarray(known[name], np.float64) for name in ("factor", "floor"))
    calibrated = known["dt"] * np.arange(1, len(factor) + 1)

    def at(values: np.ndarray) -> np.ndarray:
        columns = [np.interp(time, calibrated, column) for column in values.T]
        return np.stack(columns, axis=-1)

    return at(factor) * (spread + at(floor))


def _of_one_more(members: int) -> float:
    """The factor by Student's t."""
    if members < 2:
        raise ConfigurationError("bands of an ensemble of 1 member: expected at least 2")
    return float(stats.t.ppf(0.5 + 0.5 * LEVEL, members - 1) * np.sqrt(1.0 + 1.0 / members))


def _moments(each: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the k members of states (k, …, T, 2n)."""
    with np.errstate(invalid="ignore"):  # of members that went beyond all numbers
        return each.mean(axis=0), each.std(axis=0, ddof=min(1, len(each) - 1))


def _missed(truth: np.ndarray, mean: np.ndarray, angular: np.ndarray) -> np.ndarray:
    error = truth - mean
    with np.errstate(invalid="ignore"):
        return np.abs(np.where(angular, wrapped(error), error))


def _angular(ensemble: Ensemble) -> np.ndarray:
    seen = ensemble.embedding
    return np.array([*seen.angular, *[False] * seen.n])


def _ensemble(model: Any) -> Ensemble:
    found = model.model if isinstance(model, Checkpoint) else model
    if not isinstance(found, Ensemble):
        raise ConfigurationError(
            f"bands of {type(found).__name__}: expected an ensemble, whose members can disagree; "
            "fit one, as in fit(data, model, members=5)"
        )
    return found


def _known(model: Any) -> dict[str, Any] | None:
    """What the card says of bands."""
    return model.card.metrics.get("bands") if isinstance(model, Checkpoint) else None


def _how(model: Any) -> dict[str, Any]:
    """How steps were integrated when it was fitted."""
    training = model.card.training if isinstance(model, Checkpoint) else {}
    return {name: training[name] for name in ("integrator", "substeps") if training.get(name)}


def _parameters(model: Any) -> Any:
    """The parameters at which a checkpoint was trained."""
    if not isinstance(model, Checkpoint):
        return ()
    known, names = model.card.defaults(), model.card.model_coordinates().parameters
    missing = [name for name in names if name not in known]
    if missing:
        raise ConfigurationError(
            f"the model takes {', '.join(missing)} as input: give m = ({', '.join(names)})"
        )
    return [known[name] for name in names]
