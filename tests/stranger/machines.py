"""A machine that is known by its coordinates alone."""

from gym_lagrangian import Coordinates

ARM = Coordinates(("shoulder", "elbow"), angular=True, name="Arm")
