"""Preprocessing on measured spectra: what must go goes, what is band stays."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from spectralid import Spectrum
from spectralid.preprocess import (
    Baseline,
    Derivative,
    Despike,
    Normalize,
    Pipeline,
    Resample,
    SavitzkyGolay,
    resample,
)


def numbers(path: Path) -> Spectrum:
    """The last two columns of the file's numeric lines; nothing of our readers."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = re.split(r"[,\t ]+", line.strip(", \t"))
        if len(fields) >= 2:
            try:
                rows.append((float(fields[-2]), float(fields[-1])))
            except ValueError:
                continue
    axis, intensity = np.array(rows).T
    return Spectrum.from_points(axis, intensity, technique="raman", unit="counts", name=path.stem)


@pytest.fixture(scope="module")
def wasatch(shared_data: Path) -> dict[str, Spectrum]:
    folder = shared_data / "wasatch-enlighten" / "default_matching_library"
    found = {path.stem: numbers(path) for path in sorted(folder.glob("*.csv"))}
    assert len(found) == 80
    return found


@pytest.fixture(scope="module")
def lowcost(shared_data: Path) -> list[Spectrum]:
    return [
        numbers(path)
        for path in sorted((shared_data / "whenfung-raman").rglob("*.txt"))
        if path.name != "SOURCE.txt"
    ]


def test_despiking_takes_no_point_of_80_library_spectra(wasatch: dict[str, Spectrum]) -> None:
    taken = {name: int(Despike()(s).missing.sum()) for name, s in wasatch.items()}
    assert {name for name, count in taken.items() if count} == set()


def test_band_heights_of_polystyrene_are_untouched(wasatch: dict[str, Spectrum]) -> None:
    raw = wasatch["polystyrene"]
    np.testing.assert_array_equal(Despike()(raw).intensity, raw.intensity)


def test_spikes_put_on_a_real_spectrum_are_taken_and_its_bands_are_not(wasatch: dict[str, Spectrum]) -> None:
    raw = wasatch["polystyrene"]
    height = float(np.ptp(raw.intensity))
    y = raw.intensity.copy()
    places = [111, 517, 1203, 1650]
    y[places] += 0.3 * height
    y[[518, 1651]] += 0.1 * height
    after = Despike()(Spectrum(raw.axis, y, technique="raman"))
    assert set(places) <= set(np.flatnonzero(after.missing))
    assert after.missing.sum() <= 8
    kept = ~after.missing
    assert np.abs(after.intensity[kept] - raw.intensity[kept]).max() < 0.02 * height


def test_the_only_spikes_of_a_low_cost_unit_are_its_two_cosmic_rays(lowcost: list[Spectrum]) -> None:
    assert len(lowcost) > 30
    marked = {
        (round(s.axis[i]), float(s.intensity[i]))
        for s in lowcost
        for i in np.flatnonzero(Despike()(s).missing)
    }
    assert marked == {(2180, 5767.0), (2180, 5207.0)}


@pytest.mark.parametrize("method", ["arpls", "airpls", "asls", "snip"])
def test_baselines_lie_under_the_bands(wasatch: dict[str, Spectrum], method: str) -> None:
    for name, raw in wasatch.items():
        after = Baseline(method)(raw).intensity
        height = after.max()
        noise = 1.4826 * np.median(np.abs(np.diff(raw.intensity))) / np.sqrt(2)
        assert height > 0, name
        # Little of it may dip below zero by more than the noise and a fiftieth of the strongest band.
        dips = np.mean(after < -(4 * noise + 0.02 * height))
        assert dips < 0.03, (name, dips)


def test_arpls_says_when_it_has_not_converged_and_is_close_even_then(wasatch: dict[str, Spectrum]) -> None:
    stopped = {
        name: raw
        for name, raw in wasatch.items()
        if not Baseline()(raw).history[-1].parameters["outcome"]["converged"]
    }
    # Weights still swing at a few points after 50 rounds in 11 of 80; the baseline itself hardly moves.
    assert len(stopped) < 16
    for name, raw in stopped.items():
        patient = Baseline(max_iter=300).baseline_of(raw)
        assert np.abs(Baseline().baseline_of(raw) - patient).max() < 0.02 * np.ptp(raw.intensity), name


def test_the_strongest_polystyrene_band_stays_where_the_standard_has_it(wasatch: dict[str, Spectrum]) -> None:
    steps = Pipeline([Despike(), Baseline(), SavitzkyGolay(7, 3), Resample(3.0, 150.0, 3219.0)])
    after = steps(wasatch["polystyrene"])
    assert after.n_points == 1024
    top = np.nanargmax(after.intensity)
    around = slice(top - 1, top + 2)
    a, b, _ = np.polyfit(after.axis[around], after.intensity[around], 2)
    # 1001.4 cm⁻¹ in ASTM E1840; the grid is 3 cm⁻¹ wide.
    assert -b / (2 * a) == pytest.approx(1001.4, abs=1.5)
    low, high = wasatch["polystyrene"].range
    outside = (after.axis < low) | (after.axis > high)
    np.testing.assert_array_equal(after.missing, outside)


def test_resampling_keeps_area_and_lowers_no_band_beyond_its_cell(wasatch: dict[str, Spectrum]) -> None:
    grid = 150.0 + 3.0 * np.arange(1024)
    for raw in wasatch.values():
        out = resample(raw.axis, raw.intensity, grid)
        known = ~np.isnan(out)
        inside = (raw.axis >= grid[known][0]) & (raw.axis <= grid[known][-1])
        area = (
            np.sum((raw.intensity[inside][1:] + raw.intensity[inside][:-1]) * np.diff(raw.axis[inside])) / 2
        )
        mean = np.sum((out[known][1:] + out[known][:-1]) * 1.5)
        assert mean == pytest.approx(area, rel=2e-3)
        assert np.nanmax(out) <= raw.intensity.max()


def test_the_whole_chain_replays_on_every_spectrum(lowcost: list[Spectrum]) -> None:
    chain = Pipeline([Despike(), Baseline(), Resample(3.0), Derivative(9, 2), Normalize("vector")])
    for raw in lowcost:
        after = chain(raw)
        done = after.history[len(raw.history) :]
        assert Pipeline.from_history(done)(raw).sha256 == after.sha256
