"""The latest values of something, by the step that they belong to."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np


class History:
    """Rows (step, value, …) of the last seconds.

    It begins anew at step 0 or when the step falls; the same step again adds nothing. Beyond
    `most` rows only some are kept, evenly, and always the newest: a picture does not show more,
    and its cost must not grow with the number of steps in a second.

    Arguments:
        seconds: how long a row is remembered.
        fps: steps in a second.
        most: rows at most, the newest aside.
    """

    def __init__(self, seconds: float, fps: int, *, most: int):
        self.memory = max(round(seconds * fps), 1)
        self._spacing = -(-self.memory // most)
        self._rows: deque[tuple[float, ...]] = deque()

    def add(self, step: int, values: Sequence[float] | None) -> None:
        """Remember these values, and forget those that are too old."""
        rows = self._rows
        if step == 0 or (rows and step < rows[-1][0]):
            rows.clear()
        if values is not None and (not rows or step > rows[-1][0]):
            if len(rows) > 1 and rows[-1][0] - rows[-2][0] < self._spacing:
                rows.pop()
            rows.append((step, *values))
        while rows and rows[0][0] < step - self.memory:
            rows.popleft()

    def __len__(self) -> int:
        return len(self._rows)

    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """The steps (T,), and the values (T, k)."""
        table = np.array(self._rows, np.float64)
        return table[:, 0], table[:, 1:]
