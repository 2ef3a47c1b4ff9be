"""Where ``libraries/`` and ``devices/`` lie: in a wheel, an editable install or a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["path"]


def path(folder: Literal["libraries", "devices"], *parts: str) -> Path:
    """Path of a bundled data file or folder.

    Parameters
    ----------
    folder : {"libraries", "devices"}
        The data folder.
    *parts : str
        Path below it.

    Returns
    -------
    Path
        Whether it exists is for the caller to check: a missing file is its own kind of error in each room.
    """
    here = Path(__file__).resolve().parent
    installed = here / folder
    # An editable install and a bare checkout have the folder beside the package instead of inside it.
    base = installed if installed.is_dir() else here.parents[1] / folder
    return base.joinpath(*parts)
