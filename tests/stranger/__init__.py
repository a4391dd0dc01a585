"""Somebody else's package: a system, tasks and a machine, as a user would write them.

It imports the public names of `gym_lagrangian` alone, and nothing of the package knows of it.
"""
