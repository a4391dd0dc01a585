"""The command line: exit status, messages, and the files that it leaves."""

import json
import os
import shlex
import signal
import subprocess
import sys

import gymnasium
import pytest
from physics_helpers import cheap_measure

from gym_lagrangian import checkpoints, registration
from gym_lagrangian.cli import main
from gym_lagrangian.cli.main import parser
from gym_lagrangian.learning.transitions import Transitions
from gym_lagrangian.registration import environments, find, register_system
from gym_lagrangian.version import __version__

PNG = b"\x89PNG\r\n\x1a\n"
IDS = [row.id for row in environments()]
COMMANDS = next(action.choices for action in parser()._actions if action.choices)
SOME_LEARNED = ("DoublePendulumLNN-v0", "DoublePendulumMLP-v0", "RelativisticParticleHNN-v0")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Default outputs go to the working directory: make it a scratch one."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(capsys):
    """Assert that a command ends with status 2 and one line that says why."""

    def check(arguments, *words):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        lines = [line for line in error.splitlines() if line.startswith("gym-lagrangian: ")]
        assert len(lines) == 1
        assert "Traceback" not in error
        for word in words:
            assert word in lines[0]

    return check


@pytest.fixture
def usage_error(capsys):
    """Assert that the parser refuses a command, with status 2 and what it would take."""

    def check(arguments, *words):
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        assert exit_.value.code == 2
        error = capsys.readouterr().err
        for word in words:
            assert word in error

    return check


class TestUsage:
    def test_command_is_required(self, usage_error):
        usage_error([], "COMMAND")
        usage_error(["dance"], "dance", "rollout")

    @pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["rollout", "--help"]])
    def test_help(self, arguments, capsys):
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        assert exit_.value.code == 0
        assert "usage: gym-lagrangian" in capsys.readouterr().out

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_argument_is_explained(self, command):
        for action in COMMANDS[command]._actions:
            assert action.help, action.dest

    @pytest.mark.parametrize("command", COMMANDS)
    def test_the_example_of_a_command_is_understood(self, command):
        example = (COMMANDS[command].epilog or "").removeprefix("example: ")
        program, name, *rest = shlex.split(example)
        assert (program, name) == ("gym-lagrangian", command)
        COMMANDS[command].parse_args(rest)

    def test_version(self, capsys):
        with pytest.raises(SystemExit) as exit_:
            main(["--version"])
        assert exit_.value.code == 0
        assert capsys.readouterr().out == f"gym-lagrangian {__version__}\n"

    @pytest.mark.parametrize("argument", ["--help", "--version"])
    def test_neither_loads_jax(self, argument):
        code = f"import sys; from gym_lagrangian.cli import main; main(['{argument}'])"
        python = [sys.executable, "-X", "importtime", "-c", code]
        found = subprocess.run(python, capture_output=True, text=True, check=True)
        assert "gym_lagrangian.cli" in found.stderr
        assert "jax" not in found.stderr


class TestOutput:
    """Output that goes nowhere, in a process of its own, with a buffer and without one."""

    @pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
    def start(self, request):
        def start(argument, **streams):
            command = [sys.executable, "-m", "gym_lagrangian.cli", argument]
            surroundings = os.environ | {"PYTHONUNBUFFERED": request.param}
            return subprocess.Popen(
                command, stderr=subprocess.PIPE, text=True, env=surroundings, **streams
            )

        return start

    def test_nobody_reads(self, start):
        process = start("list", stdout=subprocess.PIPE)
        process.stdout.close()
        assert process.communicate()[1] == ""
        assert process.returncode == 141

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
    def test_a_full_disk(self, start):
        with open("/dev/full", "w") as full:
            process = start("list", stdout=full)
            (line,) = process.communicate()[1].splitlines()
        assert line.startswith("gym-lagrangian: standard output: ")
        assert "No space left" in line
        assert process.returncode == 2


