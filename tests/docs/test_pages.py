"""Every page is reached, and every link between pages leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import (
    DOCS,
    REPOSITORY,
    anchors,
    links,
    markdown_pages,
    shown,
    site_pages,
    toctree_entries,
)

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def _entered(page: Path) -> set[Path]:
    found: set[Path] = set()
    for entry in toctree_entries(page):
        base = page.parent if not entry.startswith("/") else DOCS
        for suffix in (".md", ".rst"):
            found |= {path.resolve() for path in base.glob(entry.lstrip("/") + suffix)}
    return found


def test_every_page_is_reached_from_the_index() -> None:
    reached = {(DOCS / "index.md").resolve()}
    waiting = list(reached)
    while waiting:
        new = _entered(waiting.pop()) - reached
        reached |= new
        waiting += new
    missing = [shown(page) for page in site_pages() if page.resolve() not in reached]
    assert not missing
    assert len(reached) > 40


def test_every_toctree_entry_exists() -> None:
    for page in site_pages():
        for entry in toctree_entries(page):
            if not any(sign in entry for sign in "*?[") and not entry.startswith("notebooks/"):
                assert any((page.parent / f"{entry}{suffix}").is_file() for suffix in (".md", ".rst")), (
                    f"{shown(page)}: {entry}"
                )


def _problem(page: Path, target: str) -> str | None:
    name, _, anchor = target.partition("#")
    to = (page.parent / name).resolve() if name else page.resolve()
    # The site has the notebooks below docs/, a code host beside it.
    copied = DOCS / "notebooks"
    if to.parent == copied:
        to = REPOSITORY / "notebooks" / to.name
    if not to.exists():
        return f"{shown(page)}: {target} is not there"
    if anchor and to.suffix in {".md", ".ipynb"} and anchor not in anchors(to):
        return f"{shown(page)}: {target} names no heading"
    return None


@pytest.mark.parametrize("page", [*markdown_pages(), *NOTEBOOKS], ids=shown)
def test_links_lead_somewhere(page: Path) -> None:
    found = [problem for target in links(page) if (problem := _problem(page, target))]
    assert not found, "\n".join(found)


def test_a_dead_link_would_be_found() -> None:
    page = DOCS / "index.md"
    assert _problem(page, "no-such-page.md")
    assert _problem(page, "architecture.md#no-such-heading")
    assert _problem(page, "architecture.md#decisions-worth-knowing") is None
