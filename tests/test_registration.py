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
from gym_lagrangian import registration, systems
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
        "module",
        ["", ".registration", ".references", ".errors", ".systems.scene", ".cli", ".rendering"],
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
        assert sorted(ours) == sorted([*ids, registration.GENERIC_ID])
        steps = {row.system: row.max_episode_steps for row in environments()}
        assert steps.items() >= {"DoublePendulum": 500, "RelativisticParticle": 500}.items()

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
            env = gymnasium.make("{PACKAGE}:DoublePendulum-v0")
            observation, _ = env.reset(seed=0)
            print(json.dumps([env.spec.id, list(observation.shape)]))
            """
        )
        assert found == ["DoublePendulum-v0", [6]]


# From the bottom to the top; a module imports from its own layer and those below. A module has the
# layer of the longest name here that is its own or that of a package around it. The tables in
# `registration` are strings, which anyone may read; the package itself is the façade on top.
LAYERS = (
    ("errors", "version"),
    ("checks", "files", "forks", "programs", "references"),
    ("registration",),
    ("systems.scene", "systems.preset"),
    ("physics",),
    ("systems",),
    ("adapters",),
    ("models",),
    ("rendering",),
    ("checkpoints",),
    ("envs",),
    ("evaluation",),
    ("learning",),
    ("planning",),
    ("acting",),
    ("viewing",),
    ("reproduce",),
    ("sweeps",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# What a short name stands for: modules that hand on another's names, for users alone.
FACADES = {
    "checkpoint": "checkpoints",
    "functional": "envs.functional",
    "autoreset": "envs.autoreset",
    "plots": "viewing.plots",
    "sb3": "envs.sb3",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
INNER = [name for name in MODULES if name.removeprefix(f"{PACKAGE}.") not in (PACKAGE, *FACADES)]


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


def ours(module: str) -> set[str]:
    """The modules of the package that one of them imports."""
    return {name for name in imports(MODULES[module]) if name.split(".")[0] == PACKAGE}


def within(package: str) -> list[str]:
    """The modules of a package inside the package."""
    whole = f"{PACKAGE}.{package}"
    return [name for name in MODULES if name == whole or name.startswith(f"{whole}.")]


def layer(module: str) -> int:
    name = module.removeprefix(f"{PACKAGE}.")
    while name not in LEVEL and "." in name:
        name = name.rpartition(".")[0]
    assert name in LEVEL, f"{module} has no layer: add it to LAYERS where it belongs"
    return LEVEL[name]


class TestLayers:
    def test_reading_imports(self):
        """The reader sees what it is to judge: `from package import module`, lazy imports."""
        assert f"{PACKAGE}.checkpoints" in ours(f"{PACKAGE}.learning.loop")
        assert f"{PACKAGE}.evaluation" in ours(f"{PACKAGE}.cli.measuring")
        assert len(MODULES) > 75
        assert all(within(name) for names in LAYERS for name in names)

    @pytest.mark.parametrize("module", INNER)
    def test_imports_run_downward(self, module):
        for imported in ours(module):
            assert imported != PACKAGE, f"{module} imports from the façade"
            assert imported.removeprefix(f"{PACKAGE}.") not in FACADES, f"{module}: {imported}"
            assert layer(imported) <= layer(module), f"{module} imports {imported} above it"

    @pytest.mark.parametrize("facade", FACADES)
    def test_facades_hand_on_what_is_behind_them(self, facade):
        """Every public name of the module behind, the same objects, and nothing of their own."""
        if facade == "sb3":
            pytest.importorskip("stable_baselines3")
        here, behind = (
            importlib.import_module(f"{PACKAGE}.{name}") for name in (facade, FACADES[facade])
        )
        assert ours(f"{PACKAGE}.{facade}") == {f"{PACKAGE}.{FACADES[facade]}"}
        assert len(MODULES[f"{PACKAGE}.{facade}"].read_text().splitlines()) <= 5
        public = [name for name in vars(behind) if not name.startswith("_")]
        for name in getattr(behind, "__all__", public):
            assert getattr(here, name) is getattr(behind, name)

    def test_registration_imports_no_more_than_what_is_light(self):
        allowed = {f"{PACKAGE}.{name}" for name in ("errors", "checks", "files", "references")}
        assert ours(f"{PACKAGE}.registration") <= allowed

    def test_models_know_coordinates_and_no_system(self):
        allowed = {f"{PACKAGE}.systems.{name}" for name in ("coordinates", "sample", "preset")}
        for module in within("models"):
            met = ours(module) & set(within("systems"))
            assert met <= allowed, f"{module} imports {met - allowed}"
        for module in within("systems"):
            assert not ours(module) & set(within("models"))

    def test_rendering_knows_no_physics(self):
        drawing = within("rendering")
        allowed = {*drawing, f"{PACKAGE}.errors", f"{PACKAGE}.systems.scene"}
        for module in drawing:
            assert ours(module) <= allowed

    def test_no_cycles(self):
        graph = {name: ours(name) - {name} for name in INNER}
        TopologicalSorter(graph).prepare()

    @pytest.mark.parametrize(
        "module",
        ["", ".registration", ".references", ".errors", ".systems.scene", ".rendering", ".cli"],
    )
    def test_no_jax_at_module_level(self, module):
        top = imports(MODULES[f"{PACKAGE}{module}"], top_level_only=True)
        assert not {name.split(".")[0] for name in top} & {"jax", "jaxlib", "equinox", "optax"}


def test_every_registered_system_is_a_name_of_its_package():
    assert set(systems.__all__) == set(registration.SYSTEMS)
