"""The command that runs the paper's experiments again, at a small size."""

import json

import numpy as np
import pytest

from gym_lagrangian import checkpoints
from gym_lagrangian.errors import CheckpointError, ConfigurationError
from gym_lagrangian.evaluation import energy_discrepancy, evaluation_states
from gym_lagrangian.evaluation.motion import free_motions
from gym_lagrangian.learning.config import TrainingConfig
from gym_lagrangian.registration import SYSTEMS
from gym_lagrangian.reproduce import Protocol, experiment, reproduce
from gym_lagrangian.systems import DoublePendulum

pytest.importorskip("matplotlib", reason="figures need the extra `plots`")

KINDS = ("png", "pdf")

# Long and short runs of one shape: what is compiled for one serves the other.
SMALL = Protocol(
    states=2,
    few=2,
    seconds=10.0,
    long_seconds=10.0,
    loss_states=100,
    velocity_states=4,
    proof_steps=20,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two models only, and the folder of a small run."""
    out = tmp_path_factory.mktemp("reproduction")
    row = SYSTEMS["DoublePendulum"]._replace(learned=("LNN", "Baseline"))
    other = SYSTEMS["RelativisticParticle"]._replace(learned=("LNN", "Baseline"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SYSTEMS, "DoublePendulum", row)
        patch.setitem(SYSTEMS, "RelativisticParticle", other)
        parts: list[str] = []
        results = reproduce(out, protocol=SMALL, on_part=parts.append)
    return out, results, parts


def test_writes_numbers_report_and_figures(made):
    out, results, parts = made
    names = ("figure-1", "figure-2", "figure-3", "energy")
    figures = {f"{name}.{kind}" for name in names for kind in KINDS}
    assert {path.name for path in out.iterdir()} == figures | {"results.json", "report.md"}
    assert json.loads((out / "results.json").read_text()) == results
    assert {"truth", "LNN", "Baseline", "report"} <= set(parts)


def test_numbers_are_those_of_an_evaluation(made):
    _, results, _ = made
    found = results["double_pendulum"]["LNN"]["energy_2"]
    system = DoublePendulum()
    model = checkpoints.load("DoublePendulumLNN", system).model
    both = free_motions(model, system, dt=0.05, states=2, seconds=10.0)
    expected = [one.summary() for one in energy_discrepancy(*both, times=(10.0,))]
    assert [one["time"] for one in found] == [10.0]
    np.testing.assert_allclose(found[0]["values"], expected[0]["values"], rtol=1e-3, atol=1e-9)


def test_the_few_are_the_first_of_the_many():
    system = DoublePendulum()
    few, many = (evaluation_states(system, count, seed=5).q for count in (2, 30))
    np.testing.assert_array_equal(many[:2], few)


def test_report_names_protocol_configuration_and_paper(made):
    out, results, _ = made
    text = (out / "report.md").read_text()
    measured = (results["double_pendulum"], results["relativistic_particle"]["models"])
    for numbers in [found for models in measured for found in models.values()]:
        assert numbers["checkpoint"]["sha256"][:16] in text
    for words in (
        "LNN, the paper",
        "0.073",
        "learning_rate 0.01",
        "after 10 s, 2 starts",
        "special_relativity",
        "must fail",
        "Table 1, measured",
    ):
        assert words in text
    assert set(results["table_1"]) == {"LNN", "Baseline"}


def test_retraining_uses_what_is_finished_and_goes_on_with_what_is_not(tmp_path, monkeypatch):
    tiny = TrainingConfig(steps=4, batch=2, chunk=2)
    monkeypatch.setattr(experiment.TrainingConfig, "of", lambda name, system: tiny)
    seen: list[tuple[str, int]] = []

    def interrupt(name, progress):
        seen.append((name, progress.step))
        if len(seen) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment._model("DoublePendulum", "Baseline", tmp_path, interrupt)
    for _ in range(2):
        model = experiment._model("DoublePendulum", "Baseline", tmp_path, interrupt)
    assert seen == [("DoublePendulumBaseline", 2), ("DoublePendulumBaseline", 4)]
    path = tmp_path / "DoublePendulumBaseline.safetensors"
    assert checkpoints.load(path).sha256 == model.sha256
    other = TrainingConfig(steps=5)
    monkeypatch.setattr(experiment.TrainingConfig, "of", lambda name, system: other)
    with pytest.raises(CheckpointError, match="another configuration"):
        experiment._model("DoublePendulum", "Baseline", tmp_path, interrupt)


def test_bad_input_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ConfigurationError, match="is a file: name a folder"):
        reproduce(file, protocol=SMALL)
    assert file.read_text() == "mine"
    with pytest.raises(ConfigurationError, match="few = 9: expected at most states = 3"):
        Protocol(states=3, few=9)
    with pytest.raises(ConfigurationError, match="states = 0"):
        Protocol(states=0)