class TestList:
    def test_every_id_with_its_checkpoint(self, capsys):
        assert main(["list"]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert max(map(len, printed)) < 80
        lines = {line.split()[0]: line for line in printed if line}
        assert lines.keys() >= set(IDS)
        for row in environments():
            if row.model is None:
                assert "exact" in lines[row.id]
            else:
                found = checkpoints.load(row.kwargs["checkpoint"])
                assert found.sha256[:10] in lines[row.id]
                metrics = found.card.metrics
                loss = metrics.get("acceleration_loss", metrics["one_step_error"])
                assert f"{loss:.3g}" in lines[row.id]

    def test_ids_from_outside(self, capsys, lnn_checkpoint):
        """Their checkpoints need not have been measured, nor be there any more."""
        files = {"LNN": lnn_checkpoint, "Lost": "lost.safetensors"}
        made = register_system("stranger.systems:CartPole", "Listed", checkpoints=files)
        try:
            assert main(["list"]) == 0
        finally:
            for one in made:
                del registration._outside[one], gymnasium.registry[one]
        printed = capsys.readouterr().out.splitlines()
        lines = {line.split()[0]: line for line in printed if line}
        exact, learned, lost = (lines[one] for one in made)
        assert exact.split() == ["stranger/Listed-v0", "exact"]
        digest = checkpoints.load(lnn_checkpoint).sha256[:10]
        assert learned.split() == ["stranger/ListedLNN-v0", "—", "—", "—", digest]
        assert "no checkpoint 'lost.safetensors'" in lost


class TestRollout:
    def test_exact_id(self, tmp_path, capsys):
        out = tmp_path / "deep" / "pictures"
        arguments = ["rollout", "DoublePendulum-v0", "--steps", "6", "--seed", "4"]
        assert main([*arguments, "--out", str(out)]) == 0
        printed = capsys.readouterr().out.splitlines()
        header, row, picture = printed
        assert header.split()[:2] == ["id", "return"]
        name, total, drift, percent, *_, steps = row.split()
        assert name == "DoublePendulum-v0"
        assert 0 <= float(total) <= 6
        assert abs(float(drift)) < 1e-6
        assert percent == "%"
        assert steps == "6"
        path = out / "DoublePendulum-v0-seed4.png"
        assert str(path) in picture
        assert path.read_bytes().startswith(PNG)
        assert [p.name for p in out.iterdir()] == [path.name]

    @pytest.mark.parametrize("env_id", SOME_LEARNED)
    def test_learned_id_beside_its_true_twin(self, env_id, tmp_path, capsys):
        arguments = ["rollout", env_id, "--steps", "6", "--out", str(tmp_path)]
        assert main(arguments) == 0
        _, learned, exact, parting, _ = capsys.readouterr().out.splitlines()
        assert learned.startswith(f"{env_id} ")
        assert exact.startswith(f"{find(env_id).system}-v0 ")
        assert parting.startswith("they part ")
        assert (tmp_path / f"{env_id}-seed0.png").read_bytes().startswith(PNG)

    def test_bad_input(self, refused, tmp_path):
        refused(["rollout", "DoublePendulumXYZ-v0"], "unknown id 'DoublePendulumXYZ-v0'", *IDS)
        refused(["rollout", "CartPole-v1"], "unknown id 'CartPole-v1'", *IDS)
        refused(
            ["rollout", IDS[0], "--steps", "0"], "steps = 0: expected a whole number of at least 1"
        )
        option = ["rollout", IDS[0], "--system-option"]
        refused([*option, "actuated=wrist"], "actuated = 'wrist'", "shoulder")
        refused([*option, "torque=4"], "torque", "torque_max")
        assert list(tmp_path.iterdir()) == []

    def test_negative_seed(self, refused):
        refused(["rollout", IDS[0], "--steps", "1", "--seed", "-1"], "seed", "-1")

    def test_output_that_cannot_be_written(self, refused, tmp_path):
        (tmp_path / "file").write_text("in the way")
        arguments = ["rollout", "DoublePendulum-v0", "--steps", "1", "--out"]
        refused([*arguments, str(tmp_path / "file")], "cannot write")
        assert (tmp_path / "file").read_text() == "in the way"

    def test_not_a_number(self, usage_error):
        usage_error(["rollout", IDS[0], "--steps", "many"], "--steps", "many")


class TestEvaluate:
    def test_bad_input(self, refused, tmp_path):
        refused(["evaluate", "DoublePendulumXYZ-v0"], "unknown id 'DoublePendulumXYZ-v0'", *IDS)
        refused(
            ["evaluate", IDS[0], "--states", "0"],
            "states = 0: expected a whole number of at least 1",
        )
        mine = str(tmp_path / "mine.safetensors")
        refused(["evaluate", IDS[0], "--checkpoint", mine], f"no checkpoint '{mine}'")
        assert list(tmp_path.iterdir()) == []

    def test_seed_out_of_range(self, refused):
        arguments = ["evaluate", "RelativisticParticle-v0", "--states", "1", "--seed"]
        refused([*arguments, str(2**70)], "seed", str(2**70))


# A model of a few weights, so that what takes time is compiling, once for all of these tests.
TINY = ["train", "DoublePendulum", "Baseline", "--optimiser", "adam", "--batch", "2"]
TINY += ["--model-option", "width=2", "--model-option", "depth=1", "--steps", "1000"]


@pytest.fixture
def interrupted(monkeypatch, request):
    """Ctrl-C, or another signal, as soon as the first progress is shown, which is half-way."""

    def stop(self, *_):
        signal.raise_signal(getattr(request, "param", signal.SIGINT))

    # A shell's background jobs ignore Ctrl-C, and so do the tests that they run.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with monkeypatch.context() as patch:
        patch.setattr("tqdm.tqdm.set_postfix_str", stop)
        yield patch
    signal.signal(signal.SIGINT, before)


def test_a_library_that_makes_an_interruption_of_sigterm(monkeypatch, capsys):
    """As Ray does, which drops what a handler raised."""

    def listed(options):
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("gym_lagrangian.cli.listing._list", listed)
    assert main(["list"]) == 143
    assert capsys.readouterr().err == "gym-lagrangian: terminated\n"


class TestTrain:
    def test_writes_a_checkpoint_and_refuses_to_replace_it(self, tmp_path, capsys, refused):
        out = tmp_path / "models" / "tiny.safetensors"
        assert main([*TINY, "--out", str(out)]) == 0
        printed = capsys.readouterr().out
        found = checkpoints.load(out)
        assert f"written: {out} (SHA-256 {found.sha256[:16]})" in printed
        assert json.loads(printed[printed.index("{") :]) == cheap_measure(None, None)
        assert found.card.system == "DoublePendulum"
        assert found.card.model == "Baseline"
        assert found.card.model_config["width"] == 2
        training = found.card.training
        assert (training["steps"], training["batch"], training["optimiser"]) == (1000, 2, "adam")
        assert [path.name for path in out.parent.iterdir()] == [out.name]

        before = out.read_bytes()
        refused([*TINY, "--out", str(out)], f"'{out}' exists", "resume", "overwrite")
        assert out.read_bytes() == before
        assert main([*TINY, "--out", str(out), "--overwrite"]) == 0
        assert out.read_bytes() == before

    @pytest.mark.parametrize(
        ("interrupted", "status", "why"),
        [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
        indirect=["interrupted"],
    )
    def test_interrupted_saves_and_resume_gives_what_an_uninterrupted_run_gives(
        self, tmp_path, capsys, refused, interrupted, status, why
    ):
        whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
        unfinished = tmp_path / "parts.resume.safetensors"
        assert main([*TINY, "--out", str(parts)]) == status
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        said = capsys.readouterr().err
        assert f"saved {unfinished}; go on with --resume" in said
        assert said.endswith(f"gym-lagrangian: {why}\n")
        assert checkpoints.load(unfinished).card.metrics == {"step": 500}
        assert not parts.exists()

        refused([*TINY, "--out", str(parts)], f"'{unfinished}' exists", "resume")
        other = [*TINY, "--seed", "7", "--out", str(parts), "--resume"]
        refused(other, "started with another configuration", "seed")

        interrupted.undo()
        assert main([*TINY, "--out", str(parts), "--resume"]) == 0
        assert not unfinished.exists()
        assert main([*TINY, "--out", str(whole)]) == 0
        assert checkpoints.load(parts).sha256 == checkpoints.load(whole).sha256

    def test_ctrl_c_while_measuring_loses_nothing(self, tmp_path, capsys, monkeypatch):
        def stop(model, card):
            raise KeyboardInterrupt

        out = tmp_path / "tiny.safetensors"
        with monkeypatch.context() as patch:
            patch.setattr("gym_lagrangian.learning.loop.measure", stop)
            assert main([*TINY, "--out", str(out)]) == 130
        assert "go on with --resume" in capsys.readouterr().err
        assert main([*TINY, "--out", str(out), "--resume"]) == 0
        assert out.exists()

    def test_default_output_and_names(self, usage_error, refused):
        refused(["train", "NoSuchPendulum", "LNN"], "NoSuchPendulum", "DoublePendulum")
        refused(["train", "DoublePendulum", "GPT"], "GPT", "LNN", "Baseline", "module:Class")
        usage_error(["train", "DoublePendulum", "LNN", "--optimiser", "sgd"], "muon", "adam")
        usage_error([*TINY, "--model-option", "width"], "'width': expected NAME=VALUE")
        usage_error([*TINY, "--conditioned-on", "m1=heavy"], "'m1=heavy': expected NAME, or NAME=")

    def test_what_is_learned_from_and_how_errors_count(self, tmp_path):
        out = tmp_path / "tiny.safetensors"
        given = ["--fixed-states", "20", "--error", "relative", "--out", str(out)]
        assert main([*TINY, *given]) == 0
        card = checkpoints.load(out).card
        assert (card.training["fixed_states"], card.training["error"]) == (20, "relative")
        assert "20 fixed states" in card.data

    def test_ranges_of_parameters(self, tmp_path):
        out = tmp_path / "tiny.safetensors"
        ranges = ["--conditioned-on", "m1=0.8:1.2", "l1,g=2:12", "--out", str(out)]
        assert main([*TINY, *ranges]) == 0
        found = checkpoints.load(out).card
        assert found.conditioned_on == ("m1", "l1", "g")
        assert found.ranges == {"m1": (0.8, 1.2), "l1": (0.5, 1.5), "g": (2.0, 12.0)}

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--resume"], ["nothing to resume", "DoublePendulumBaseline.resume.safetensors"]),
            (["--steps", "0"], ["steps = 0: expected a whole number"]),
            (["--batch", "-1"], ["batch = -1: expected a whole number"]),
            (["--seed", "-1"], ["seed = -1"]),
            (["--learning-rate", "-0.1"], ["learning_rate = -0.1: expected a positive number"]),
            (["--learning-rate", "nan"], ["learning_rate = nan: expected a positive number"]),
            (["--clip", "0"], ["clip = 0.0: expected a positive number"]),
            (["--data", "none.npz"], ["'none.npz'", "npz"]),
            (["--model-option", "width=0"], ["width = 0: expected a whole number"]),
            (["--model-option", "activation=relu"], ["activation = 'relu'", "softplus"]),
            (["--model-option", "widht=4"], ["widht", "width"]),
            (["--system-option", "actuated=wrist"], ["DoublePendulum takes no", "'actuated'"]),
            (["--conditioned-on", "m1,m3"], ["m3"]),
            (["--conditioned-on", "m1=1.5:0.5"], ["the range is reversed; write (0.5, 1.5)"]),
        ],
        ids=lambda value: " ".join(value),
    )
    def test_bad_input(self, refused, tmp_path, arguments, words):
        refused([*TINY, *arguments], *words)
        assert list(tmp_path.iterdir()) == []

    def test_a_name_that_cannot_be_saved_is_refused_before_training(
        self, refused, tmp_path, interrupted
    ):
        refused([*TINY, "--out", str(tmp_path / "model.npz")], "model.npz", ".safetensors")


