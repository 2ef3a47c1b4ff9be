"""Finding what could run code out of data: in the syntax of Python files, and in the bytes of data files."""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

__all__ = ["ALLOWED", "Finding", "allowed", "in_bytes", "in_source", "python_in_notebook"]

# What loads objects, and with them code. Whoever imports one of these has to say why (`ALLOWED`).
_MODULES: Final = frozenset(
    {
        "pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "skops",
        "torch",        "yaml", "jsonpickle", "hickle", "pickletools", "onnxruntime", "tensorflow", "keras",
    }
)  # fmt: skip
# By the last part of what is called.
_CALLS: Final[Mapping[str, str]] = {
    "read_pickle": "pandas unpickles",
    "to_pickle": "pandas pickles",
    "eval": "runs text as code",
    "exec": "runs text as code",
    "execfile": "runs text as code",
    "BaseManager": "unpickles what comes on a socket",
    "SyncManager": "unpickles what comes on a socket",
    "PickleType": "a column of pickles",
    "special_dtype": "Python objects in HDF5",
    "unsafe_load": "builds objects from YAML",
    "import_string": "imports what a text names",
}
_NAMED: Final = (_MODULES | {"read_pickle"}) - {"torch", "keras", "yaml", "hickle"}
# A pool of one's own children is the language's way to use two cores; what they exchange comes from nobody.
_SOCKETS: Final = ("multiprocessing.managers", "multiprocessing.connection", "xmlrpc", "rpyc", "Pyro5")
_WHOLE: Final = frozenset({"multiprocessing.Manager", "distributed.Client"})
# Nothing of all this can be there without one of these words: most files need not be parsed.
_WORDS: Final = re.compile(
    "|".join(
        (
            *_MODULES, *_CALLS, *map(re.escape, (*_SOCKETS, *_WHOLE)), "multiprocessing import",
            "allow_pickle", "__import__", "import_module", r"(?<![.\w])compile\(", r"\b(?:np|numpy)\.load\(",
            r"dtype\([\"'](?:O|object)",
        )
    )
)  # fmt: skip

Finding = tuple[str, str]
"""What was found (a name), and why it is no good."""

_NAMES_OF_OURS: Final = "imports modules whose names stand in the program"
ALLOWED: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "tests/": (
        frozenset({"pickle", "import_module"}),
        "tests that a value survives the way to a process of ours: the test itself made what is loaded",
    ),
    "tests/reachback/console/test_docs.py": (
        frozenset({"exec", "compile"}),
        "runs the examples of the documentation",
    ),
    "benchmarks/": (frozenset({"import_module"}), "imports what whoever starts it names"),
    "benchmarks/mutation/trials.py": (
        frozenset({"compile"}),
        "looks whether a mutant of our source compiles",
    ),
    "docs/_ext/public_names.py": (frozenset({"import_module"}), _NAMES_OF_OURS),
    "spectralid/_lazy.py": (frozenset({"import_module"}), _NAMES_OF_OURS),
    "spectralid/devices/registry.py": (frozenset({"import_module"}), _NAMES_OF_OURS),
    "spectralid/devices/sim/models.py": (frozenset({"import_module"}), _NAMES_OF_OURS),
    "spectralid/sandbox/keeper.py": (
        frozenset({"import_module"}),
        "imports what the program that started it names, over a pair of sockets nobody else has",
    ),
    "spectralid/reachback/research/cluster.py": (
        frozenset({"distributed.Client"}),
        "Dask exchanges pickles: on this machine, or by TLS with certificates on both sides (`connect`)",
    ),
}
"""By path, or the beginning of one: what may stand there, and why."""


