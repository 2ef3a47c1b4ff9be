"""Execute the notebooks, and keep what they show.

    python notebooks/run.py                  # execute all, say where the text they print is another
    python notebooks/run.py --write          # and write what they show into them
    python notebooks/run.py --write 01 05    # only those

Needs ``pip install "spectralid[notebooks]"``. What is kept is free of counts, times and metadata, and its
pictures are small, so that a difference in a commit is a difference in what a reader sees.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).resolve().parent
TIMEOUT_S = 300
COLOURS = 16
"""Of a picture that is kept: lines and text on white need no more."""
VARIES = "varies"
"""Tag of a cell whose text is another each time it runs."""
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class ThisPython(AsyncKernelManager):
    """A kernel of the Python that runs this, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        # It warns of a line without encryption, which does not leave this machine.
        quiet = ["--HistoryManager.enabled=False", "--log-level=ERROR"]
        argv = [sys.executable, "-m", "ipykernel_launcher", *quiet, "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="this Python", language="python")


def notebooks(names: list[str] | None = None) -> list[Path]:
    """The notebooks whose names begin with one of `names`; all of them by default."""
    found = sorted(FOLDER.glob("[0-9]*.ipynb"))
    return [path for path in found if not names or path.name.startswith(tuple(names))]


def executed(path: Path) -> Any:
    """The notebook with what it shows now; an error in a cell is an error here."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as home:
        # Nobody's own settings take part, and nothing is left behind.
        private = {"IPYTHONDIR": home, "JUPYTER_CONFIG_DIR": home, "JUPYTER_RUNTIME_DIR": home}
        alone = {"OPENBLAS_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        client = NotebookClient(
            notebook,
            kernel_manager_class=ThisPython,
            timeout=TIMEOUT_S,
            resources={"metadata": {"path": str(FOLDER)}},
        )
        client.execute(env={**os.environ, **private, **alone})
    return tidy(notebook)


def tidy(notebook: Any) -> Any:
    """Without what differs from run to run, and with small pictures."""
    notebook.metadata = nbformat.from_dict(_METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = None
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _small(output.data["image/png"])
                # The size of a figure says nothing that the figure does not.
                output.data.pop("text/plain", None)
    return notebook


def _small(png: str) -> str:
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        few = white.convert("RGB").quantize(
            COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
    buffer = io.BytesIO()
    few.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def texts(notebook: Any) -> list[str]:
    """What each cell prints or shows as text, those that vary left out."""
    shown = []
    for cell in notebook.cells:
        if cell.cell_type != "code" or VARIES in cell.metadata.get("tags", ()):
            continue
        parts = [
            output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs
        ]
        shown.append("".join(parts))
    return shown


def pictures(notebook: Any) -> list[bytes]:
    """The pictures of a notebook."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    kept = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [base64.b64decode(png) for png in kept]


def complaints(notebook: Any) -> list[str]:
    """What cells said on standard error."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output.text for output in outputs if output.get("name") == "stderr"]


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NUMBER", help="such as 01; all by default")
    parser.add_argument("--write", action="store_true", help="write what they show into the notebooks")
    args = parser.parse_args(arguments)
    differ = False
    for path in notebooks(args.names):
        before = texts(nbformat.read(path, as_version=4))
        notebook = executed(path)
        for text in complaints(notebook):
            print(f"{path.name}: {text}", file=sys.stderr)
        same = texts(notebook) == before
        differ |= not same
        sizes = [len(png) for png in pictures(notebook)]
        print(f"{path.name}: {len(sizes)} pictures, at most {max(sizes, default=0) / 1000:.0f} kB"
              f"{'' if same else '; its text is another'}")  # fmt: skip
        if args.write:
            nbformat.write(notebook, path)
    return int(differ and not args.write)


if __name__ == "__main__":
    sys.exit(main())
