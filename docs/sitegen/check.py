"""Check a built site: no broken link, and nothing that a browser would fetch from elsewhere.

python -m sitegen.check SITE
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser loads by itself, element → attribute.
_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}

# Links of pages to themselves and to their neighbours fetch nothing.
_RELATIONS = ("canonical", "next", "prev")


class Page(HTMLParser):
    """The links of a page, what it loads, and the places in it that can be linked to."""

    def __init__(self, text: str):
        """Read the page."""
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if given.get(_LOADED.get(tag, "")) and given.get("rel") not in _RELATIONS:
            self.loaded.append(given[_LOADED[tag]])


def problems(site: Path) -> Iterator[str]:
    """What is wrong with a site, a line each."""
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        if path.name == "404.html":  # its links are absolute, for it is served anywhere
            continue
        where = path.relative_to(site)
        for target in page.loaded:
            if _is_elsewhere(target):
                yield f"{where} loads {target}"
        for link in [*page.links, *page.loaded]:
            if not _is_elsewhere(link) and not _leads(path, link, pages):
                yield f"{where}: broken link {link}"


def _is_elsewhere(link: str) -> bool:
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


def _leads(path: Path, link: str, pages: dict[Path, Page]) -> bool:
    """Whether a link leads to a file, and to a place in it where it names one."""
    parts = urlsplit(link)
    there = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
    there = there / "index.html" if there.is_dir() else there
    if there not in pages or not parts.fragment:
        return there.exists()
    return unquote(parts.fragment) in pages[there].anchors


if __name__ == "__main__":
    found = list(problems(Path(sys.argv[1]).resolve()))
    print("\n".join(found) or "every link leads somewhere, and nothing is fetched from elsewhere")
    sys.exit(bool(found))
