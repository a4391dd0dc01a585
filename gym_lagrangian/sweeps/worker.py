"""The worker for Ray Tune: it trains one pack, and reports and saves at every mark."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from ray import tune  # type: ignore[import-not-found]

from gym_lagrangian.sweeps.plan import Pack
from gym_lagrangian.sweeps.training import trained

# The key of a trial's configuration, and that of what it reports.
PACK, RESULT = "pack", "result"


def train_pack(config: dict[str, Any]) -> None:
    """Train the pack of a trial, from its last checkpoint where there is one."""
    pack, saved = Pack.from_dict(config[PACK]), tune.get_checkpoint()
    with contextlib.ExitStack() as stack:
        folder = None if saved is None else Path(stack.enter_context(saved.as_directory()))
        for result, packed, state in trained(pack, folder):
            with tempfile.TemporaryDirectory() as made:
                packed.save(state, Path(made))
                checkpoint = tune.Checkpoint.from_directory(made)
                tune.report({RESULT: result.as_text()}, checkpoint=checkpoint)


def trial_name(trial: Any) -> str:
    """How Ray calls a trial."""
    return f"pack-{trial.config[PACK]['index']:05d}"
