"""How ``schema-1.0.h5`` was made, once; it is kept as it is, so this is not run again.

python tests/library/data/make_schema_1_0.py FILE
"""

from __future__ import annotations

import sys

import numpy as np

from spectralid import LibraryBuilder, Spectrum
from spectralid.library import Compound, Tier
from spectralid.spectrum import Acquisition, ProcessingStep

ETHANOL = Compound(
    "ethanol", "Ethanol", synonyms=("Alcohol", "Äthanol"), cas="64-17-5",
    inchikey="LFQSCWFLJHTTHZ-UHFFFAOYSA-N",
    smiles="CCO", formula="C2H6O", category="solvent/alcohol", schedule="none", hazards=("flammable",),
    salt_forms=("none",), fentanyl_related="no", verification="verified",
)  # fmt: skip
SALT = Compound("made-up-salt", "Made-up salt")


def band(axis, position):
    """Made-up intensities that float32 cannot hold."""
    return 0.1 + np.exp(-(((axis - position) / 30) ** 2))


def main(path):
    """Write the library."""
    builder = LibraryBuilder("schema 1.0", version="1.2.3", created="2026-03-04", recipe="made up for a test")
    raman = np.linspace(300.3, 1800.7, 40)
    infrared = np.linspace(600.0, 3600.0, 31)
    missing = band(raman, 880.0)
    missing[3] = np.nan
    builder.add(
        Spectrum(
            raman, missing, technique="raman", sd=np.full(raman.size, 0.25), name="ethanol, 785 nm",
            source="a.csv",
            acquisition=Acquisition(
                instrument="Handheld X", serial="7", laser_nm=785.0, power_mw=12.5, integration_ms=100.0,
                averages=3, resolution_cm1=8.0, time="2026-01-02T03:04:05", operator="Ä",
                flags=frozenset({"saturated"}), metadata={"Sample": "liquid"},
            ),
            history=[ProcessingStep("crop", {"low_cm1": 300.3}, "0.1.0")],
        ),
        ETHANOL, tier=Tier.MEASURED, source="made up", licence="CC0-1.0", url="https://example.org",
        citation="A citation.", quality=0.5,
    )  # fmt: skip
    builder.add(
        Spectrum(infrared, 10 ** -band(infrared, 1100.0), technique="ftir_atr", unit="transmittance"),
        SALT, tier=Tier.COMPUTED, form="hydrate II",
    )  # fmt: skip
    print(builder.write(path))


if __name__ == "__main__":
    main(sys.argv[1])
