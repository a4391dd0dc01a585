r"""Checks of recorded motion for likely mistakes, one a function, each with a message.

A suspicion that makes a fit meaningless is fatal: `refuse` raises it, unless the caller insists. No
check reports anything on correct data, noisy or not.

Velocities against positions: with r = Σ |Δq / dt − mean q̇| / Σ |mean q̇| over stretches of steps,
the largest fiftieth of either left out, r is .003 on right data, .1 with one per cent of noise, and
.9 to 2 where dt, a unit or a sign is wrong. Longer stretches average noise out, so the least r of
several lengths counts. The factor Δq / (dt q̇) then tells what is wrong.

Forces against accelerations: the part of q̈ that forces explain beyond functions of the state is B
τ, with B the mean of M⁻¹. A positive definite M⁻¹ has B_ii > 0 and B_ii B_jj > B_ij B_ji.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gym_lagrangian.errors import DataError
from gym_lagrangian.learning.transitions import Transitions

# The r above which velocities are not those of the positions.
_APART = 0.5

# The change of an angle from which on it may have been another one, and the share of such rows that
# makes it likely.
_LARGE, _MANY = 2.0, 0.05

# The fewest steps whose velocities are compared with positions.
_COMPARABLE = 5

# The share of rows that count: outliers do not.
_KEPT = 0.98

# Stretches, in steps, over which both are compared.
_STRETCHES = (1, 2, 4, 8, 16, 32, 64)

# Rows of which forces and accelerations are compared, and the fewest that say anything.
_COMPARED, _FEWEST = 20_000, 200

# Rows that one independent row is taken for, and standard errors that make a sign certain.
_CORRELATED, _CERTAIN = 10.0, 5.0

# The share of the accelerations' variance that forces must explain before they say anything.
_EXPLAINED = 0.05

# How many times as much the same force must accelerate a machine to be another one.
_ORDER = 6.0

# The share of the usual spread of a force from which on a log tells of its effect: a smaller one is
# what friction and the controller make of the motion.
_EXCITED = 0.2

# The most coordinates whose forces are compared with all the functions of the state that matter.
_FEW = 3

# How much more of it degrees must explain than radians.
_BETTER = 0.2

# Factors between velocity and position that have a name.
_FACTORS = (
    (180 / np.pi, "positions in degrees and velocities in radians per second"),
    (np.pi / 180, "positions in radians and velocities in degrees per second"),
    (1000.0, "times in milliseconds rather than seconds, or millimetres and metres"),
    (0.001, "times in seconds rather than milliseconds, or metres and millimetres"),
    (2 * np.pi, "positions in radians and velocities in turns per second"),
    (1 / (2 * np.pi), "positions in turns and velocities in radians per second"),
    (60 / (2 * np.pi), "velocities in revolutions per minute"),
)


class Suspicion(NamedTuple):
    """Something that looks wrong.

    Attributes:
        kind: a short name, such as ``"sign of a velocity"``.
        text: what was found, what was expected and what to do.
        fatal: whether it makes a fit meaningless.
    """

    kind: str
    text: str
    fatal: bool = True


def refuse(found: Iterable[Suspicion], *, insist: bool) -> None:
    """Raise the fatal ones, unless the caller insists.

    Raises:
        DataError: naming all of them.
    """
    fatal = [one.text for one in found if one.fatal]
    if fatal and not insist:
        raise DataError(
            "; ".join(fatal) + ". A fit of such data means nothing: mend it, or insist "
            "(insist=True, --insist) if it is right"
        )


def of_transitions(data: Transitions) -> tuple[Suspicion, ...]:
    """Everything that looks wrong with transitions."""
    q, qd = moved(data), 0.5 * (data.qd + data.next_qd)
    names, angular = data.coordinates.coordinates, data.coordinates.angular
    found = [*_still(data, q), *_constant(data)]
    if not found:
        for i, name in enumerate(names):
            kept = unambiguous(q[:, i], data.dt * qd[:, i]) if angular[i] else slice(None)
            found += velocities(name, q[kept, i], qd[kept, i], data.episode[kept], data.dt)
        found += degrees_in(data) + torques(names, *rows_of_motion(data))
    return tuple(found)


def moved(data: Transitions) -> np.ndarray:
    """Δq (N, n), of angles on the circle."""
    turned = data.next_q - data.q
    return np.where(data.coordinates.angular, np.arctan2(np.sin(turned), np.cos(turned)), turned)


# -- velocities ---------------------------------------------------------------------------------


def _still(data: Transitions, change: np.ndarray) -> list[Suspicion]:
    """Velocities that are all zero while positions change."""
    zero = np.all(data.qd == 0, axis=0) & np.any(change != 0, axis=0)
    return [
        Suspicion(
            "no velocity",
            f"the velocity of {name} is 0 in all rows while its position changes: it was not "
            "recorded; give it, or positions alone to read_logs",
        )
        for name, bad in zip(data.coordinates.coordinates, zero, strict=True)
        if bad
    ]


def _constant(data: Transitions) -> list[Suspicion]:
    """A machine none of whose coordinates ever moves."""
    if np.any(data.q != data.q[0]) or np.any(data.next_q != data.q[0]) or len(data) < 2:
        return []
    return [Suspicion("no motion", f"nothing of {data.coordinates.name} moves in {len(data)} rows")]


def unambiguous(change: np.ndarray, expected: np.ndarray) -> Any:
    """The rows in which an angle turns by so little that the change on the circle is its change.

    Only where many changes are large: a machine that turns over between two rows.
    """
    fast = np.mean(np.abs(change) > _LARGE) > _MANY
    return np.abs(expected) < _LARGE if fast else slice(None)


def velocities(
    name: str, change: np.ndarray, velocity: np.ndarray, episode: np.ndarray, dt: float
) -> list[Suspicion]:
    """Velocities that are not those of the positions.

    Arguments:
        change: (N,) Δq of each step.
        velocity: (N,) mean q̇ of each step.
        episode: (N,).
        dt: seconds in a step.
    """
    pairs = list(_stretched(change / dt, velocity, episode))
    ratios = [_ratio(slope, mean) for slope, mean in pairs]
    if len(change) < _COMPARABLE or not ratios or min(ratios) < _APART:
        return []
    slope, mean = pairs[int(np.argmin(ratios))]
    return [_mismatch(name, float(np.sum(slope * mean) / np.sum(mean**2)), min(ratios))]


def _stretched(
    slope: np.ndarray, mean: np.ndarray, episode: np.ndarray
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Both averaged over stretches of an episode, while there are enough of them."""
    sums = np.cumsum(np.vstack([np.zeros(2), np.stack([slope, mean], axis=1)]), axis=0)
    for k in _STRETCHES:
        whole = np.flatnonzero(episode[k - 1 :] == episode[: max(0, len(episode) - k + 1)])
        if k > 1 and len(whole) < 20:
            return
        averaged = (sums[whole + k] - sums[whole]) / k
        if np.any(averaged[:, 1]):
            yield averaged[:, 0], averaged[:, 1]


