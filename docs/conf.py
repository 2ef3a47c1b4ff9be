"""How the site is built: ``python -m sphinx -b html docs build/site``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import spectralid  # noqa: E402

project = "spectralid"
author = "the spectralid project"
copyright = "the spectralid project, Apache-2.0"
release = version = spectralid.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_argparse_cli",
    "reference",
]
exclude_patterns = ["_ext", "_build", "examples"]
nitpicky = True
# Names in the docstrings stand in single back-ticks; what is a public name becomes a link.
default_role = "py:obj"

# Markdown as the pages were written: headings have anchors, so that links to them work as on a code host.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

# The notebooks are run by their own tests; the site shows what is stored in them.
nb_execution_mode = "off"

autosummary_generate = False
autodoc_typehints = "none"
# As the source has them: an evaluated path would be that of whoever built the site.
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = f"spectralid {release}"
html_static_path = ["_static"]
html_js_files = ["site.js"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}


def _bring_notebooks() -> None:
    """Copy the notebooks below the folder Sphinx reads; from there the pages are one folder nearer."""
    here = HERE / "notebooks"
    here.mkdir(exist_ok=True)
    sources = sorted((HERE.parent / "notebooks").glob("*.ipynb"))
    for stale in set(here.glob("*.ipynb")) - {here / source.name for source in sources}:
        stale.unlink()
    for source in sources:
        text = source.read_text(encoding="utf-8").replace("](../docs/", "](../")
        copy = here / source.name
        if not copy.exists() or copy.read_text(encoding="utf-8") != text:
            copy.write_text(text, encoding="utf-8")


_bring_notebooks()
