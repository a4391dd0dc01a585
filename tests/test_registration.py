"""Importing and registering, and the layers between which imports run downward only."""

import ast
import importlib
import json
import subprocess
import sys
import textwrap
import warnings
from graphlib import TopologicalSorter
from pathlib import Path

import gymnasium
import pytest

import gym_lagrangian
from gym_lagrangian import registration
from gym_lagrangian.registration import environments

PACKAGE = "gym_lagrangian"
ROOT = Path(gym_lagrangian.__file__).parent


def fresh_process(code: str):
    """What a new interpreter prints as JSON."""
    result = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class TestImport:
    @pytest.mark.parametrize(
        "module", ["", ".registration", ".errors", ".geometry", ".cli", ".rendering"]
    )
    def test_loads_no_jax(self, module):
        loaded = fresh_process(
            f"""
            import json, sys
            import {PACKAGE}{module}
            heavy = ("jax", "equinox", "optax", "safetensors", "matplotlib", "pygame")
            print(json.dumps([name for name in heavy if name in sys.modules]))
            """
        )
        assert loaded == (["pygame"] if module == ".rendering" else [])

    def test_what_the_package_offers_is_imported_on_use(self):
        from gym_lagrangian.envs import LagrangianEnv, LearnedDynamicsEnv
        from gym_lagrangian.learning.config import TrainingConfig
        from gym_lagrangian.learning.train import train

        assert gym_lagrangian.LagrangianEnv is LagrangianEnv
        assert gym_lagrangian.LearnedDynamicsEnv is LearnedDynamicsEnv
        assert gym_lagrangian.TrainingConfig is TrainingConfig
        assert gym_lagrangian.train is train
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            _ = gym_lagrangian.nonsense

    @pytest.mark.parametrize("kind", ["systems", "models"])
    def test_systems_and_models_by_name(self, kind):
        module = importlib.import_module(f"{PACKAGE}.{kind}")
        table = getattr(registration, kind.upper())
        assert table
        for name in table:
            assert getattr(module, name).__name__ == name
        with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
            _ = module.Nonsense


class TestRegistration:
    def test_ids(self):
        ids = [row.id for row in environments()]
        assert len(set(ids)) == len(ids)
        assert set(ids) >= {
            "DoublePendulum-v0",
            "DoublePendulumLNN-v0",
            "DoublePendulumBaseline-v0",
            "RelativisticParticle-v0",
        }
        ours = [key for key, spec in gymnasium.registry.items() if PACKAGE in str(spec.entry_point)]
        assert sorted(ours) == sorted(ids)

    @pytest.mark.parametrize("row", list(environments()), ids=lambda row: row.id)
    def test_specs_are_plain_data(self, row):
        spec = gymnasium.spec(row.id)
        assert isinstance(spec.entry_point, str)
        assert spec.vector_entry_point is None or isinstance(spec.vector_entry_point, str)
        assert json.loads(json.dumps(spec.kwargs)) == spec.kwargs
        assert spec.kwargs["system"] == row.system
        assert ("checkpoint" in spec.kwargs) == (row.model is not None)
        assert not spec.additional_wrappers
        assert not spec.nondeterministic

    def test_again_changes_nothing_and_warns_of_nothing(self):
        before = {row.id: gymnasium.registry[row.id] for row in environments()}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            registration.register()
            importlib.reload(gym_lagrangian)
        for env_id, spec in before.items():
            assert gymnasium.registry[env_id] is spec

    def test_module_colon_id_needs_no_import(self):
        found = fresh_process(
            f"""
            import gymnasium, json
            env = gymnasium.make("{PACKAGE}:DoublePendulum-v0", integrator="rk4", substeps=1)
            observation, _ = env.reset(seed=0)
            print(json.dumps([env.spec.id, list(observation.shape)]))
            """
        )
        assert found == ["DoublePendulum-v0", [6]]


# From the bottom to the top; a module imports from its own layer and those below. The tables in
# `registration` are strings, which anyone may read; the package itself is the façade on top.
LAYERS = (
    ("errors", "geometry", "linear", "embedding", "preset", "sample"),
    ("checks", "files", "integrators"),
    ("mechanics", "dynamics"),
    ("systems", "models"),
    ("rendering",),
    ("checkpoint",),
    ("functional",),
    ("autoreset",),
    ("data", "evaluation", "training", "transitions", "windows", "fitting"),
    ("envs",),
    ("collection", "planning"),
    ("rollout", "plots", "video", "play", "sb3"),
    ("reproduce",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
EVERYONES = f"{PACKAGE}.registration"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
INNER = [name for name in MODULES if name != PACKAGE]


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Absolute names of the modules that a file imports, inside functions too."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return found


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.split(".")[0] == PACKAGE}


def layer(module: str) -> int:
    name = module.split(".")[1]
    assert name in LEVEL, f"{module} has no layer: add it to LAYERS where it belongs"
    return LEVEL[name]


class TestLayers:
    def test_reading_imports(self):
        """The reader sees what it is to judge: `from package import module`, lazy imports."""
        assert f"{PACKAGE}.checkpoint" in ours(MODULES[f"{PACKAGE}.training"])
        assert f"{PACKAGE}.evaluation" in ours(MODULES[f"{PACKAGE}.cli"])
        assert len(MODULES) > 25

    @pytest.mark.parametrize("module", [name for name in INNER if name != EVERYONES])
    def test_imports_run_downward(self, module):
        for imported in ours(MODULES[module]) - {EVERYONES}:
            assert imported != PACKAGE, f"{module} imports from the façade"
            assert layer(imported) <= layer(module), f"{module} imports {imported} above it"

    def test_registration_imports_errors_only(self):
        assert ours(MODULES[EVERYONES]) <= {f"{PACKAGE}.errors"}

    def test_systems_and_models_never_meet(self):
        for kind, other in (("systems", "models"), ("models", "systems")):
            for module in (name for name in INNER if name.startswith(f"{PACKAGE}.{kind}")):
                met = [n for n in ours(MODULES[module]) if n.startswith(f"{PACKAGE}.{other}")]
                assert not met, f"{module} imports {met}"

    def test_rendering_knows_no_physics(self):
        drawing = {name for name in MODULES if name.startswith(f"{PACKAGE}.rendering")}
        allowed = drawing | {f"{PACKAGE}.errors", f"{PACKAGE}.geometry"}
        for module in drawing:
            assert ours(MODULES[module]) <= allowed

    def test_no_cycles(self):
        graph = {name: ours(MODULES[name]) - {name} for name in INNER}
        TopologicalSorter(graph).prepare()

    @pytest.mark.parametrize(
        "module", ["", ".registration", ".errors", ".geometry", ".rendering", ".cli"]
    )
    def test_no_jax_at_module_level(self, module):
        top = imports(MODULES[f"{PACKAGE}{module}"], top_level_only=True)
        assert not {name.split(".")[0] for name in top} & {"jax", "jaxlib", "equinox", "optax"}
