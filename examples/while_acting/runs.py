"""One run of `learn`, as the examples make it."""

import warnings

from gym_lagrangian import learn


def learned(env, model, fit_steps, **how):
    """What `learn` comes to, with so many optimiser steps in every fit, or its own where None.

    Its first models are of little use, and a warning of that after every episode is of none.
    """
    if fit_steps:
        how["steps"] = (fit_steps, fit_steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return learn(env, model, **how)
