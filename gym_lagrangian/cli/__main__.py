"""``python -m gym_lagrangian.cli``, where the console script is not on the path."""

import sys

from gym_lagrangian.cli.main import main

sys.exit(main())
