"""Every notebook runs from top to bottom and says what it said when it was written."""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
MOST_CELLS = 26
LONGEST_CELL = 40
LARGEST_PICTURE = 40_000
LARGEST_FOLDER = 1_500_000


def _run():
    spec = importlib.util.spec_from_file_location("notebooks_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run = _run()
NAMES = [path.name for path in run.notebooks()]


@pytest.fixture(params=NAMES)
def path(request):
    return FOLDER / request.param


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_and_says_the_same(name):
    kept = nbformat.read(FOLDER / name, as_version=4)
    now = run.executed(FOLDER / name)
    assert run.complaints(now) == []
    assert run.texts(now) == run.texts(kept)
    # Pictures depend on fonts and versions; that there are as many, and of what size, does not.
    assert len(run.pictures(now)) == len(run.pictures(kept))


def test_what_is_kept_is_tidy_and_small(path):
    kept = nbformat.read(path, as_version=4)
    assert nbformat.validate(kept) is None
    assert json.loads(path.read_text(encoding="utf-8"))["metadata"]["language_info"] == {"name": "python"}
    assert 4 <= len(kept.cells) <= MOST_CELLS
    assert kept.cells[0].cell_type == "markdown"
    assert all(len(png) <= LARGEST_PICTURE for png in run.pictures(kept))
    for cell in kept.cells:
        assert set(cell.metadata) <= {"tags"}
        if cell.cell_type == "code":
            assert cell.execution_count is None
            assert len(cell.source.splitlines()) <= LONGEST_CELL
            assert all(not output.get("metadata") for output in cell.outputs)


def test_the_folder_stays_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < LARGEST_FOLDER


def test_only_public_names_are_used(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                module = importlib.import_module(node.module)
                if node.module.startswith("spectralid"):
                    assert {alias.name for alias in node.names} <= set(module.__all__), cell.source
            elif isinstance(node, ast.Import):
                names = [part for alias in node.names for part in alias.name.split(".")]
            elif isinstance(node, ast.Attribute):
                names = [node.attr]
            assert not [name for name in names if re.match(r"_(?!_)", name)], cell.source


def test_links_lead_somewhere(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", cell.source):
                assert target.startswith("https://") or (FOLDER / target).exists(), target


def test_another_text_is_noticed(tmp_path, monkeypatch, capsys):
    def told(text):
        shown = nbformat.v4.new_output("stream", name="stdout", text=text)
        cell = nbformat.v4.new_code_cell("print(6 * 7)", outputs=[shown])
        return nbformat.v4.new_notebook(cells=[cell])

    file = tmp_path / "01-sum.ipynb"
    nbformat.write(told("41\n"), file)
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    monkeypatch.setattr(run, "executed", lambda _: told("42\n"))
    assert run.main([]) == 1
    assert "its text is another" in capsys.readouterr().out
    assert run.main(["--write", "02"]) == 0
    assert run.main([]) == 1
    assert run.main(["--write", "01"]) == 0
    assert run.main([]) == 0


def test_the_kernel_is_this_python():
    assert run.ThisPython().kernel_spec.argv[0] == sys.executable
