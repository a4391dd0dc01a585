"""The lower bounds that pyproject.toml states, as constraints of pip: ``python tools/oldest.py``.

``jax>=0.8`` becomes ``jax==0.8``, for the dependencies of the package and of its tests.
"""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for requirement in (*project["dependencies"], *project["optional-dependencies"]["test"]):
    bound = re.fullmatch(r"([\w-]+)(?:\[[\w,-]+\])?>=([\d.]+)(?:,<\d+)?", requirement)
    if bound is None:
        raise SystemExit(f"{requirement!r} states no lower bound")
    print("==".join(bound.groups()))
