r"""The paper's experiments, run again: measurements, figures and a report in one folder.

    gym-lagrangian reproduce --out reproduction

measures the shipped checkpoints; with ``--retrain`` every model is trained anew first, into the
same folder, and a run that was interrupted goes on where it stopped.
"""

from gym_lagrangian.reproduce.experiment import reproduce
from gym_lagrangian.reproduce.protocol import Protocol

__all__ = ["Protocol", "reproduce"]
