"""A run of `learn` in a process of its own, to be killed: python acting_victim.py OUT."""

import sys
import warnings

from acting_helpers import ID, TINY

from gym_lagrangian import learn


def main(out: str) -> None:
    warnings.simplefilter("ignore", UserWarning)
    learn(ID, budget=16.0, out=out, seed=5, random=2.0, episode=2.0, **TINY)


if __name__ == "__main__":
    main(sys.argv[1])
