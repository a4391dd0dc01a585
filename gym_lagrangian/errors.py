"""Exceptions. Every message says what was found, what was expected, and what to do."""


class GymLagrangianError(Exception):
    """Base of all errors that this package raises on its own account."""


class ConfigurationError(GymLagrangianError, ValueError):
    """An argument that makes no sense for this system, model or environment."""


class UnknownArgument(ConfigurationError, TypeError):
    """A keyword argument that nothing takes: a TypeError too, as Python's own is."""


class CheckpointError(GymLagrangianError, ValueError):
    """A checkpoint that is missing, unreadable, damaged or made for something else."""


class DataError(GymLagrangianError, ValueError):
    """Training data with the wrong shape, non-finite values or missing arrays."""


class TrainingDiverged(GymLagrangianError, ArithmeticError):
    """The loss became non-finite; the last good state has been saved."""


class MissingExtra(GymLagrangianError, ImportError):
    """A library of an optional extra is not installed; the message says how to install it."""