def _ratio(slope: np.ndarray, mean: np.ndarray) -> float:
    """r of the module."""
    apart, size = (np.sort(np.abs(one)) for one in (slope - mean, mean))
    kept = max(1, int(_KEPT * len(apart)))
    return float(np.sum(apart[:kept]) / np.sum(size[:kept])) if np.any(size[:kept]) else np.inf


def _mismatch(name: str, factor: float, ratio: float) -> Suspicion:
    """What a factor between the change of a position and its velocity says."""
    likely = next((what for f, what in _FACTORS if abs(factor / f - 1) < 0.04), None)
    if likely is not None:
        kind, guess = "unit", f"that looks like {likely}"
    elif -1.5 < factor < -0.5:
        kind, guess = "sign of a velocity", "the velocity has the wrong sign"
    else:
        kind, guess = "wrong dt", f"is dt wrong by a factor of {abs(factor):.3g}, or a unit?"
    return Suspicion(
        kind,
        f"the velocity of {name} is not the change of its position: they differ by {ratio:.2g} "
        f"typical velocities, and positions change {factor:.3g} times as fast: {guess}",
    )


# -- units of angles ----------------------------------------------------------------------------


def degrees_in(data: Transitions) -> list[Suspicion]:
    """Angles that are degrees."""
    found: list[Suspicion] = []
    for i, name in enumerate(data.coordinates.coordinates):
        if data.coordinates.angular[i]:
            qdd = (data.next_qd[:, i] - data.qd[:, i]) / data.dt
            found += degrees(name, data.q[:, i], data.qd[:, i], qdd, data.tau)
    return found


