r"""Positions, velocities and accelerations from noisy readings at uneven instants.

At every instant s wanted, a cubic in t − s is fitted by least squares to the 2m + 1 rows nearest
to it; its value, its slope and its second derivative at s are the estimates (Savitzky & Golay 1964
on an uneven grid). Narrow windows let noise through, wide ones flatten the motion. The slope of a
window is a linear estimate whose variance is σ² v_m with v_m an entry of the inverse of its normal
matrix, and the slopes of two nested windows u < m differ by noise of the variance σ² (v_u − v_m),
as the wider one reproduces cubics. What they differ by beyond that is bias:

    B_m = max_{u < w ≤ m, w ≤ 4u} ( mean (p_w − p_u)² − σ² (v_u − v_w) )_+,
    m   = argmin  B_m + σ² v_m

(Goldenshluger & Lepski 2011). σ² is estimated from the residuals of polynomials through a few
neighbouring rows. It is at least that of the sensor's rounding, step² / 12.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Half-widths in rows among which one is chosen.
HALF_WIDTHS = (2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128)

_DEGREE = 3

# Instants at which windows are compared, and the most numbers in a temporary array.
_COMPARED = 4000
_BUDGET = 2_000_000

# Windows are compared with those of a quarter of their width at least: narrower ones are noise.
_COMPARABLE = 4

# How much more than the expected noise of a difference is still taken for noise.
_LENIENT = 1.1

# The mean of the smaller 99 hundredths of chi-squared numbers of three degrees, as a share of 3.
_TRIMMED = 0.965


class Choice(NamedTuple):
    """How wide the windows of one column are.

    Attributes:
        half_width: m, in rows.
        noise: σ, the standard deviation of a reading.
        error: the estimated standard deviation of what is estimated, bias included.
    """

    half_width: int
    noise: float
    error: float


def estimate(
    time: np.ndarray, values: np.ndarray, at: np.ndarray, half_width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values and slopes (G,) at the instants `at` (G,).

    Arguments:
        time: (N,) increasing, without gaps.
        values: (N,), angles unwound.
    """
    found = derivatives(time, values, at, half_width)
    return found[0], found[1]


def derivatives(
    time: np.ndarray, values: np.ndarray, at: np.ndarray, half_width: int
) -> np.ndarray:
    """Values, slopes and second derivatives (3, G) at the instants `at` (G,).

    The arguments are those of `estimate`.
    """
    found = np.empty((3, len(at)))
    width = min(2 * half_width + 1, len(time))
    for part in _parts(len(at), width):
        found[:, part] = _fitted(time, values, at[part], width)[0]
    return found