def in_source(text: str) -> Iterator[Finding]:
    """What a Python file could run code with out of data.

    Parameters
    ----------
    text : str
        The file.
    """
    if not _WORDS.search(text):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for name in (alias.name for alias in node.names):
                yield from _imported(name)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from _imported(node.module or "")
            for alias in node.names:
                yield from _imported(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Call):
            yield from _called(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # By name: importlib.import_module("pickle"), getattr(pandas, "read_pickle").
            if node.value in _NAMED:
                yield node.value, "named as a text"
        elif (
            isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and ast.unparse(node.value) != "False"
        ):
            yield "allow_pickle", "is not False"


def _imported(name: str) -> Iterator[Finding]:
    if name.split(".")[0] in _MODULES:
        yield name.split(".")[0], "loads objects, and with them code"
    elif name.startswith(_SOCKETS):
        yield name, "unpickles what comes on a socket"


def _called(node: ast.Call) -> Iterator[Finding]:
    whole = ast.unparse(node.func)
    owner, _, last = whole.rpartition(".")
    if last in _CALLS and not (last in ("eval", "exec") and owner):
        yield last, _CALLS[last]
    if whole == "compile":
        yield "compile", "makes code of text"
    if whole in _WHOLE:
        yield whole, "unpickles what comes on a socket"
    if whole in ("np.load", "numpy.load") and "allow_pickle" not in {word.arg for word in node.keywords}:
        yield "np.load", "does not say allow_pickle=False"
    if last in ("__import__", "import_module") and not _fixed(node):
        yield last, "imports what a value names"
    if last == "dtype" and any(isinstance(a, ast.Constant) and a.value in ("O", "object") for a in node.args):
        yield "dtype", "Python objects in an array"


def _fixed(node: ast.Call) -> bool:
    """Whether what is imported stands in the source, or at least the package it is of does."""
    first = node.args[0] if node.args else None
    if isinstance(first, ast.Constant):
        return True
    if not isinstance(first, ast.JoinedStr):
        return False
    # A module of ours: f"{__package__}.{name}", f"spectralid.io.{name}".
    start = first.values[0]
    if isinstance(start, ast.FormattedValue):
        return ast.unparse(start.value) in ("__package__", "__name__")
    return isinstance(start, ast.Constant) and str(start.value).startswith("spectralid.")


def python_in_notebook(data: bytes) -> Iterator[str]:
    """Code of each cell of a notebook, without what is IPython's alone."""
    for cell in json.loads(data)["cells"]:
        if cell["cell_type"] == "code":
            lines = "".join(cell["source"]).splitlines()
            yield "\n".join("pass" if line.lstrip()[:1] in ("%", "!") else line for line in lines)


# --- bytes -------------------------------------------------------------------------------------------------

# How a pickle names what is called when it is loaded: in protocols 0 to 3, and since 4.
_GLOBAL: Final = re.compile(
    rb"c(?:copy_reg|copyreg|__builtin__|builtins|os|posix|nt|subprocess|sys|numpy[a-z._]*|sklearn[a-z._]*)\n"
    rb"[A-Za-z_]+\n"
)
_STACK_GLOBAL: Final = re.compile(
    rb"\x8c.(?:copyreg|builtins|os|posix|nt|subprocess|sys|numpy[a-z._]*|sklearn[a-z._]*|joblib[a-z._]*)"
    rb"\x94?\x8c.[A-Za-z_]+\x94?\x93",
    re.DOTALL,
)
_DEPTH: Final = 3
_LARGEST: Final = 512 * 2**20


def in_bytes(data: bytes, depth: int = _DEPTH) -> Iterator[str]:
    """What in the bytes of a file is a pickle, also packed within it.

    Parameters
    ----------
    data : bytes
        The file.
    depth : int
        How many layers of packing are looked into.
    """
    if re.match(rb"\x80[\x02-\x05]", data) and data.rstrip(b"\n").endswith(b"."):
        yield "it begins and ends as a pickle does"
    if _GLOBAL.search(data) or _STACK_GLOBAL.search(data):
        yield "a pickle in it names a function"
    if data[:6] == b"\x93NUMPY" and b"'|O'" in data[:512]:
        yield "an array of Python objects, which NumPy pickles"
    if data[:2] == b"ZF":
        yield "a file of joblib"
    if depth <= 0:
        return
    for inner in _unpacked(data):
        yield from in_bytes(inner, depth - 1)


def _unpacked(data: bytes) -> Iterator[bytes]:
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.file_size <= _LARGEST:
                    yield archive.read(member)
    elif data[:2] == b"\x1f\x8b":
        yield zlib.decompressobj(31).decompress(data, _LARGEST)
    elif data[:1] == b"\x78" and data[1:2] in b"\x01\x5e\x9c\xda":
        try:
            yield zlib.decompressobj().decompress(data, _LARGEST)
        except zlib.error:
            return
    elif data[:8] == b"\x89HDF\r\n\x1a\n":
        yield from _in_hdf5(data)


def _in_hdf5(data: bytes) -> Iterator[bytes]:
    """Texts and bytes in attributes and data of an HDF5 file; numbers hold nothing to unpickle."""
    import h5py

    with h5py.File(io.BytesIO(data)) as file:
        nodes: list[h5py.Group | h5py.Dataset] = [file]
        file.visititems(lambda _, node: nodes.append(node))
        for node in nodes:
            for value in node.attrs.values():
                yield _plain(value)
            if (
                isinstance(node, h5py.Dataset)
                and node.dtype.kind in "OSVu"
                and node.dtype.itemsize in (1, 8, 16)
            ):
                yield _plain(node[()])


def _plain(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return value
    return bytes(value.tobytes()) if hasattr(value, "tobytes") else repr(value).encode()


def allowed(path: Path | str) -> frozenset[str]:
    """What may stand in a file."""
    found: frozenset[str] = frozenset()
    for beginning, (names, _) in ALLOWED.items():
        if str(path) == beginning or (beginning.endswith("/") and str(path).startswith(beginning)):
            found |= names
    return found
