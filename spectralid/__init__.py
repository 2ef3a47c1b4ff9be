"""spectralid: what an unknown substance is, from its Raman or infrared spectrum.

Public names load when first used, so that ``import spectralid`` stays light on a tablet.

Examples
--------
>>> import spectralid
>>> from spectralid import Spectrum
>>> Spectrum([400.0, 500.0, 600.0], [1.0, 3.0, 1.0], technique="raman").n_points
3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid._lazy import lazy

__version__ = "0.1.0"

_WHERE = {
    "Acquisition": "spectralid.spectrum",
    "Identification": "spectralid.identify",
    "IntensityUnit": "spectralid.spectrum",
    "LibraryBuilder": "spectralid.library",
    "Pipeline": "spectralid.preprocess",
    "ProcessingStep": "spectralid.spectrum",
    "ReferenceLibrary": "spectralid.library",
    "Spectrum": "spectralid.spectrum",
    "SpectralIDError": "spectralid.errors",
    "Technique": "spectralid.spectrum",
    "open_library": "spectralid.library",
    "read": "spectralid.io",
    "read_all": "spectralid.io",
    "write": "spectralid.io",
}

__all__ = [
    "Acquisition",
    "Identification",
    "IntensityUnit",
    "LibraryBuilder",
    "Pipeline",
    "ProcessingStep",
    "ReferenceLibrary",
    "SpectralIDError",
    "Spectrum",
    "Technique",
    "__version__",
    "open_library",
    "read",
    "read_all",
    "write",
]

if TYPE_CHECKING:
    from spectralid.errors import SpectralIDError as SpectralIDError
    from spectralid.identify import Identification as Identification
    from spectralid.io import read as read
    from spectralid.io import read_all as read_all
    from spectralid.io import write as write
    from spectralid.library import LibraryBuilder as LibraryBuilder
    from spectralid.library import ReferenceLibrary as ReferenceLibrary
    from spectralid.library import open_library as open_library
    from spectralid.preprocess import Pipeline as Pipeline
    from spectralid.spectrum import Acquisition as Acquisition
    from spectralid.spectrum import IntensityUnit as IntensityUnit
    from spectralid.spectrum import ProcessingStep as ProcessingStep
    from spectralid.spectrum import Spectrum as Spectrum
    from spectralid.spectrum import Technique as Technique

__getattr__, __dir__ = lazy(__name__, _WHERE, __all__)
