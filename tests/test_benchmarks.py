"""The benchmark harness runs on a tiny case without the libraries compared with."""

import json
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parents[1] / "benchmarks" / "run.py"


def test_a_table_is_measured_and_saved(tmp_path):
    arguments = ["--quick", "--no-peers", "--only", "q̈ of a batch", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(RUN), *arguments], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "benchmarks.json").read_text())
    (table,) = result["tables"]
    rows = {row["name"]: row for row in table["rows"]}
    assert {"ours, forward", "ours, training step", "Appendix A, training step"} <= set(rows)
    assert rows["Appendix A, training step"]["ratio"] == 1.0
    assert all(row["rate"] > 0 for row in rows.values())
    assert result["machine"]["cores"]
    assert "| ours, forward |" in (tmp_path / "benchmarks.md").read_text()


def test_appendix_a_agrees_with_the_model():
    sys.path.insert(0, str(RUN.parent))
    try:
        import jax
        import numpy as np
        from appendix_a import appendix_a

        from gym_lagrangian.models import LNN
        from gym_lagrangian.models.embedding import Embedding
        from gym_lagrangian.systems import DoublePendulum
    finally:
        sys.path.remove(str(RUN.parent))
    system = DoublePendulum()
    with jax.enable_x64(True):
        model = LNN.build(Embedding.of(system), width=8, quadratic_start=1.0, key=jax.random.key(0))
        state = (np.array([0.3, -1.0]), np.array([0.5, 2.0]), np.array([1.0, -2.0]), np.ones(5))
        found, expected = appendix_a(model, *state), model.acceleration(*state)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
