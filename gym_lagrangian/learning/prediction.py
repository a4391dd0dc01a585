r"""Errors of a model's open-loop prediction of recorded motion, joint by joint.

From instants of recorded motion the model is followed under the recorded forces and compared with
the recording, angles on the circle. Two simple rivals are compared too: constant velocities, and a
linear model x⁺ = A x + B τ + c of wrapped states. The latter is fitted by least squares to the very
motion that it predicts, which is in its favour.

The time of a prediction is how long its error stays below a stated amount, at most the horizon.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.checkpoints import Checkpoint
from gym_lagrangian.checks import positive_number
from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.transitions import Transitions, wrapped

# Starts of predictions at most, and how far apart as a share of the horizon.
_STARTS, _APART = 400, 0.5

# Times at which errors are tabulated, as shares of the horizon.
_SHARES = (0.1, 0.25, 0.5, 1.0)

GUESSES = ("constant velocity", "linear model")


class Predictions(NamedTuple):
    """Errors of predictions from W starts over K steps.

    Attributes:
        machine, model: names.
        coordinates, units: of the n coordinates.
        time: (K,) seconds since the start.
        amount: the error at which a prediction ends, one a coordinate.
        errors: who predicts → |q − recorded| (W, K, n).
        starts: W.
    """

    machine: str
    model: str
    coordinates: tuple[str, ...]
    units: tuple[str, ...]
    time: np.ndarray
    amount: np.ndarray
    errors: dict[str, np.ndarray]

    @property
    def starts(self) -> int:
        """How many predictions there are."""
        return len(next(iter(self.errors.values())))

    def times(self, who: str) -> np.ndarray:
        """(W, n): seconds until the error of each coordinate exceeds `amount`."""
        wrong = ~(self.errors[who] <= self.amount)
        first = np.where(wrong.any(axis=1), wrong.argmax(axis=1), len(self.time))
        return first * self.time[0]

    def document(self) -> dict[str, Any]:
        """The report as JSON-able data: medians over the starts, and mean and median times."""
        return {
            "machine": self.machine,
            "model": self.model,
            "starts": self.starts,
            "horizon": float(self.time[-1]),
            "amount": dict(zip(self.coordinates, self.amount.tolist(), strict=True)),
            "predictions": {who: self._of(who) for who in self.errors},
        }

    def lines(self) -> Iterator[str]:
        """The same as a table."""
        return table(self.document())

    def _at(self) -> list[int]:
        return [max(0, round(share * len(self.time)) - 1) for share in _SHARES]

    def _of(self, who: str) -> dict[str, Any]:
        at, times = self._at(), self.times(who)
        return {
            name: {
                "median_error": {
                    f"{self.time[k]:g}": float(np.median(self.errors[who][:, k, i])) for k in at
                },
                "mean_time": float(times[:, i].mean()),
                "median_time": float(np.median(times[:, i])),
            }
            for i, name in enumerate(self.coordinates)
        }


def table(document: dict[str, Any]) -> Iterator[str]:
    """A `Predictions.document` as lines of text."""
    found, amount = document["predictions"], document["amount"]
    yield (
        f"{next(iter(found))} of {document['machine']}: {document['starts']} predictions over "
        f"{document['horizon']:g} s, median errors, and seconds until they exceed an amount"
    )
    times = next(iter(next(iter(found.values())).values()))["median_error"]
    shown = "".join(f"{float(time):>9.3g} s" for time in times)
    yield f"{'coordinate':14} {'prediction':18}{shown}   amount  mean s  median s"
    for name in amount:
        for who, joints in found.items():
            yield f"{name:14} {who:18}{_numbers(joints[name], amount[name])}"


def _numbers(joint: dict[str, Any], amount: float) -> str:
    errors = "".join(f"{value:11.3g}" for value in joint["median_error"].values())
    return f"{errors} {amount:8.3g} {joint['mean_time']:7.3g} {joint['median_time']:9.3g}"


def predictions(
    checkpoint: Checkpoint, data: Transitions, *, horizon: float = 1.0, amount: float | None = None
) -> Predictions:
    """How a checkpoint's model predicts recorded motion.

    Arguments:
        data: motion that it never saw, of its own coordinates and parameters.
        horizon: seconds; shorter where no episode is as long.
        amount: the error in radians or metres at which a prediction ends; default 0.1 rad, and a
            tenth of a typical length.

    Raises:
        DataError: of another machine, or no episode of two steps.
    """
    coordinates = checkpoint.card.model_coordinates()
    if not coordinates.agrees_with(data.coordinates):
        raise DataError(f"this is motion of {data.coordinates.name}, not of {coordinates.name}")
    steps = max(1, round(positive_number("horizon", horizon, "seconds") / data.dt))
    starts, steps = _starts(data.episode, steps)
    rows = starts[:, None] + np.arange(steps)
    states = np.hstack([data.q, data.qd])[starts]
    found = {checkpoint.card.model: _by_model(checkpoint, data, states, rows)}
    found[GUESSES[0]] = states[:, None, : data.q.shape[1]] + _ahead(data, states, steps)
    found[GUESSES[1]] = _by_linear_model(data, states, rows)
    usual = np.where(coordinates.angular, 0.1, 0.1 * np.array(coordinates.magnitudes.q))
    ends = usual if amount is None else np.full(len(usual), positive_number("amount", amount))
    return Predictions(
        machine=coordinates.name,
        model=checkpoint.card.model,
        coordinates=coordinates.coordinates,
        units=coordinates.units,
        time=data.dt * np.arange(1, steps + 1),
        amount=ends,
        errors={who: _missed(data, q, rows) for who, q in found.items()},
    )


def _starts(episode: np.ndarray, steps: int) -> tuple[np.ndarray, int]:
    """Rows at which predictions start, all over the episodes, and how many steps they have."""
    begins = np.flatnonzero(np.diff(episode, prepend=-1))
    lengths = np.diff(np.append(begins, len(episode)))
    steps = min(steps, int(lengths.max()))
    if steps < 2:
        raise DataError(f"the longest episode has {steps} steps: expected at least 2 to predict")
    apart = max(1, int(_APART * steps))
    found = [
        np.arange(first, first + length - steps + 1, apart)
        for first, length in zip(begins, lengths, strict=True)
    ]
    starts = np.concatenate(found)
    return starts[:: max(1, -(-len(starts) // _STARTS))], steps


def _by_model(
    checkpoint: Checkpoint, data: Transitions, states: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """q (W, K, n) as the model predicts it."""
    training = checkpoint.card.training
    how = {name: training[name] for name in ("integrator", "substeps") if training.get(name)}
    m = np.array([checkpoint.card.parameters.get(k, v) for k, v in _parameters(data).items()])
    found = checkpoint.model.predict(states, data.tau[rows], dt=data.dt, m=m, **how)
    return np.asarray(found, np.float64)[..., : data.q.shape[1]]


def _parameters(data: Transitions) -> dict[str, float]:
    return dict(zip(data.coordinates.parameters, data.m[0].tolist(), strict=True))


def _ahead(data: Transitions, states: np.ndarray, steps: int) -> np.ndarray:
    """How far velocities that stay as they are go (W, K, n)."""
    elapsed = data.dt * np.arange(1, steps + 1)
    return elapsed[:, None] * states[:, None, data.q.shape[1] :]


def _by_linear_model(data: Transitions, states: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """q (W, K, n) as the linear model predicts it."""
    angular = np.concatenate([data.coordinates.angular, np.zeros(data.q.shape[1], bool)])

    def seen(x: np.ndarray, tau: np.ndarray) -> np.ndarray:
        x = np.where(angular, wrapped(x), x)
        return np.concatenate([x, tau, np.ones((len(x), 1))], axis=1)

    here, there = (np.hstack(pair) for pair in ((data.q, data.qd), (data.next_q, data.next_qd)))
    change = np.where(angular, wrapped(there - here), there - here)
    weights = np.linalg.lstsq(seen(here, data.tau), change, rcond=None)[0]
    x, found = states, []
    for tau in np.moveaxis(data.tau[rows], 1, 0):
        x = np.clip(x + seen(x, tau) @ weights, -1e6, 1e6)
        found.append(x[:, : data.q.shape[1]])
    return np.stack(found, axis=1)


def _missed(data: Transitions, q: np.ndarray, rows: np.ndarray) -> np.ndarray:
    error = q - data.next_q[rows]
    return np.abs(np.where(data.coordinates.angular, wrapped(error), error))
