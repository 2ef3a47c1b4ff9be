"""How ``schema-1.1.h5`` was made, once; it is kept as it is, so this is not run again.

python tests/library/data/make_schema_1_1.py FILE
"""

from __future__ import annotations

import sys

import numpy as np

from spectralid import LibraryBuilder, Spectrum
from spectralid.library import Fitness, Tier
from spectralid.library.schema import common_grid
from tests.library.data.make_schema_1_0 import ETHANOL, SALT, band

FITNESS = Fitness(
    Tier.COMPUTED, "infrared", "all", 10, 8, 200, (0.5, 0.25, 0.75), (0.75, 0.5, 1.0), (1.0, 0.875, 1.0),
    (1.5, 1.0, 3.0), "cross-validated by compound", "made up",
)  # fmt: skip
TRAINED = ("LFQSCWFLJHTTHZ-UHFFFAOYSA-N",)


def computed():
    """A spectrum that lies in its row of the computed block."""
    grid = common_grid("infrared")
    values = band(grid, 1050.0)
    return Spectrum(
        grid, (values / values.max()).astype(np.float16), technique="ftir", unit="absorbance", name="computed"
    )


def main(path):
    """Write the library."""
    builder = LibraryBuilder("schema 1.1", version="2", created="2026-03-05", recipe="made up for a test")
    axis = np.linspace(300.3, 1800.7, 40)
    measured = Spectrum(axis, band(axis, 880.0), technique="raman")
    builder.add(measured, ETHANOL, tier=Tier.MEASURED, licence="CC0-1.0")
    builder.add(computed(), ETHANOL, tier=Tier.COMPUTED, form="neutral molecule", licence="CC0-1.0")
    # Somebody's own calculation, off the grid, keeps its native values.
    builder.add(measured.replace(intensity=3 * band(axis, 700.0)), SALT, tier=Tier.COMPUTED)
    builder.add_fitness(FITNESS)
    builder.add_training_substances(TRAINED)
    print(builder.write(path))


if __name__ == "__main__":
    main(sys.argv[1])
