"""What retrieval needs of a library, so that tests and benchmarks can hand in arrays instead of a file."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from spectralid.library import ReferenceInfo
from spectralid.spectrum import FloatArray, Technique

__all__ = ["ReferenceSource"]


class ReferenceSource(Protocol):
    """References of one library on a common grid; `spectralid.library.ReferenceLibrary` is one."""

    def grid(self, technique: Technique) -> FloatArray:
        """Common grid in cm⁻¹, ascending and even, shape (n_grid,)."""

    def matrix(self, technique: Technique) -> npt.NDArray[np.floating[Any]]:
        """Intensities, shape (n_references, n_grid), NaN where a reference does not cover the grid."""

    def rows(self, technique: Technique) -> tuple[ReferenceInfo, ...]:
        """What the rows of `matrix` are."""
