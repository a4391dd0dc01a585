"""The comparisons: which cases are timed beside each other, and which is the reference.

`per_unit` is what one unit costs, for the columns that count evaluations of q̈ and the share of
the machine's matmul peak.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any

# q̈ evaluations a step: stages × substeps; Acrobot takes one RK4 step.
TRUTH, LEARNED, ACROBOT = 12 * 6, 12 * 2, 4


@dataclass(frozen=True)
class Entry:
    """One row of a table.

    Attributes:
        name: what the row is called.
        case: arguments of `worker.py`.
        peer: whether it runs in the peers' environment.
        evaluations: of q̈ in one unit.
        products: multiply–adds in one unit.
    """

    name: str
    case: dict[str, Any]
    peer: bool = False
    evaluations: int | None = None
    products: int | None = None


@dataclass(frozen=True)
class Group:
    """Rows that are timed in turns; ratios are to the row named `reference`."""

    title: str
    reference: str
    entries: tuple[Entry, ...] = field(default_factory=tuple)


def groups(*, quick: bool, peers: bool) -> list[Group]:
    """What to measure: `quick` shrinks every size, without `peers` only our own rows are left."""
    found = [
        *_equations(quick),
        _scalar(),
        _batch(quick),
        *_twin(quick),
        *_growth(quick),
        *_links(quick),
        _planning(quick),
        *_ensembles(quick),
    ]
    if peers:
        return found
    kept = [Group(g.title, g.reference, tuple(e for e in g.entries if not e.peer)) for g in found]
    return [
        g
        if any(e.name == g.reference for e in g.entries)
        else Group(g.title, g.entries[0].name, g.entries)
        for g in kept
    ]


def multiply_adds(width: int, batch: int, *, train: bool) -> int:
    """Useful ones of q̈ for a batch: the network's products for the value, three tangents and one
    adjoint; in training every product again for each of its two factors.
    """
    products = batch * 5 * (6 * width + 2 * width**2 + width)
    return 3 * products if train else products


def _equations(quick: bool) -> list[Group]:
    sizes = [(8, 4)] if quick else [(500, 32), (500, 512), (128, 512), (128, 4096)]
    found = []
    for width, batch in sizes:
        entries = [
            Entry("matmul 2048³", {"case": "matmul", "size": 64 if quick else 2048}, products=1)
        ]
        for train in (False, True):
            what = "training step" if train else "forward"
            for formula, name in (("appendix_a", "Appendix A"), ("ours", "ours")):
                case = {"formula": formula, "width": width, "batch": batch, "train": train}
                counted = multiply_adds(width, batch, train=train) if formula == "ours" else None
                entries.append(
                    Entry(f"{name}, {what}", {"case": "acceleration", **case}, products=counted)
                )
        title = f"q̈ of a batch: {width} wide × batch {batch}"
        found.append(Group(title, "Appendix A, training step", tuple(entries)))
    return found


def _scalar() -> Group:
    ids = [
        ("Acrobot-v1", False),
        ("DoublePendulum-v0", False),
        ("DoublePendulumLNN-v0", False),
        ("Pendulum-v1", False),
        ("InvertedDoublePendulum-v5", True),
    ]
    module = {"DoublePendulum-v0": "gym_lagrangian:", "DoublePendulumLNN-v0": "gym_lagrangian:"}
    entries = [
        Entry(name, {"case": "scalar", "env_id": module.get(name, "") + name}, peer=peer)
        for name, peer in ids
    ]
    return Group("One environment: steps", "Acrobot-v1", tuple(entries))


def _batch(quick: bool) -> Group:
    envs = 8 if quick else 4096
    true = {"system": "DoublePendulum"}
    learned = {**true, "checkpoint": "DoublePendulumLNN"}
    scan, vector = (
        {"case": "lagrangian_scan", "envs": envs},
        {"case": "lagrangian_vector", "envs": envs},
    )
    sync = {"case": "gymnasium_vector", "env_id": "Acrobot-v1", "envs": envs}
    entries = (
        Entry("DoublePendulum, scan", {**scan, **true}, evaluations=TRUTH),
        Entry("DoublePendulumLNN, scan", {**scan, **learned}, evaluations=LEARNED),
        Entry(
            "DoublePendulum-v0, make_vec",
            {**vector, "env_id": "DoublePendulum-v0"},
            evaluations=TRUTH,
        ),
        Entry(
            "DoublePendulumLNN-v0, make_vec",
            {**vector, "env_id": "DoublePendulumLNN-v0"},
            evaluations=LEARNED,
        ),
        Entry("SyncVectorEnv of Acrobot", {**sync, "kind": "sync"}, evaluations=ACROBOT),
        # As many processes as this are not started everywhere; 64 show what one of them yields.
        Entry(
            "AsyncVectorEnv of Acrobot, 64 at most",
            {**sync, "kind": "async", "envs": min(envs, 64)},
            evaluations=ACROBOT,
        ),
        Entry(
            "gymnax Acrobot, scan",
            {"case": "gymnax_scan", "env_id": "Acrobot-v1", "envs": envs},
            peer=True,
            evaluations=ACROBOT,
        ),
        Entry(
            "brax inverted_double_pendulum, scan",
            {"case": "brax_scan", "env_id": "inverted_double_pendulum", "envs": envs},
            peer=True,
        ),
    )
    return Group(f"{envs} environments: steps", "gymnax Acrobot, scan", entries)


def _twin(quick: bool) -> list[Group]:
    """Nothing where MuJoCo is not installed."""
    if importlib.util.find_spec("mujoco") is None:
        return []
    env_id, many = "InvertedDoublePendulum-v5", (8,) if quick else (64, 4096)
    vector = {"case": "gymnasium_vector", "env_id": env_id, "envs": many[0]}
    task = "gym_lagrangian.adapters.tasks:InvertedDoublePendulum"
    twin = {"case": "learned_twin", "env_id": env_id, "task": task}
    entries = (
        *(
            Entry(f"{kind}VectorEnv of {many[0]}", {**vector, "kind": kind.lower()})
            for kind in ("Async", "Sync")
        ),
        *(
            Entry(f"learned twin, {n}{', as fitted' * k}", {**twin, "envs": n, "as_fitted": k})
            for k in (False, True)
            for n in many
        ),
    )
    return [Group(f"{env_id} and its learned twin: steps", entries[0].name, entries)]


def _growth(quick: bool) -> list[Group]:
    counts = (1, 4) if quick else (1, 16, 256, 4096, 65_536)
    widths = (4, 8) if quick else (32, 64, 128, 256, 512)
    envs = 4 if quick else 1024
    found = []
    for name, checkpoint, evaluations in (
        ("DoublePendulum", None, TRUTH),
        ("DoublePendulumLNN", "DoublePendulumLNN", LEARNED),
    ):
        case = {"case": "lagrangian_scan", "system": "DoublePendulum", "checkpoint": checkpoint}
        entries = tuple(
            Entry(f"N = {n}", {**case, "envs": n}, evaluations=evaluations) for n in counts
        )
        found.append(Group(f"{name} by number of environments: steps", entries[0].name, entries))
    case = {"case": "lagrangian_scan", "system": "DoublePendulum", "envs": envs}
    entries = tuple(Entry(f"width {w}", {**case, "width": w}, evaluations=LEARNED) for w in widths)
    found.append(Group(f"LNN by width, {envs} environments: steps", entries[0].name, entries))
    return found


def _links(quick: bool) -> list[Group]:
    counts, batch = ((2, 3), 8) if quick else (range(1, 8), 128)
    found = []
    for case, name in (("chain_motion", "q̈"), ("chain_training", "training steps")):
        for model in (None, "LNN", "DeLaN"):
            if model is None and case == "chain_training":
                continue
            rows = tuple(
                Entry(f"n = {n}", {"case": case, "model": model, "links": n, "batch": batch})
                for n in counts
            )
            moved = model or "exact"
            found.append(Group(f"chain of n links, {moved}: {name}", "n = 2", rows))
    return found


def _ensembles(quick: bool) -> list[Group]:
    envs, batch, counts = (8, 8, (1, 2)) if quick else (256, 64, (1, 5))
    found = []
    for model in ("DeLaN", "MLP"):
        sizes = {"ensemble_steps": {"envs": envs}, "ensemble_fit": {"batch": batch}}
        names = {"ensemble_steps": f"{envs} environments", "ensemble_fit": f"fit, batch {batch}"}
        for case, size in sizes.items():
            rows = tuple(
                Entry(f"k = {k}", {"case": case, "model": model, "members": k, **size})
                for k in counts
            )
            found.append(Group(f"ensembles of k, {model}: steps of {names[case]}", "k = 1", rows))
    return found


def _planning(quick: bool) -> Group:
    samples, horizon = (64, 3) if quick else (1024, 25)
    case = {"case": "decision", "samples": samples, "horizon": horizon}
    evaluations = samples * horizon * 4  # RK4
    entries = [Entry("a step of 0.05 s", {"case": "real_time", "dt": 0.05})]
    entries += [
        Entry(env_id, {**case, "env_id": env_id}, evaluations=evaluations)
        for env_id in ("DoublePendulum-v0", "DoublePendulumLNN-v0", "DoublePendulumBaseline-v0")
    ]
    title = f"MPPI, {samples} samples × {horizon} actions: decisions, against real time"
    return Group(title, entries[0].name, tuple(entries))
