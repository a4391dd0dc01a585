"""What several test files share: small stand-ins for the shipped checkpoints."""

import os
from pathlib import Path
from unittest import mock

import jaxlib

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

# Most of the tests' time is compilation. It takes two fifths of that where programs are not
# optimised, each in one piece, which is enough for their small sizes. XLA stops at flags that it
# does not know: the others go to releases alone that were seen to know them.
FLAGS = ["--xla_backend_optimization_level=0"]
if tuple(int(part) for part in jaxlib.__version__.split(".")[:2]) <= (0, 10):
    FLAGS += [
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",
    ]
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))

# Compiled programs are kept: for the workers of one run, the commands and examples that tests
# start, and the next run (pytest --cache-clear forgets them).
COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "d" / "compiled"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import gymnasium
import jax
import jaxtyping
import pytest

# Shapes are checked at every call where arrays are what is worked on. What users hand in comes to
# the package's own checks first. Before anything of the package is imported.
jaxtyping.install_import_hook(
    [
        "gym_lagrangian.physics",
        "gym_lagrangian.models",
        "gym_lagrangian.systems.task",
        "gym_lagrangian.systems.sample",
    ],
    "beartype.beartype",
)

from physics_helpers import cheap_measure

from gym_lagrangian import checkpoints, evaluation, registration
from gym_lagrangian.learning import loop
from gym_lagrangian.programs import make_room
from gym_lagrangian.registration import load_system


@pytest.fixture(scope="module", autouse=True)
def registered_here_alone():
    """Ids that a file of tests registers are gone for the next."""
    outside, registry = dict(registration._outside), dict(gymnasium.registry)
    yield
    for table, before in ((registration._outside, outside), (gymnasium.registry, registry)):
        table.clear()
        table.update(before)


@pytest.fixture(scope="module", autouse=True)
def room_for_programs():
    """Programs compiled for one file serve the next, until they take some three gigabytes."""
    yield
    make_room(full=0.2)


@pytest.fixture(scope="session", autouse=True)
def measured_cheaply():
    """Trainings end without a hundred seconds of measurements, which have tests of their own."""
    with mock.patch.object(loop, "measure", cheap_measure):
        yield


@pytest.fixture
def measured():
    """Trainings end with their measurements, as users see them."""
    with mock.patch.object(loop, "measure", evaluation.measure):
        yield


@pytest.fixture
def types_unchecked():
    """As users run it: what is of a wrong type gets as far as the package's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory):
    """Write the checkpoint of an untrained model and return its path.

    The weights are random and small, so that an LNN's mass matrix stays close to that of its
    quadratic start: regular, so that its own energy is conserved.
    """
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(system: str, model: str, *, seed: int = 0, **config) -> str:
        built = load_system(system)()
        config = {"width": 8, "depth": 2} | config
        if model == "LNN":
            config = {"quadratic_start": 1.0} | config
        key = jax.random.key(seed)
        fresh = checkpoints.fresh_model(model, built, built.varying, key=key, **config)
        small = jax.tree.map(lambda leaf: 0.2 * leaf, fresh)
        card = checkpoints.Card.of(
            built,
            parameters=built.fixed_parameters(built.varying),
            conditioned_on=built.varying,
            model=model,
            model_config=fresh.config,
        )
        path = folder / f"{system}{model}-{len(list(folder.iterdir()))}.safetensors"
        checkpoints.save(path, small, card)
        return str(path)

    return make


@pytest.fixture(scope="session")
def lnn_checkpoint(make_checkpoint) -> str:
    """Path of a small LNN of the default double pendulum."""
    return make_checkpoint("DoublePendulum", "LNN")


@pytest.fixture(scope="session")
def baseline_checkpoint(make_checkpoint) -> str:
    """Path of a small Baseline of the default double pendulum."""
    return make_checkpoint("DoublePendulum", "Baseline")
