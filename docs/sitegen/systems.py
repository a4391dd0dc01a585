"""The page of a system, from its registration, its docstring, its spaces and its checkpoints."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from gym_lagrangian.registration import SYSTEMS, build_system, environments, load_system
from gym_lagrangian.systems.task import TaskState
from sitegen.pictures import FOLDER
from sitegen.shipped import LEGEND, Shipped, table


def slug(name: str) -> str:
    """``DoublePendulum`` → ``double-pendulum``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def title(name: str) -> str:
    """``DoublePendulum`` → ``Double pendulum``, ``PilcoPendulum`` → ``PILCO's pendulum``."""
    first, *words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).split()
    rest = (word if word == "C1" else word.lower() for word in words)
    return " ".join([_AUTHORS.get(first, first), *rest])


# Whose machines they are.
_AUTHORS = {
    "Dfki": "DFKI's",
    "Gymnasium": "Gymnasium's",
    "Pilco": "PILCO's",
    "Ramesh": "Ramesh & Ravindran's",
}


def index() -> str:
    """All systems in one table."""
    lines = ["| | System | Id | Trained models | Steps |", "|---|---|---|---|---|"]
    for name, row in SYSTEMS.items():
        link = f"[{title(name)}]({slug(name)}.md)<br>{row.summary}"
        models = ", ".join(
            f"[{model}](../models/{slug_of_model(model)}.md)" for model in row.learned
        )
        picture = _picture(name, title(name))
        steps = row.max_episode_steps
        lines.append(f"| {picture} | {link} | `{name}-v0` | {models} | {steps} |")
    return _INDEX + "\n".join(lines) + "\n"


_INDEX = """\
# Systems

Every system has an exact environment, `<System>-v0`. Each of its trained models that ship has an
environment too, `<System><Model>-v0`, with the same spaces and the same reward. Machines of others
have the parameters and the time step of their publications, which their pages name. *Steps* is the
length of an episode. The pictures show motion under slow random actions.

"""


def _picture(name: str, text: str) -> str:
    """The animated picture, where `sitegen.pictures` has made one."""
    there = (FOLDER / f"{name}.gif").exists()
    return f"![{text}](../assets/systems/{name}.gif)" if there else ""


def slug_of_model(model: str) -> str:
    """The name of a model's page."""
    return {"NoncanonicalHNN": "noncanonical-hnn", "SpatialChain": "spatial-chain"}.get(
        model, model.lower()
    )


def page(name: str, checkpoints: list[Shipped]) -> str:
    """The page of one system in Markdown."""
    system = build_system(name, {})
    task = system.task(coordinates=system)
    own = [one for one in checkpoints if one.system == name]
    parts = [
        f"# {title(name)}\n\n{SYSTEMS[name].summary[0].upper()}{SYSTEMS[name].summary[1:]}.",
        _picture(name, f"{title(name)} under random actions"),
        "\n".join(_at_a_glance(name, system, task)),
        _described(name),
        _equations(name),
        "## Parameters\n\n" + "\n".join(_parameters(system)),
        f"## Task\n\n{_task(type(task))}",
        "## Shipped models\n\n" + table(own, "Checkpoint") + ("\n" + LEGEND if own else _TRAIN),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


_TRAIN = """
A model of your own takes one command, see [train and fine-tune](../guides/train.md).
"""


def _at_a_glance(name: str, system: Any, task: Any) -> Iterator[str]:
    ids = [f"`{row.id}`" for row in environments() if row.system == name]
    named = zip(system.coordinates, system.units, strict=True)
    units = [f"`{name}` ({unit})" for name, unit in named]
    yield from ("| | |", "|---|---|")
    yield f"| Ids | {', '.join(ids)} |"
    yield f"| Coordinates | {', '.join(units)} |"
    yield f"| Step | {system.time_step:g} s |"
    yield f"| Episode | at most {SYSTEMS[name].max_episode_steps} steps |"
    yield f"| Action | {task.action_size} in [−1, 1] |"
    yield f"| Observation | {_observed(task)} numbers |"


def _observed(task: Any) -> int:
    """The size of an observation."""
    n, k, g = task.coordinates.n, len(task.coordinates.parameters), len(task.goal)
    state = TaskState(np.zeros(n), np.zeros(n), np.zeros(k), np.zeros(g), 0.0, np.zeros(n))
    return jax.eval_shape(task.observation, state).shape[0]


def _described(name: str) -> str:
    """The class's docstring, its first line left out where headings follow."""
    text = inspect.cleandoc(load_system(name).__doc__ or "")
    return text[text.index("## ") :] if "## " in text else f"## Description\n\n{text}"


def _equations(name: str) -> str:
    """The equations: those of its file, or of the chain that it is."""
    system = load_system(name)
    if system.__module__.endswith("machines"):
        return "## Equations\n\nThose of [a planar chain](chain.md#equations)."
    module = importlib.import_module(system.__module__)
    text = inspect.cleandoc(module.__doc__ or "")
    return f"## Equations\n\n{plain(text)}"


def plain(text: str) -> str:
    """A docstring's definition lists and tables as Markdown has them."""
    text = re.sub(r"^(``\S+``)\n {4}", r"* \1: ", text, flags=re.MULTILINE)
    if not re.search(r"^=+ =+", text, flags=re.MULTILINE):
        return text
    return re.sub(
        r"(^=+ =.*^=+ =[= ]*$)", r"```text\n\1\n```", text, flags=re.MULTILINE | re.DOTALL
    )


def _parameters(system: Any) -> Iterator[str]:
    yield from ("| Name | Default | Unit |", "|---|---|---|")
    for name, parameter in system.parameters.items():
        yield f"| `{name}` | {_value(parameter.default)} | {parameter.unit} |"


def _value(default: Any) -> str:
    if isinstance(default, tuple):
        return f"drawn from {default[0]:g} to {default[1]:g}"
    return f"{default:g}"


def _task(task: type) -> str:
    """What the task says of itself, and the public task that it is made from."""
    texts = []
    for one in task.__mro__:
        texts.append(inspect.cleandoc(one.__doc__ or ""))
        if not one.__name__.startswith("_"):
            reference = f"`{one.__module__}:{one.__name__}`"
            return f"The default task is {reference}.\n\n" + "\n\n".join(map(attributes, texts))
    raise ValueError(f"{task}: expected a public task among its bases")


def attributes(text: str) -> str:
    """A docstring whose section of attributes is a list in Markdown."""
    head, found, tail = text.partition("Attributes:\n")
    if not found:
        return text
    lines = inspect.cleandoc(tail)
    items = re.sub(r"^(\w[\w, ]*): ", r"* `\1`: ", lines, flags=re.MULTILINE)
    return f"{head}Its arguments:\n\n{items}"
