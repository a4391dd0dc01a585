"""The report: every number of `results.json` in tables, the paper's beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gym_lagrangian.reproduce import table
from gym_lagrangian.reproduce.double_pendulum import LONG, PAPER
from gym_lagrangian.reproduce.particle import PAPER as PARTICLE_PAPER

_STATISTICS = ("mean", "geometric_mean", "median", "percentile_95", "max")
_LOSSES = (
    "acceleration_loss",
    "acceleration_loss_forced",
    "one_step_error",
    "one_step_error_forced",
)


def markdown(results: dict[str, Any]) -> str:
    """The report of the results that `reproduce` returns."""
    protocol, models = results["protocol"], results["double_pendulum"]
    origin = "retrained here" if results["retrained"] else "those shipped with the package"
    parts = [
        "# The experiments of “Lagrangian Neural Networks”, run again",
        "Cranmer, Greydanus, Hoyer, Battaglia, Spergel, Ho, “Lagrangian Neural Networks” (2020). "
        f"Models: {origin}. Every number here is in `results.json`, with the checkpoint's "
        "configuration, seed and SHA-256.",
        "## Double pendulum",
        "m = l = 1, g = 9.8; θ ~ U(0, 2π)², ω ~ U(0, 0.1)² at the start, no forces, float64, steps "
        f"of 0.05 s, seed {protocol['seed']}. Energy discrepancy: |E_true(x_pred(t)) − "
        "E_true(x_true(t))| / 29.4 J at one time t. A motion that left |ω| ≤ 20 rad/s has diverged "
        "and is judged at its last valid state.",
        *_energies(models, protocol),
        _ranking(models, protocol),
        f"### Energy discrepancy after {protocol['long_seconds']:g} s, {protocol['few']} starts",
        _table(
            ("model", *map(_title, _STATISTICS), "diverged"),
            [_energy_row(name, models[name]["energy_long"][-1]) for name in LONG if name in models],
        ),
        "### Accelerations and single steps",
        f"Means over {protocol['loss_states']} fresh states, θ ~ U(0, 2π)², ω ~ U(−10, 10)²: "
        "Σ|q̈ error| in rad/s² (the paper's loss), and Σ|x error| / dt after one step of 0.05 s, "
        "which a next-state network has as well. Forced: under random torques of up to 6 N·m at "
        "both joints.",
        _losses(models),
        "![Path of the tip](figure-1.png)",
        "![Angles and energy](figure-2.png)",
        "![Energy error of all models](energy.png)",
        *_particle(results["relativistic_particle"], protocol),
        "![Velocity of the particle](figure-3.png)",
        *_table_1(results["table_1"]),
        "## Configurations",
        "### Double pendulum",
        _configurations(models),
        "### Relativistic particle",
        _configurations(
            results["relativistic_particle"]["models"]
            | {"LNN-special_relativity": results["relativistic_particle"]["special_relativity"]}
        ),
        "Versions: " + ", ".join(f"{k} {v}" for k, v in results["versions"].items()) + ".",
    ]
    return "\n\n".join(parts)


def _energies(models: dict[str, Any], protocol: dict[str, Any]) -> Iterable[str]:
    for count in dict.fromkeys((protocol["few"], protocol["states"])):
        measured = {name: numbers[f"energy_{count}"] for name, numbers in models.items()}
        for index, one in enumerate(next(iter(measured.values()))):
            yield f"### Energy discrepancy after {one['time']:g} s, {count} starts"
            rows = [_energy_row(name, found[index]) for name, found in measured.items()]
            if one["time"] == 100.0 and count == 40:
                rows += [_paper_row(name, numbers) for name, numbers in PAPER.items()]
            yield _table(("model", *map(_title, _STATISTICS), "diverged"), rows)


def _ranking(models: dict[str, Any], protocol: dict[str, Any]) -> str:
    """Who keeps energy best: this system is of the form that DeLaN assumes."""
    many = {name: numbers[f"energy_{protocol['states']}"][-1] for name, numbers in models.items()}
    order = sorted(many, key=lambda name: many[name]["mean"])
    named = ", ".join(f"`{name}` ({_percent(many[name]['mean'])})" for name in order)
    return (
        f"From the smallest mean to the largest, {protocol['states']} starts: {named}. A double "
        "pendulum has a kinetic energy quadratic in the velocities, which DeLaN is built on, and "
        "canonical momenta, which the HNN is told; the LNN and those without physics are told "
        "neither."
    )


def _energy_row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    share = found["diverged"] / len(found["values"])
    return (f"`{name}`", *(_percent(found[key]) for key in _STATISTICS), _percent(share))


def _paper_row(name: str, numbers: dict[str, float]) -> tuple[str, ...]:
    cells = (_percent(numbers[key]) if key in numbers else "" for key in _STATISTICS)
    return (f"{name}, the paper", *cells, "")


def _losses(models: dict[str, Any]) -> str:
    rows = [
        (f"`{name}`", *(_number(numbers["losses"].get(key)) for key in _LOSSES))
        for name, numbers in models.items()
    ]
    rows += [
        (f"{name}, the paper", _number(numbers["acceleration_loss"]), "", "", "")
        for name, numbers in PAPER.items()
    ]
    return _table(("model", "acceleration", "forced", "one step", "forced"), rows)


def _particle(results: dict[str, Any], protocol: dict[str, Any]) -> Iterable[str]:
    """The second experiment."""
    yield "## Relativistic particle"
    yield (
        "L = (1 − v²)^(−½) − 1 + g q, as the paper prints it. Accelerations: mean over "
        f"{protocol['loss_states']} fresh states, q ~ U(−10, 10), v = 0.99999 tanh(2 N(0, 1)), "
        "g = 10 N(0, 1), of |q̈ error| weighted by 1 + γ(v), over the mean weight; for the "
        "Hamiltonian models q̈ along their own flow. One step: |x error| / dt after one step of "
        "0.05 s, weighted alike. Forced: under random forces of up to 4 N. Velocity: max over one "
        f"second of |v − v_true|, over {protocol['velocity_states']} starts with v ~ "
        f"U(−0.99, 0.99). Predicting q̈ = 0 has a loss of {results['still']:.3g}."
    )
    rows = [_particle_row(f"`{name}`", found) for name, found in results["models"].items()]
    physical = results["special_relativity"]
    rows.append(_particle_row('`LNN`, `lagrangian="special_relativity"`', physical))
    rows += [(f"{name}, ref", _number(loss), *[""] * 6) for name, loss in PARTICLE_PAPER.items()]
    head = ("model", "acceleration", "forced", "one step", "forced", "velocity: median", "95 %")
    yield _table((*head, "diverged"), rows)
    proof = results["proof"]
    yield (
        "**The non-canonical HNN must fail.** With p := q̇, q̇ = ∂H/∂p forces H = ½p² + V(q, g): "
        "its q̈ cannot depend on v. On states with v ~ U(−0.9, 0.9), without weights, mean "
        f"|q̈ error| of q̈ = 0 is {proof['zero']:.4g}, of the best predictor that does not know "
        f"v {proof['without_velocity']:.4g}, of a non-canonical HNN trained on such states "
        f"{proof['NoncanonicalHNN']:.4g}, and of the LNN {proof['LNN']:.3g}: "
        f"{proof['NoncanonicalHNN'] / proof['LNN']:.0f} times smaller."
    )


def _particle_row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    velocity = found["velocity_error"]
    losses = (_number(found["losses"].get(key)) for key in _LOSSES)
    share = velocity["diverged"] / velocity["states"]
    statistics = (_number(velocity[key]) for key in ("median", "percentile_95"))
    return (name, *losses, *statistics, _percent(share))


def _table_1(columns: dict[str, Any]) -> Iterable[str]:
    """Table 1, the paper's ticks beside the measurements."""
    yield "## Table 1, measured"
    yield table_1(columns)
    yield (
        "✓ passes, ✗ does not; in brackets the paper's tick (✓) or blank (–). Rows: one-step error "
        "on the pendulum, share of the step (≤ 1 %); error per second at half or twice the step, "
        "over that at the step (≤ 2); mean energy discrepancy of the pendulum at the end "
        "(≤ 0.05 %); that one-step error fed (q, q̇), for the HNN that of `NoncanonicalHNN` "
        "(≤ 1 %); the larger of it on the pendulum and on the particle (≤ 1 %, and energy "
        "conserved)."
    )