class TestCollectAndFit:
    def test_from_an_id_to_a_checkpoint(self, tmp_path, capsys, refused):
        data, out = tmp_path / "data.npz", tmp_path / "tiny.safetensors"
        collect = ["collect", "DoublePendulum-v0", "--transitions", "40", "--out", str(data)]
        assert main([*collect, "--low=-2,-2,-1,-1", "--high", "2,2,1,1", "--episode-steps=8"]) == 0
        assert f"written: {data}, 40 recorded transitions of 0.05 s" in capsys.readouterr().out

        fit = ["fit", str(data), "Baseline", "--out", str(out), "--steps", "3", "--batch", "2"]
        tried = ["--starts", "2", "--trial", "1", "--weight-decay", "0.1"]
        assert main([*fit, *tried, "--model-option", "width=2", "--model-option", "depth=1"]) == 0
        assert f"written: {out}" in capsys.readouterr().out
        found = checkpoints.load(out)
        measured = {*cheap_measure(None, None), "held_out_error", "constant_velocity_error"}
        assert found.card.metrics.keys() == measured
        assert "40 recorded transitions" in found.card.data
        given = ("steps", "batch", "starts", "trial", "weight_decay")
        assert tuple(found.card.training[name] for name in given) == (3, 2, 2, 1, 0.1)

        refused(fit, "exists", "overwrite")
        refused([*fit, "--system", "RelativisticParticle"], "of DoublePendulum, not of Relativ")
        refused([*fit, "--overwrite", "--horizon", "30"], "8 in the longest episode")
        refused([*fit, "--overwrite", "--friction", "viscous"], "Baseline has none of its own")

    def test_bad_input(self, refused, tmp_path):
        collect = ["collect", "DoublePendulum-v0", "--transitions"]
        out = ["--out", str(tmp_path / "data.npz")]
        refused([*collect, "0", *out], "transitions = 0")
        refused([*collect, "5", *out, "--noise=-1"], "noise")
        refused([*collect, "5", "--out", "data.csv"], "data.csv", ".npz")
        refused(["collect", "Nowhere-v1", "--transitions", "5", *out], "Nowhere-v1", IDS[0])
        refused(["collect", "Blackjack-v1", "--transitions", "5", *out], "Blackjack", "no adapter")
        refused(["fit", "none.npz", "LNN", "--out", "m.safetensors"], "none.npz")
        refused(["fit", "none.npz", "GPT", "--out", "m.safetensors"], "GPT", "LNN")
        assert list(tmp_path.iterdir()) == []


