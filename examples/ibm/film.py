"""IBM's film of a double pendulum: angles of its pixels, their noise, the states behind them."""

import gzip

import numpy as np
from scipy.signal import savgol_coeffs, savgol_filter

ARMS = ("arm1", "arm2")  # absolute angles, counted from hanging; 400 pictures a second


def angles(path):
    """The angles (T,) of both arms, of pixels (T, 6): pivot, end of arm 1, end of arm 2."""
    with gzip.open(path, "rt") as file:
        pivot, first, second = np.split(np.loadtxt(file, delimiter=","), 3, axis=1)
    q = [np.arctan2(*arm.T[::-1]) for arm in (first - pivot, second - first)]
    hangs = np.cos(q[0][-4000:]).mean() > 0  # it comes to rest in the end
    return dict(zip(ARMS, q if hangs else [one + np.pi for one in q], strict=True))


def filtered(q):
    """States (N, T, 4) of angles (N, T, 2), as those of the recordings are found."""
    how = {"window_length": 11, "polyorder": 4, "axis": 1, "mode": "interp"}
    return np.concatenate(
        [savgol_filter(q, **how), savgol_filter(q, deriv=1, delta=1 / 400, **how)], axis=2
    )


def camera_noise(paths):
    """Standard deviation (2,) of a picture's angles in rad over the first 20 s of some recordings,
    where what the filter takes away is white.
    """
    runs = [np.array([*angles(path).values()]).T for path in paths]
    taken = [(q - savgol_filter(q, 11, 4, axis=0))[:8000] for q in (np.unwrap(q.T).T for q in runs)]
    return np.concatenate(taken).std(axis=0) / np.sqrt(1.0 - savgol_coeffs(11, 4)[5])
