"""Sweeps: many trainings over systems, models, settings and seeds, and one table of results.

A `Sweep` is what a TOML file states. `runs` are its trainings, the rows of the table. `packs` are
runs that share one compiled program and are trained side by side. `Ledger` keeps what packs report,
says which settings are stopped early, and makes the rows. Whoever trains the packs, this process
(`in_process`) or workers of Ray Tune (`on_ray`), the rows are the same.
"""

from gym_lagrangian.sweeps.alone import in_process
from gym_lagrangian.sweeps.file import read_sweep
from gym_lagrangian.sweeps.halving import Halving
from gym_lagrangian.sweeps.plan import Pack, Run, Sweep

__all__ = ["Halving", "Pack", "Run", "Sweep", "in_process", "read_sweep"]
