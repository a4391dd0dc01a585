"""A user's package: systems, tasks and a machine.

It imports the public names of `gym_lagrangian` alone, and nothing of the package knows of it.
"""
