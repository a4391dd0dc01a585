"""Hooks of MkDocs: the generated pages, and what hand-written pages take over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sitegen.systems as systems
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from sitegen.cells import read
from sitegen.includes import ROOT, filled
from sitegen.results import guides, results
from sitegen.shipped import shipped
from sitegen.writing import notebook, page, pictures

from gym_lagrangian.registration import SYSTEMS


def on_config(config: Any) -> Any:
    """Name the pages of the systems in the navigation."""
    pages = [f"systems/{systems.slug(name)}.md" for name in SYSTEMS]
    for entry in config.nav:
        if "Systems" in entry:
            entry["Systems"] = ["systems/index.md", *pages]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add what is generated, and the examples, to which pages link."""
    for name, content in (*_guides(), *_systems()):
        files.append(File.generated(config, name, content=content))
    for path in sorted((ROOT / "examples").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Replace the marks of a page."""
    return filled(markdown, page.file.src_uri.count("/"))


def _guides() -> list[tuple[str, str | bytes]]:
    made: list[tuple[str, str | bytes]] = []
    for path in guides():
        guide, found = read(path), _run(path)
        made.append((f"guides/{guide.name}.md", page(guide, found)))
        made.append((f"guides/{guide.name}.ipynb", notebook(guide, found)))
        made += [(f"guides/{name}", picture) for name, picture in pictures(guide, found)]
    return made


def _run(path: Path) -> Any:
    try:
        return results(path)
    except RuntimeError as error:
        raise PluginError(str(error)) from error


def _systems() -> list[tuple[str, str]]:
    checkpoints = list(shipped())
    pages = [(f"systems/{systems.slug(n)}.md", systems.page(n, checkpoints)) for n in SYSTEMS]
    return [("systems/index.md", systems.index()), *pages]