def degrees(
    name: str, q: np.ndarray, qd: np.ndarray, qdd: np.ndarray, tau: np.ndarray
) -> list[Suspicion]:
    """An angle whose range is that of degrees and whose acceleration has their period."""
    low, high = float(q.min()), float(q.max())
    if high - low < 4 * np.pi or max(-low, high) > 400:
        return []
    wide = f"{name} goes from {low:.3g} to {high:.3g}"
    rows = np.linspace(0, len(q) - 1, min(len(q), _COMPARED)).astype(int)
    others = [np.ones(len(rows)), qd[rows], np.sign(qd[rows]), *tau[rows].T]
    shares = [
        _explained(qdd[rows], [*others, np.sin(unit * q[rows]), np.cos(unit * q[rows])])
        for unit in (1.0, np.pi / 180)
    ]
    if len(q) >= _FEWEST and shares[1] - shares[0] > _BETTER:
        return [
            Suspicion(
                "degrees",
                f"{wide} and accelerates as an angle in degrees does (that explains "
                f"{shares[1]:.0%} of its acceleration, radians {shares[0]:.0%}): convert it",
            )
        ]
    return []


def _explained(target: np.ndarray, features: list[np.ndarray]) -> float:
    """R² of a linear regression."""
    x = np.stack(features, axis=1)
    spread = np.abs(x).max(axis=0)
    rest = target - (x / np.where(spread > 0, spread, 1)) @ _solution(x, spread, target)
    total = np.sum((target - target.mean()) ** 2)
    return float(1 - np.sum(rest**2) / total) if total > 0 else 0.0