def choose(
    time: np.ndarray, values: np.ndarray, episode: np.ndarray, step: float, *, order: int
) -> Choice:
    """The width for the value (`order` 0), the slope (1) or the second derivative (2) of a column.

    Arguments:
        time, values: (N,) of all episodes, one after another.
        episode: (N,) which row belongs to which.
        step: of the sensor's rounding; 0 for unknown.
    """
    noise = _noise(time, values, episode, step)
    starts, counts = _episodes(episode)
    longest = int(counts.max())
    widths = [m for m in HALF_WIDTHS if 2 * m + 1 <= max(5, longest // 4)] or [2]
    if longest < 5:
        return Choice(1, noise, np.inf)
    tried = [_sample(time, values, starts, counts, m, order) for m in widths]
    whole = np.all([np.isfinite(one) for one, _ in tried], axis=0)
    return _least(widths, [(one[whole], v) for one, v in tried], noise)


def _least(widths: list[int], tried: list[tuple[np.ndarray, float]], noise: float) -> Choice:
    """The width of the least B_m + σ² v_m."""
    risks, bias = [], 0.0
    for m, (wide, v) in enumerate(tried):
        for width, (narrow, u) in zip(widths[:m], tried[:m], strict=True):
            if width * _COMPARABLE >= widths[m]:
                noisy = _LENIENT * noise**2 * max(u - v, 0.0)
                bias = max(bias, float(np.mean((wide - narrow) ** 2)) - noisy)
        risks.append(bias + noise**2 * v)
    best = int(np.argmin(risks))
    return Choice(widths[best], noise, float(np.sqrt(risks[best])))


def _sample(
    time: np.ndarray,
    values: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    half_width: int,
    order: int,
) -> tuple[np.ndarray, float]:
    """Estimates in the middle of windows all over the data, NaN where none fits, and v_m."""
    total = int(counts.sum())
    rows = np.unique(np.linspace(0, total - 1, min(total, _COMPARED)).astype(int))
    owner = np.searchsorted(starts, rows, side="right") - 1
    inside = (rows - starts[owner] >= HALF_WIDTHS[-1] // 8) | (counts[owner] < 64)
    fits = (rows - half_width >= starts[owner]) & (
        rows + half_width < starts[owner] + counts[owner]
    )
    found, spread = np.full(len(rows), np.nan), []
    chosen = np.flatnonzero(fits & inside)
    for part in _parts(len(chosen), 2 * half_width + 1):
        index = rows[chosen[part]]
        window = index[:, None] + np.arange(-half_width, half_width + 1)
        result, inverse = _solve(time[window] - time[index][:, None], values[window])
        found[chosen[part]] = result[order]
        spread.append(inverse[:, order])
    return found, float(np.mean(np.concatenate(spread))) if spread else np.inf


def _fitted(
    time: np.ndarray, values: np.ndarray, at: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Value, slope and second derivative (3, G), and their variances (G, 3), of the `width` rows
    around `at`.
    """
    near = np.searchsorted(time, at)
    near -= (near > 0) & (at - time[near - 1] < time[np.minimum(near, len(time) - 1)] - at)
    first = np.clip(near - width // 2, 0, len(time) - width)
    window = first[:, None] + np.arange(width)
    return _solve(time[window] - at[:, None], values[window])


def _solve(elapsed: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value, slope and second derivative at 0 (3, G), and their variances (G, 3) for readings of
    variance 1; a derivative beyond the polynomial's degree is zero.

    Arguments:
        elapsed, values: (G, W).
    """
    degree = min(_DEGREE, elapsed.shape[1] - 1)
    scale = np.abs(elapsed).max(axis=1)
    scale = np.where(scale > 0, scale, 1.0)
    middle = values.mean(axis=1)
    moments, right = _moments(elapsed / scale[:, None], values - middle[:, None], degree)
    normal = moments[:, np.add.outer(np.arange(degree + 1), np.arange(degree + 1))]
    inverse = np.linalg.pinv(normal, hermitian=True)
    result, variance = np.zeros((3, len(values))), np.zeros((len(values), 3))
    for order in range(min(2, degree) + 1):
        factor = (1, 1, 2)[order] / scale**order
        result[order] = factor * np.einsum("gj,gj->g", inverse[:, order], right)
        variance[:, order] = factor**2 * inverse[:, order, order]
    result[0] += middle
    return result, variance


def _moments(x: np.ndarray, y: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Σ xᵏ (G, 2 degree + 1) and Σ xᵏ y (G, degree + 1)."""
    power, sums, right = np.ones_like(x), [], []
    for k in range(2 * degree + 1):
        sums.append(power.sum(axis=1))
        if k <= degree:
            right.append((power * y).sum(axis=1))
        power = power * x
    return np.stack(sums, axis=1), np.stack(right, axis=1)


def _noise(time: np.ndarray, values: np.ndarray, episode: np.ndarray, step: float) -> float:
    """σ by what polynomials through a few rows leave, whichever leave least."""
    found = [roughness(time, values, episode, degree) for degree in (3, 5)]
    least = min((one for one in found if one is not None), default=0.0)
    return max(least, step / np.sqrt(12))


def roughness(
    time: np.ndarray, values: np.ndarray, episode: np.ndarray, degree: int
) -> float | None:
    """The noise beyond polynomials of a degree through three rows more than they have
    coefficients, the largest hundredth left out; None where no episode is long enough.
    """
    width = degree + 4
    if len(time) < width:
        return None
    first = np.linspace(0, len(time) - width, min(len(time), _COMPARED)).astype(int)
    first = np.unique(first)
    first = first[episode[first] == episode[first + width - 1]]
    if not len(first):
        return None
    rows = first[:, None] + np.arange(width)
    x = time[rows] - time[rows].mean(axis=1, keepdims=True)
    x = x / np.abs(x).max(axis=1, keepdims=True)
    basis = np.linalg.qr(x[..., None] ** np.arange(degree + 1))[0]
    y = values[rows] - values[rows].mean(axis=1, keepdims=True)
    left = y - (basis @ (basis.swapaxes(1, 2) @ y[..., None]))[..., 0]
    squares = np.sort(np.sum(left**2, axis=1))[: max(1, int(0.99 * len(first)))]
    return float(np.sqrt(np.mean(squares) / (3 * _TRIMMED)))


def _episodes(episode: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each begins and how many rows it has."""
    starts = np.flatnonzero(np.diff(episode, prepend=episode[0] - 1))
    return starts, np.diff(np.append(starts, len(episode)))


def _parts(count: int, width: int) -> list[slice]:
    """Slices of `count` that keep temporary arrays small."""
    size = max(1, _BUDGET // max(width, 1))
    return [slice(i, i + size) for i in range(0, count, size)]


def resolution(values: np.ndarray) -> float:
    """The step of a sensor's rounding: what almost all differences of readings are multiples of;
    0 where there is none.
    """
    levels = np.unique(values)
    moved = np.diff(levels)
    moved = moved[moved > 1e-9 * max(1.0, float(np.abs(levels).max()))]
    if len(moved) < 2:
        return 0.0
    step = float(np.quantile(moved, 0.05))
    parts = np.diff(levels) / step
    whole = np.abs(parts - np.round(parts)) < 0.05
    return step if np.mean(whole) > 0.95 else 0.0