def table_1(columns: dict[str, Any]) -> str:
    """The cells of `table.measure` as Markdown."""
    formats = (_percent, lambda value: f"{value:.2f} ×", _percent, _percent, _percent)
    rows = []
    for index, (row, show) in enumerate(zip(table.ROWS, formats, strict=True)):
        cells = []
        for name, column in columns.items():
            value, passes = column[row]["value"], column[row]["passes"]
            text = "one step only" if value is None else show(value)
            told = table.PAPER.get(name)
            paper = "" if told is None else f" ({'✓' if told[index] else '–'})"
            cells.append(f"{'✓' if passes else '✗'} {text}{paper}")
        rows.append((row, *cells))
    return _table(("", *(f"`{name}`" for name in columns)), rows)


def _configurations(models: dict[str, Any]) -> str:
    rows = []
    for name, numbers in models.items():
        card = numbers["checkpoint"]
        rows.append(
            (
                f"`{name}`",
                str(card["training"]["seed"]),
                _settings(card["model_config"]),
                _settings({k: v for k, v in card["training"].items() if k != "seed"}),
                card["data"],
                f"`{card['sha256'][:16]}`",
            )
        )
    return _table(("model", "seed", "network", "training", "data", "SHA-256"), rows)


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)


def _title(statistic: str) -> str:
    return {"geometric_mean": "geometric mean", "percentile_95": "95 %"}.get(statistic, statistic)


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.3g} %" if percent < 1000 else f"{percent:.0f} %"


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
