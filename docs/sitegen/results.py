"""The results of guides, each run in a process and a folder of its own, and remembered.

What a guide printed last is used again as long as neither the guide nor the package has changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sitegen.cells import Guide, read

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
GUIDES = DOCS / "guides"

_CACHE = ROOT / ".cache" / "guides"


def guides() -> list[Path]:
    """The files of all guides."""
    return sorted(GUIDES.glob("*.py"))


def missing(guide: Guide) -> list[str]:
    """The modules that the guide needs and that are not installed."""
    return [name for name in guide.requires if importlib.util.find_spec(name) is None]


def results(path: Path) -> list[dict[str, Any]] | None:
    """What every cell of a guide printed and drew; None where it cannot run here, or where it was
    not run before and the environment says ``RUN_GUIDES=0``, for a quick look at a page.

    Raises:
        RuntimeError: the guide fails.
    """
    if missing(read(path)):
        return None
    kept = _CACHE / f"{path.stem}-{_fingerprint(path)}.json"
    if not kept.exists() and os.environ.get("RUN_GUIDES") == "0":
        return None
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(fresh(path)))
    return json.loads(kept.read_text())


def fresh(path: Path) -> list[dict[str, Any]]:
    """What every cell prints and draws, run now.

    Raises:
        RuntimeError: the guide fails; the message has what it wrote to standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results.json"
        command = [sys.executable, "-W", "ignore", "-m", "sitegen.execute", str(path), str(out)]
        work = Path(folder) / "work"
        work.mkdir()
        done = subprocess.run(command, cwd=work, env=_environment(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the guide {path.name} fails:\n{done.stderr}")
        return json.loads(out.read_text())


def _environment() -> dict[str, str]:
    """Without a display, and with `sitegen` and this package on the path, wherever it runs."""
    paths = [str(DOCS), str(ROOT), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    return os.environ | {"PYTHONPATH": path, "MPLBACKEND": "Agg", "SDL_VIDEODRIVER": "dummy"}


def _fingerprint(path: Path) -> str:
    """Of the guide, of what runs it and of the package."""
    code = sorted((ROOT / "gym_lagrangian").rglob("*.py"))
    runner = [Path(__file__).with_name(f"{name}.py") for name in ("cells", "execute")]
    texts = b"".join(file.read_bytes() for file in [path, *runner, *code])
    return hashlib.sha256(texts).hexdigest()[:16]
