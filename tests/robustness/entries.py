"""Every public entry that takes a spectrum, as one call each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from spectralid import Acquisition, Pipeline, Spectrum, read, write
from spectralid.calibration import (
    calibrate_axis,
    calibrate_intensity,
    check_film,
    find_peaks,
)
from spectralid.identify import signal_quality
from spectralid.plot import save, spectrum_figure
from spectralid.preprocess import (
    Baseline,
    Crop,
    Derivative,
    Despike,
    Normalize,
    Resample,
    SavitzkyGolay,
    baseline_of,
    despike_frames,
    resample,
    to_absorbance,
)
from spectralid.preprocess._base import Step
from spectralid.qa.check import Darkness, check_performance
from spectralid.qa.likeness import noise_match
from spectralid.qa.robustness import STRESSES, Stress, disturb
from tests.calibration.simulated import POLYSTYRENE
from tests.calibration.simulated import spectrum as simulated
from tests.preprocess._data import STEPS as EVERY_STEP
from tests.preprocess._data import label
from tests.robustness.spectra import plain, raman

GRID: Final = np.arange(150.0, 3220.0, 3.0)
ORDINARY: Final = raman(plain())
STANDARD: Final = simulated(
    POLYSTYRENE,
    np.random.default_rng(0),
    acquisition=Acquisition(
        instrument="Test", serial="A-1", laser_nm=785.0, integration_ms=500.0, power_mw=100.0
    ),
)
AXIS_RECORD: Final = calibrate_axis(STANDARD, "polystyrene")

STEPS: Final[Mapping[str, Step]] = {
    **{
        label(step): step
        for step in EVERY_STEP
        if step.name not in ("mark_missing", "crop") and getattr(step, "grid", None) is None
    },
    "crop": Crop(600.0, 1400.0),
    "resample to the grid": Resample(grid=GRID),
}
PIPELINES: Final[Mapping[str, Pipeline]] = {
    "as usual": Pipeline([Despike(), Baseline(), SavitzkyGolay(9, 3), Normalize("snv"), Resample(3.0)]),
    "derivative": Pipeline([Despike(), Derivative(11, 3, 1), Normalize("vector")]),
}


def _frames(spectrum: Spectrum) -> Any:
    return despike_frames([spectrum, spectrum.replace(intensity=0.99 * spectrum.intensity), spectrum])


def _dark(spectrum: Spectrum) -> Any:
    return Darkness.of_spectra([spectrum, spectrum.replace(intensity=0.99 * spectrum.intensity)], 65535)


def _drawn(spectrum: Spectrum, folder: Path) -> bytes:
    save(spectrum_figure([spectrum, spectrum]), folder / "drawn.png")
    return (folder / "drawn.png").read_bytes()


def _back(suffix: str) -> Callable[[Spectrum, Path], Spectrum]:
    def there_and_back(spectrum: Spectrum, folder: Path) -> Spectrum:
        file = folder / f"kept{suffix}"
        file.unlink(missing_ok=True)
        write(spectrum, file)
        return read(file)

    return there_and_back


ROUND_TRIPS: Final = {suffix: _back(suffix) for suffix in (".h5", ".nxs", ".jdx", ".csv")}

ENTRIES: Final[Mapping[str, Callable[[Spectrum, Path], Any]]] = {
    **{name: lambda s, _, step=step: step(s) for name, step in STEPS.items()},
    **{f"pipeline {name}": lambda s, _, line=line: line(s) for name, line in PIPELINES.items()},
    "resample": lambda s, _: resample(s.axis, s.intensity, GRID),
    "baseline_of": lambda s, _: baseline_of(s),
    "to_absorbance": lambda s, _: to_absorbance(s.replace(technique="ftir", unit="transmittance")),
    "despike_frames": lambda s, _: _frames(s),
    "signal_quality": lambda s, _: signal_quality(s),
    "calibrate_intensity": lambda s, _: calibrate_intensity(s, "srm-2241", laser_nm=785.0),
    "axis calibration applied": lambda s, _: AXIS_RECORD.apply(s),
    "darkness": lambda s, _: _dark(s),
    "noise_match": lambda s, _: noise_match(s.axis, s.intensity, ORDINARY.axis, ORDINARY.intensity),
    **{f"disturb {name}": lambda s, _, name=name: disturb(s, Stress(name, 2.0)) for name in STRESSES},
    "plot": _drawn,
}
"""What is quick."""

FITTED: Final[Mapping[str, Callable[[Spectrum, Path], Any]]] = {
    "find_peaks": lambda s, _: find_peaks(s),
    "calibrate_axis": lambda s, _: calibrate_axis(s, "polystyrene"),
    "check_film": lambda s, _: check_film(s.replace(technique="ftir_transmission", unit="absorbance")),
    "check_performance": lambda s, _: check_performance(s, "polystyrene"),
    "check_performance against accepted": lambda s, _: check_performance(
        STANDARD, "polystyrene", accepted=s.replace(acquisition=STANDARD.acquisition)
    ),
}
"""What fits bands, and takes as long as there are bumps."""
