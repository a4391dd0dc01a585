"""The libraries that are compared with, in an environment of their own: their versions conflict
with ours (gymnax needs gymnasium < 1.4, and six; MuJoCo's environments need imageio).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACKAGES = ("gymnax", "six", "brax", "gymnasium[classic-control,mujoco]<1.4", "imageio")


def python_of_peers(cache: Path) -> Path:
    """The interpreter of the environment in `cache`, made there at first."""
    python = cache / "peers" / "bin" / "python"
    complete = cache / "peers" / "complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", str(cache / "peers")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
        complete.touch()
    return python
