"""What the pages hold: fenced blocks, inline code, links, headings and toctrees."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page and the line it begins at."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def site_pages() -> list[Path]:
    """Every source of the site but the copied notebooks."""
    found = [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]
    hidden = {"notebooks", "examples"}
    return sorted(
        page
        for page in found
        if not any(part in hidden or part.startswith("_") for part in page.relative_to(DOCS).parts)
    )


def markdown_pages() -> list[Path]:
    """The site's pages in Markdown, and what a code host shows beside them."""
    beside = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    folders = ["benchmarks", "devices", "libraries", "notebooks"]
    found = [page for page in site_pages() if page.suffix == ".md"]
    found += [REPOSITORY / name for name in beside]
    found += [path for folder in folders for path in (REPOSITORY / folder).rglob("*.md")]
    return sorted(path for path in found if path.is_file())


def shown(page: Path) -> str:
    """A page's path as a message names it."""
    return page.relative_to(REPOSITORY).as_posix()


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    """What Markdown finds in a page; the text cells of a notebook are its page."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return tuple(MarkdownIt("commonmark").enable("table").parse(text))


def blocks(page: Path) -> Iterator[Block]:
    """Fenced blocks of a page."""
    for token in tokens(page):
        if token.type == "fence":
            line = token.map[0] + 1 if token.map else 0
            yield Block(shown(page), line, token.info.strip().split(" ")[0], token.content)


def inline(page: Path) -> Iterator[Token]:
    """What stands inside paragraphs, headings and cells."""
    for token in tokens(page):
        yield from token.children or ()


def links(page: Path) -> Iterator[str]:
    """Targets of links and pictures, but those elsewhere on the network."""
    for token in inline(page):
        target = token.attrGet("href") if token.type == "link_open" else token.attrGet("src")
        if isinstance(target, str) and not re.match(r"[a-z]+:", target):
            yield target


@cache
def anchors(page: Path) -> frozenset[str]:
    """Anchors of the headings of a page, as code hosts and the site make them."""
    found: set[str] = set()
    listed = tokens(page)
    for opened, content in itertools.pairwise(listed):
        if opened.type == "heading_open":
            text = "".join(child.content for child in content.children or () if child.type != "image")
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            unique, number = slug, 0
            while unique in found:
                number += 1
                unique = f"{slug}-{number}"
            found.add(unique)
    return frozenset(found)


def toctree_entries(page: Path) -> Iterator[str]:
    """Entries of the toctrees of a page, which may be patterns."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".md":
        bodies = re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.M | re.S)
    else:
        bodies = re.findall(r"^\.\. toctree::\n((?:[ \t]+.*\n|\n)*)", text + "\n", re.M)
    for body in bodies:
        for line in body.splitlines():
            if line.strip() and not line.strip().startswith(":"):
                yield line.strip()
