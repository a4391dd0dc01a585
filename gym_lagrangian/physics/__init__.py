"""Mechanics from a Lagrangian, and what follows motion in time."""
