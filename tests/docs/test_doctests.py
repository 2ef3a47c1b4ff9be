"""Examples in docstrings and in pages do what they show."""

from __future__ import annotations

import ast
import doctest
import importlib
from functools import cache
from pathlib import Path

import pytest
from public_names import public_names

import spectralid
from tests.docs.pages import blocks, markdown_pages, shown

# The same everywhere: a blank line needs no marker of its own width, "..." stands for what changes.
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PACKAGE = Path(spectralid.__file__).parent


@cache
def _with_examples() -> tuple[Path, ...]:
    return tuple(path for path in sorted(PACKAGE.rglob("*.py")) if _prompts(path))


@cache
def _prompts(path: Path) -> int:
    """How many examples stand in the docstrings of a module."""
    source = path.read_text(encoding="utf-8")
    if ">>> " not in source:
        return 0
    parser = doctest.DocTestParser()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return sum(
        len(parser.get_examples(ast.get_docstring(node) or ""))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, documented)
    )


def _run(test: doctest.DocTest) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("path", _with_examples(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_examples_in_docstrings(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert sum(len(test.examples) for test in tests) == _prompts(path), "an example is not found"
    monkeypatch.chdir(tmp_path)
    for test in tests:
        _run(test)


def _of_page(page: Path) -> str:
    python = [block.text for block in blocks(page) if block.language in {"python", "pycon", "{doctest}"}]
    return "\n".join(text for text in python if ">>> " in text)


PAGES = [page for page in markdown_pages() if ">>> " in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_examples_in_pages(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(_of_page(page), {}, shown(page), str(page), 0)
    assert test.examples
    _run(test)


def test_the_most_used_names_have_examples() -> None:
    shown_by = [path for path, one in public_names().items() if ">>> " in one.text]
    assert len(shown_by) >= 40
    assert {"spectralid.Spectrum", "spectralid.io.read", "spectralid.identify.identify"} <= set(shown_by)