def _solution(x: np.ndarray, spread: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(x / np.where(spread > 0, spread, 1), target, rcond=1e-10)[0]


# -- forces -------------------------------------------------------------------------------------


def rows_of_motion(data: Transitions) -> tuple[np.ndarray, ...]:
    """Some rows of q, q̇, q̈ and τ, and which coordinates are angles."""
    rows = np.linspace(0, len(data) - 1, min(len(data), _COMPARED)).astype(int)
    qd, after = data.qd[rows], data.next_qd[rows]
    middle = data.q[rows] + 0.5 * moved(data)[rows]
    angular = np.array(data.coordinates.angular)
    return middle, 0.5 * (qd + after), (after - qd) / data.dt, data.tau[rows], angular


def torques(
    names: Sequence[str],
    q: np.ndarray,
    qd: np.ndarray,
    qdd: np.ndarray,
    tau: np.ndarray,
    angular: np.ndarray,
) -> list[Suspicion]:
    """Forces of the wrong sign, or of the other coordinate. Of a machine of many coordinates this
    is a hint: there are more functions of its state than forces are compared with here.
    """
    few = len(names) <= _FEW
    driven = np.flatnonzero(tau.std(axis=0) > 0)
    if not len(driven) or len(q) < _FEWEST:
        return []
    effect, error, share = _effects(q, qd, qdd[:, driven], tau[:, driven], angular)
    sure = effect / error
    wrong = np.flatnonzero((share > _EXPLAINED) & (np.diag(sure) < -_CERTAIN))
    swapped = _swapped(effect, sure, share)
    if swapped:
        a, b = swapped[0]
        pair = f"{names[driven[a]]} and {names[driven[b]]}"
        return [
            Suspicion(
                "torque of the other joint",
                f"the forces on {pair} look exchanged: each accelerates the other one; are their "
                "columns in the order of the coordinates?",
                fatal=few,
            )
        ]
    return [
        Suspicion(
            "sign of a torque",
            f"the force on {names[driven[a]]} accelerates it the other way: its sign is wrong, "
            "or the coordinate's",
            fatal=few,
        )
        for a in wrong
    ]


def one_machine(data: Sequence[Transitions], labels: Sequence[str]) -> list[Suspicion]:
    """Logs of which one is of another machine: the same force accelerates it the other way, or by
    another order of magnitude.
    """
    known = [
        (one, effect, label)
        for one, label in zip(data, labels, strict=True)
        if (effect := _own_effect(one)) is not None
    ]
    if len(known) < 2:
        return []
    sizes = np.array([effect for _, effect, _ in known])
    spreads = np.array([one.tau.std(axis=0) for one, _, _ in known])
    sizes[spreads < _EXCITED * np.median(spreads, axis=0)] = np.nan
    sizes = sizes[:, np.sum(~np.isnan(sizes), axis=0) > 1]
    if not sizes.size:
        return []
    usual = np.nanmedian(sizes, axis=0)
    apart = np.abs(np.log(np.maximum(sizes / usual, 1e-9)))
    far = np.nanmax(np.where(np.isnan(apart), 0.0, apart), axis=1) > np.log(_ORDER)
    named = ", ".join(label for strange, (*_, label) in zip(far, known, strict=True) if strange)
    if not named:
        return []
    return [
        Suspicion(
            "another machine",
            f"{named}: forces accelerate {data[0].coordinates.name} otherwise than in the other "
            "logs: is that another machine, another payload, or a force of another sign or unit?",
        )
    ]


def _own_effect(data: Transitions) -> np.ndarray | None:
    """B_ii (n,), NaN where it is not certain; None where nothing is."""
    q, qd, qdd, tau, angular = rows_of_motion(data)
    driven = np.flatnonzero(tau.std(axis=0) > 0)
    if not len(driven) or len(qdd) < _FEWEST:
        return None
    effect, error, share = _effects(q, qd, qdd[:, driven], tau[:, driven], angular)
    sure = (share > _EXPLAINED) & (np.abs(np.diag(effect / error)) > _CERTAIN)
    found = np.full(tau.shape[1], np.nan)
    found[driven[sure]] = np.diag(effect)[sure]
    return found if sure.any() else None


def _swapped(effect: np.ndarray, sure: np.ndarray, share: np.ndarray) -> list[tuple[int, int]]:
    """Pairs whose forces act crosswise: B_ij B_ji > B_ii B_jj, both for certain."""
    count = len(effect)
    return [
        (a, b)
        for a in range(count)
        for b in range(a + 1, count)
        if min(share[a], share[b]) > _EXPLAINED
        and min(abs(sure[a, b]), abs(sure[b, a])) > _CERTAIN
        and effect[a, b] * effect[b, a] > 1.2 * abs(effect[a, a] * effect[b, b])
    ]


def _effects(
    q: np.ndarray, qd: np.ndarray, qdd: np.ndarray, tau: np.ndarray, angular: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """B (d, d), row i the coordinate; its standard errors; and the share of q̈'s variance, beyond
    functions of the state, that forces explain (d,).
    """
    features = _features(q, qd, angular)
    left = [_beyond(features, one) for one in (qdd, tau)]
    size = np.maximum(left[1].std(axis=0), 1e-12 * np.abs(tau).max())
    x = left[1] / size
    inverse = np.linalg.pinv(x.T @ x)
    found = inverse @ x.T @ left[0]
    rest = left[0] - x @ found
    spread = np.sqrt(np.outer(np.diag(inverse), np.mean(rest**2, axis=0)) * _CORRELATED)
    total = np.maximum(np.mean(left[0] ** 2, axis=0), 1e-30)
    share = 1 - np.mean(rest**2, axis=0) / total
    return (found / size[:, None]).T, np.maximum(spread / size[:, None], 1e-30).T, share


def _features(q: np.ndarray, qd: np.ndarray, angular: np.ndarray) -> np.ndarray:
    """Functions of the state (N, f) that forces are compared with."""
    sums = np.cumsum(np.where(angular, q, 0.0), axis=1)
    speed = np.maximum(qd.std(axis=0), 1e-12)
    terms = [np.ones((len(q), 1)), qd, np.tanh(10 * qd / speed)]
    terms += [
        part
        for angle in (q[:, angular], sums[:, angular])
        for part in (np.sin(angle), np.cos(angle))
    ]
    terms += [q[:, ~angular], (qd / speed) ** 2, (qd[:, :1] / speed[:1]) * (qd / speed)]
    return np.concatenate(terms, axis=1)


def _beyond(features: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What features leave of values."""
    size = np.maximum(np.abs(features).max(axis=0), 1e-300)
    found = np.linalg.lstsq(features / size, values, rcond=1e-10)[0]
    return values - (features / size) @ found
