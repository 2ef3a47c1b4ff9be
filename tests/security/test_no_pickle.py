"""No pickle anywhere: not in the source, not in the data, and what looks for them finds planted ones."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zlib
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.security.no_pickle import ALLOWED, allowed, in_bytes, in_source, python_in_notebook

ROOT = Path(__file__).resolve().parents[2]
TOP = ("spectralid", "libraries", "devices", "notebooks", "tests", "benchmarks", "docs", ".ci")
# This test plants pickles, and what it looks for stands in the file beside it as text.
SELF = ("tests/security/test_no_pickle.py", "tests/security/no_pickle.py")


def files(*suffixes: str) -> list[Path]:
    """Files of the project, without what a run left behind."""
    found = (p for top in TOP for p in (ROOT / top).rglob("*") if p.is_file())
    return sorted(
        p
        for p in found
        if not {"__pycache__", ".ipynb_checkpoints", "jupyter_execute"} & set(p.parts)
        and (p.suffix in suffixes or not suffixes)
    )


@cache
def found_in(path: Path) -> frozenset[tuple[str, str]]:
    return frozenset(in_source(path.read_text(encoding="utf-8")))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_python_file_runs_code_out_of_data():
    looked = files(".py")
    assert len(looked) > 500
    found = {
        (name(path), what, why)
        for path in looked
        if name(path) not in SELF
        for what, why in found_in(path)
        if what not in allowed(name(path))
    }
    assert found == set()


def test_no_notebook_does():
    looked = files(".ipynb")
    assert len(looked) >= 9
    for path in looked:
        for cell in python_in_notebook(path.read_bytes()):
            assert list(in_source(cell)) == [], name(path)


def test_scripts_without_a_suffix_are_looked_at_too():
    scripts = [p for p in files("") if p.read_bytes()[:2] == b"#!"]
    for path in scripts:
        head = path.read_bytes().split(b"\n", 1)[0]
        if b"python" in head:
            assert list(in_source(path.read_text(encoding="utf-8"))) == [], name(path)


def test_no_file_that_is_shipped_holds_a_pickle():
    """Also packed: npz, zip, gzip, HDF5 with its attributes."""
    looked = [p for p in files() if p.suffix not in (".py", ".md", ".rst", ".pyc")]
    assert len(looked) > 100
    assert {p.suffix for p in looked} >= {".h5", ".json", ".toml", ".csv", ".ipynb", ".npz"}
    found = {(name(p), why) for p in looked for why in in_bytes(p.read_bytes())}
    assert found == set()


def test_what_is_allowed_is_needed():
    """An exception nobody needs any more is a door left open."""
    for beginning, (names, why) in ALLOWED.items():
        assert why
        paths = [ROOT / beginning] if beginning.endswith(".py") else sorted((ROOT / beginning).rglob("*.py"))
        found = {what for path in paths for what, _ in found_in(path)}
        assert names <= found, beginning


# --- what looks for them finds them ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "import pickle as p, os",
        "from pickle import loads",
        "from pickle import Unpickler as U",
        "import cPickle",
        "import dill",
        "import cloudpickle",
        "import joblib",
        "from joblib import load",
        "from sklearn.externals import joblib\njoblib.load(x)\nimport joblib",
        "import shelve",
        "import marshal",
        "import torch",
        "import yaml",
        "def f():\n    import _pickle",
        "import importlib\nimportlib.import_module('pickle')",
        "import importlib\nimportlib.import_module(said)",
        "__import__(said)",
        "getattr(pandas, 'read_pickle')(x)",
        "pandas.read_pickle(x)",
        "frame.to_pickle(x)",
        "eval(text)",
        "exec(text)",
        "compile(text, 'x', 'exec')",
        "builtins.eval if 0 else eval(x)",
        "np.load(x)",
        "numpy.load(x, mmap_mode='r')",
        "np.load(x, allow_pickle=True)",
        "np.load(x, allow_pickle=chosen)",
        "np.savez(x, allow_pickle=True)",
        "from multiprocessing.managers import BaseManager",
        "from multiprocessing.connection import Listener",
        "from multiprocessing import connection",
        "multiprocessing.Manager()",
        "h5py.special_dtype(vlen=object)",
        "np.dtype('O')",
        "sa.Column(sa.PickleType())",
    ],
)
def test_a_planted_line_is_found(text):
    assert list(in_source(text))


@pytest.mark.parametrize(
    "text",
    [
        "np.load(x, allow_pickle=False)",
        "re.compile('x')",
        "ast.literal_eval(x)",
        "json.load(x)",
        "model.eval()",
        "importlib.import_module('numpy')",
        "importlib.import_module(f'{__package__}.{name}')",
        "'this says pickle in a sentence'",
        "from multiprocessing import get_context",
    ],
)
def test_a_harmless_line_is_not(text):
    assert list(in_source(text)) == []


class Evil:
    def __reduce__(self):
        return eval, ("1",)


def _pickles() -> dict[str, bytes]:
    arrays = np.array([{"a": 1}], dtype=object)
    found = {f"protocol {n}": pickle.dumps(Evil(), protocol=n) for n in range(6)}
    found |= {f"plain {n}": pickle.dumps([1, {"x": 2}], protocol=n) for n in range(2, 6)}
    npy, npz, hdf5 = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(npy, arrays, allow_pickle=True)
    np.savez_compressed(npz, allow_pickle=True, plain=np.arange(3), held=arrays)
    with h5py.File(hdf5, "w") as file:
        group = file.create_group("a/b")
        group.attrs["model"] = np.void(pickle.dumps(Evil()))
    values = io.BytesIO()
    with h5py.File(values, "w") as file:
        file["model"] = np.frombuffer(pickle.dumps(Evil()), np.uint8)
    return found | {
        "npy": npy.getvalue(),
        "npz": npz.getvalue(),
        "HDF5 attribute": hdf5.getvalue(),
        "HDF5 values": values.getvalue(),
        "zlib": zlib.compress(pickle.dumps(Evil())),
        "gzip": gzip.compress(pickle.dumps(Evil())),
        "within another file": b"HEADER\0\0" + pickle.dumps(Evil()) + b"\0" * 50,
        "gzip in npz": _zip("a.bin", gzip.compress(pickle.dumps(Evil()))),
        "joblib": b"ZF" + b"0x10" + pickle.dumps(1),
    }


def _zip(member: str, data: bytes) -> bytes:
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(member, data)
    return out.getvalue()


@pytest.mark.parametrize("what", sorted(_pickles()))
def test_a_planted_pickle_is_found(what):
    assert list(in_bytes(_pickles()[what]))


def test_a_planted_cell_is_found():
    cell = {"cell_type": "code", "source": ["%matplotlib inline\n", "import joblib\n"]}
    notebook = json.dumps({"cells": [{"cell_type": "markdown", "source": "import pickle"}, cell]}).encode()
    assert [what for text in python_in_notebook(notebook) for what, _ in in_source(text)] == ["joblib"]
