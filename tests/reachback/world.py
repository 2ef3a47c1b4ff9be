"""Made-up substances for the tests of re-search: libraries of them, and scans that hold them."""

from __future__ import annotations

import numpy as np

from spectralid.library import Compound, LibraryBuilder
from spectralid.spectrum import Spectrum

AXIS = 200.0 + 1.5 * np.arange(1100)  # the axis of `Tablet.scan`
NAMES = ("lactose", "caffeine", "cocaine", "mannitol", "paracetamol", "novelamine", "fentanyl-x")

BANDS = {
    "lactose": ((357, 0.8), (476, 0.6), (850, 1.0), (876, 0.9), (1086, 1.2), (1120, 1.0), (1380, 0.5)),
    "caffeine": ((444, 0.5), (483, 0.5), (555, 1.0), (739, 0.6), (1070, 0.4), (1328, 1.1), (1600, 0.9)),
    "cocaine": ((617, 0.4), (786, 0.5), (872, 0.6), (1004, 1.4), (1274, 0.8), (1601, 0.9), (1716, 0.8)),
    "mannitol": ((522, 0.5), (652, 0.6), (1038, 0.9), (1152, 0.6), (1363, 0.8), (1464, 0.9), (1235, 0.4)),
    "paracetamol": ((329, 0.5), (390, 0.6), (651, 0.8), (797, 0.7), (1168, 0.9), (1237, 1.0), (1648, 0.9)),
    "novelamine": ((412, 0.9), (588, 1.1), (702, 0.6), (951, 1.3), (1205, 0.9), (1419, 1.0), (1550, 0.7)),
    "fentanyl-x": ((301, 0.6), (746, 0.8), (832, 0.7), (1003, 1.2), (1032, 0.8), (1182, 0.5), (1445, 0.9)),
}


def pure(name, axis=AXIS):
    """Spectrum of a substance, its strongest band about 1."""
    out = np.zeros(len(axis))
    for place, height in BANDS[name]:
        out += height / (1 + ((np.asarray(axis) - place) / 6.0) ** 2)
    return out


def values(*parts, seed=0, noise=0.004, axis=AXIS):
    """A scan of a mixture, as ``(name, share)``, with noise and a sloping background, as a tuple."""
    rng = np.random.default_rng(seed)
    out = 0.2 + 1e-4 * (np.asarray(axis) - 200) + noise * rng.normal(size=len(axis))
    for name, share in parts:
        out = out + share * pure(name, axis)
    return tuple(out.tolist())


def library(path, *names, version="1", mislabelled=None):
    """A library of substances, in a file; `mislabelled` maps a name to what its spectrum really is."""
    builder = LibraryBuilder("test", version=version, created="2026-11-22")
    for name in names:
        deadly = name == "fentanyl-x"
        compound = Compound(
            name, name.title(), category="opioid/fentanyl-analogue" if deadly else "cutting-agent",
            fentanyl_related="yes" if deadly else "",
        )  # fmt: skip
        truth = (mislabelled or {}).get(name, name)
        rng = np.random.default_rng(100 + NAMES.index(name))
        intensity = pure(truth) + 0.002 * rng.normal(size=len(AXIS))
        builder.add(
            Spectrum(AXIS, intensity, technique="raman", name=name), compound, tier="measured",
            licence="CC0-1.0", source="test",
        )  # fmt: skip
    builder.write(path)
    return path