OWN = '''
import jax.numpy as jnp

from gym_lagrangian.models.baseline import Baseline
from gym_lagrangian.systems.base import System
from gym_lagrangian.systems.task import Task
from gym_lagrangian.version import __version__


class Spin(Task):
    """Turn fast."""

    torque: float = 1.0

    def reward(self, q, qd, tau, m):
        return qd[0] ** 2


class Pendulum(System):
    coordinates = ("theta",)
    angular = True
    parameters = {"l": 1.0, "g": 9.8}

    def lagrangian(self, q, qd, m):
        p = self.named(m)
        return 0.5 * p.l**2 * qd[0] ** 2 + p.g * p.l * jnp.cos(q[0])


class Mine(Baseline):
    """A model of one's own."""


def slow(q, qd, tau, m):
    return -jnp.abs(qd[0])
'''
SYSTEM = "own_pendulum:Pendulum"
SMALL = ["--model-option", "width=2", "--model-option", "depth=1", "--steps", "3", "--batch", "2"]


@pytest.fixture
def own(tmp_path):
    """A module beside the user, in the working directory."""
    (tmp_path / "own_pendulum.py").write_text(OWN)
    yield
    sys.modules.pop("own_pendulum", None)


@pytest.mark.usefixtures("own")
class TestOwnSystem:
    def test_is_found_in_the_working_directory_alone(self, refused):
        before = list(sys.path)
        assert main(["rollout", SYSTEM, "--steps", "2"]) == 0
        assert sys.path == before
        refused(["rollout", "own_pendulum:Nothing"], "own_pendulum", "Pendulum")
        refused(["rollout", "nowhere:Pendulum"], "'nowhere' cannot be imported")

    def test_rollout(self, tmp_path, capsys):
        arguments = ["rollout", SYSTEM, "--steps", "4", "--system-option", "g=[1,20]"]
        assert main([*arguments, "--env-option", "dt=0.02", "--env-option=integrator=rk4"]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert printed[1].split()[:2] == ["Pendulum", "0.000"]
        assert len(printed) == 3
        assert (tmp_path / "rollouts" / "Pendulum-seed0.png").read_bytes().startswith(PNG)

    def test_task_and_reward(self, capsys):
        def total(*arguments: str) -> float:
            command = ["rollout", SYSTEM, "--steps", "4", "--start=0,1", "--actions", "zero"]
            assert main([*command, *arguments]) == 0
            return float(capsys.readouterr().out.splitlines()[1].split()[1])

        task = ["--task", "own_pendulum:Spin", "--system-option", "torque=2"]
        assert total() == 0
        assert total(*task) > 1
        assert total(*task, "--reward", "own_pendulum:slow") < -1

    def test_train_collect_fit_and_look(self, tmp_path, capsys, refused):
        train = ["train", SYSTEM, "own_pendulum:Mine", "--conditioned-on", "g=3:12", *SMALL]
        assert main(train) == 0
        found = checkpoints.load(tmp_path / "PendulumMine.safetensors")
        assert (found.card.model, found.card.ranges) == ("own_pendulum:Mine", {"g": (3.0, 12.0)})

        learned = ["--checkpoint", "PendulumMine.safetensors"]
        capsys.readouterr()
        assert main(["rollout", *learned, "--steps", "3", "--system-option", "g=5"]) == 0
        _, model, exact, parting, picture = capsys.readouterr().out.splitlines()
        assert model.startswith("PendulumMine ")
        assert exact.startswith("Pendulum ")
        assert parting.startswith("they part")
        assert "PendulumMine-seed0.png" in picture
        compare = ["rollout", SYSTEM, "--compare", "PendulumMine.safetensors", "--steps", "1"]
        assert main([*compare, "--size", "100", "--video", "both.gif"]) == 0
        assert main(["plot", SYSTEM, *learned, "--steps", "2"]) == 0
        assert (tmp_path / "plots" / "PendulumMine-error-growth.png").exists()

        collect = ["collect", SYSTEM, "--transitions=30", "--out=data.npz", "--episode-steps=9"]
        collect += [*learned, "--env-option", "dt=0.02", "--system-option", "g=[4,6]"]
        assert main(collect) == 0
        data = Transitions.load("data.npz")
        assert data.dt == 0.02
        assert 4 <= data.m[:, 1].min() < data.m[:, 1].max() <= 6
        fit = ["fit", "data.npz", "own_pendulum:Mine", "--system", SYSTEM, *SMALL]
        assert main([*fit, "--conditioned-on", "g,l", "--out", "fit.safetensors"]) == 0
        assert checkpoints.load("fit.safetensors").card.conditioned_on == ("g", "l")
        refused([*fit, "--system", "DoublePendulum", "--out", "x.safetensors"], "DoublePendulum")

    def test_bad_input(self, refused, tmp_path):
        refused(["rollout"], "give an ID, or --checkpoint FILE")
        refused(["play", "--system-option", "g=1"], "give an ID, or --checkpoint FILE")
        refused(["rollout", SYSTEM, "--system-option", "seed=1"], "'seed' is an argument of this")
        refused(["rollout", SYSTEM, "--env-option", "mass=1"], "'mass'", "l, g", "dt")
        refused(["plot", SYSTEM, "--task", "own_pendulum:Pendulum"], "task", "Pendulum")
        refused(["evaluate", SYSTEM, "--reward", "own_pendulum:none"], "own_pendulum", "slow")
        refused(["train", SYSTEM, "own_pendulum:Spin"], "own_pendulum:Spin", "Model")
        assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py"] in (
            [],
            ["__pycache__"],
        )
