"""Band tables from measured spectra: baseline, then pseudo-Voigt bands added while the noise justifies them.

The method, the same for every spectrum:

1. *Baseline*: arPLS (pybaselines).
2. *Noise*: variance = floor + gain · signal, from fourth differences (which bands hardly touch) and, for the
   floor, from the flat quarter of the spectrum. A band shape is never known exactly, so 1 % of the signal is
   added: differences below that are not taken for bands.
3. *Detection*: where the residual, filtered with a band-shaped window, stands highest above its noise.
4. *Fit*: all bands together by least squares, weighted, with the analytic Jacobian.
5. *Stopping*: new bands stay only if the Bayesian information criterion falls; at the end those whose removal
   lowers it go.

Run ``python libraries/bands/fit_bands.py FOLDER`` with the folder of the Wasatch reference spectra to make
``wasatch_bands.csv`` and ``wasatch_entries.csv`` anew from ``wasatch_substances.csv`` (file, slug, form);
with ``--check N`` it fits N of them again and compares with what is there.

Positions are corrected by one offset, fitted from the same unit's polystyrene to the positions of ASTM E1840.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.linalg import pinvh
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.optimize import least_squares
from scipy.signal import savgol_filter

from spectralid.library.bands import BAND_COLUMNS, Band, read_bands, sum_of_bands

HERE = Path(__file__).resolve().parent

# ASTM E1840-96 (2014) shifts of polystyrene in cm⁻¹ that lie in the unit's range, leaving out 1450.5: it is a
# doublet here, so its centre depends on how it is divided.
POLYSTYRENE_CM1 = (620.9, 795.8, 1001.4, 1031.8, 1155.3, 1583.1, 1602.3)

FWHM_RANGE = (3.0, 150.0)
SHAPE_UNCERTAINTY = 0.02
SMALLEST_BAND = 0.002
BASELINE_STIFFNESS = 1e9
DETECTION_Z = 5.0
BANDS_PER_ROUND = 12
MAXIMUM_BANDS = 90
NEIGHBOURHOOD_CM1 = 60.0


@dataclass(frozen=True)
class Fit:
    """Fitted bands and how well they represent the spectrum."""

    bands: tuple[Band, ...]
    baseline: np.ndarray
    noise: np.ndarray
    correlation: float


def noise_sd(y: np.ndarray) -> np.ndarray:
    """Standard deviation of each point: a floor plus shot noise, both read off the spectrum itself."""
    smooth = np.clip(savgol_filter(y, 11, 2), 0, None)
    flat = smooth <= np.quantile(smooth, 0.25)
    slow = y - savgol_filter(y, 51, 2)
    floor = 1.4826 * np.median(np.abs(slow[flat] - np.median(slow[flat])))
    # The fourth difference of independent noise has 70 times its variance.
    difference = np.convolve(y, [1, -4, 6, -4, 1], mode="same") / np.sqrt(70)
    order = np.argsort(smooth)[2:-2]
    gains = []
    for part in np.array_split(order, 20):
        signal = float(smooth[part].mean())
        variance = (1.4826 * np.median(np.abs(difference[part]))) ** 2
        if signal > 10 * floor:
            gains.append(max(variance - floor**2, 0.0) / signal)
    gain = float(np.median(gains)) if gains else 0.0
    return np.sqrt(floor**2 + gain * smooth)


def fit_spectrum(
    x: np.ndarray, y: np.ndarray, *, subtract_baseline: bool = True, most: int = MAXIMUM_BANDS
) -> Fit:
    """Bands of one spectrum.

    Parameters
    ----------
    x, y : ndarray of float, shape (n_points,)
        Axis in cm⁻¹, evenly spaced, and intensities.
    subtract_baseline : bool
        Whether to subtract an arPLS baseline first.
    most : int
        Bands after which no more are looked for.

    Returns
    -------
    Fit
        Bands in order of position; heights in the unit of `y`.
    """
    baseline = np.zeros_like(y)
    if subtract_baseline:
        from pybaselines import Baseline

        baseline = Baseline(x_data=x).arpls(y, lam=BASELINE_STIFFNESS)[0]
    signal = y - baseline
    noise = noise_sd(signal)
    shape_sd = SHAPE_UNCERTAINTY * np.clip(gaussian_filter1d(signal, 4), 0, None)
    model_sd = np.sqrt(noise**2 + shape_sd**2 + (SMALLEST_BAND * signal.max()) ** 2)
    step = float(x[1] - x[0])
    bands: list[Band] = []
    best_bic = _bic(signal, model_sd, np.zeros_like(y), 0)
    while len(bands) < most:
        found = _detect(x, signal - sum_of_bands(x, bands), model_sd, step)
        if not found:
            break
        trial = _fit(x, signal, model_sd, [*bands, *found])
        bic = _bic(signal, model_sd, sum_of_bands(x, trial), len(trial))
        if bic >= best_bic:
            if len(found) == 1:
                break
            # Some of a batch may be worth it although the batch is not: try the strongest alone.
            trial = _fit(x, signal, model_sd, [*bands, found[0]])
            bic = _bic(signal, model_sd, sum_of_bands(x, trial), len(trial))
            if bic >= best_bic:
                break
        bands, best_bic = trial, bic
    bands = _prune(x, signal, model_sd, bands)
    bands = sorted(_with_uncertainty(x, signal, model_sd, bands), key=lambda band: band.position)
    return Fit(tuple(bands), baseline, noise, derivative_correlation(signal, sum_of_bands(x, bands)))


def derivative_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two spectra's smoothed first derivatives, which is what retrieval compares."""
    da, db = (savgol_filter(v, 9, 2, deriv=1) for v in (a, b))
    # No bands at all resemble nothing.
    return float(np.corrcoef(da, db)[0, 1]) if da.std() > 0 and db.std() > 0 else 0.0


def _bic(
    signal: np.ndarray, sd: np.ndarray, model: np.ndarray, n_bands: int, points_per_value: float = 1.0
) -> float:
    """Bayesian information criterion where `points_per_value` neighbouring points tell as much as one."""
    misfit = np.sum(((signal - model) / sd) ** 2) / points_per_value
    return float(misfit + 4 * n_bands * np.log(signal.size / points_per_value))


def _points_per_value(residual: np.ndarray) -> float:
    """How many neighbouring points count as one value, from the residual's lag-1 correlation.

    The source interpolated its spectra, and what a band model leaves over is smooth: neighbours are not
    independent. Beyond the seven or so points of one band's width they are.
    """
    rho = float(np.clip(np.corrcoef(residual[:-1], residual[1:])[0, 1], 0.0, 0.75))
    return (1 + rho) / (1 - rho)


def _detect(x: np.ndarray, residual: np.ndarray, sd: np.ndarray, step: float) -> list[Band]:
    """Starting values for the bands that stand out of a residual, strongest first."""
    best_z = np.full(x.size, -np.inf)
    best_width = np.zeros(x.size)
    for fwhm in (8.0, 16.0, 32.0):
        sigma = fwhm / 2.3548 / step
        # Weighted mean under a Gaussian window, over its standard deviation for independent noise.
        mean = gaussian_filter1d(residual / sd, sigma)
        z = mean * np.sqrt(2 * np.sqrt(np.pi) * sigma)
        wins = z > best_z
        best_z[wins], best_width[wins] = z[wins], fwhm
    peaks = np.flatnonzero(
        (best_z == maximum_filter1d(best_z, max(3, round(10 / step)))) & (best_z > DETECTION_Z)
    )
    strongest = peaks[np.argsort(best_z[peaks])[::-1][:BANDS_PER_ROUND]]
    smooth = gaussian_filter1d(residual, 1.5 / step)
    return [
        Band(float(x[i]), max(float(smooth[i]), float(sd[i])), float(best_width[i]), 0.5) for i in strongest
    ]


def _pack(bands: list[Band]) -> np.ndarray:
    return np.array([(b.position, b.height, b.fwhm, b.eta) for b in bands]).ravel()


def _unpack(values: np.ndarray) -> list[Band]:
    return [Band(*map(float, row)) for row in values.reshape(-1, 4)]


def _model(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    p, h, w, e = values.reshape(-1, 4).T[:, :, np.newaxis]
    u2 = ((x - p) * (2 / w)) ** 2
    return np.sum(h * (e / (1 + u2) + (1 - e) * np.exp(-np.log(2) * u2)), axis=0)


def _jacobian(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Derivatives of the sum of bands by position, height, width and shape, shape (n_points, 4 n_bands)."""
    p, h, w, e = values.reshape(-1, 4).T[:, :, np.newaxis]
    u = (x - p) * (2 / w)
    u2 = u * u
    lorentz = 1 / (1 + u2)
    gauss = np.exp(-np.log(2) * u2)
    by_u2 = h * (-e * lorentz**2 - (1 - e) * np.log(2) * gauss)
    parts = [
        by_u2 * 2 * u * (-2 / w),
        e * lorentz + (1 - e) * gauss,
        by_u2 * (-2 * u2 / w),
        h * (lorentz - gauss),
    ]
    return np.stack(parts, axis=1).reshape(-1, x.size).T


def _fit(
    x: np.ndarray, signal: np.ndarray, sd: np.ndarray, bands: list[Band], evaluations: int = 12
) -> list[Band]:
    """The bands fitted together by weighted least squares, from where they stand.

    While bands still come and go it need not run to the end; `evaluations` bounds how far it goes.
    """
    start = _pack(bands)
    low = np.tile([0.0, 0.0, FWHM_RANGE[0], 0.0], len(bands))
    high = np.tile([0.0, np.inf, FWHM_RANGE[1], 1.0], len(bands))
    # A band may move by half its width: more than that is another band.
    reach = np.maximum(4.0, 0.5 * start[2::4])
    low[0::4], high[0::4] = start[0::4] - reach, start[0::4] + reach
    scale = np.ones_like(start)
    scale[0::4], scale[1::4], scale[2::4], scale[3::4] = (
        1.0,
        np.maximum(start[1::4], sd.min()),
        start[2::4],
        0.3,
    )
    inside = np.clip(start, low + 1e-9, np.where(np.isinf(high), start + 1, high - 1e-9))
    result = least_squares(
        lambda v: (_model(x, v) - signal) / sd,
        inside,
        jac=lambda v: _jacobian(x, v) / sd[:, np.newaxis],
        bounds=(low, high),
        x_scale=scale,
        max_nfev=evaluations,
        ftol=1e-6,
        xtol=1e-6,
    )
    return [b for b in _unpack(result.x) if b.height > 0]


def _fit_near(
    x: np.ndarray, signal: np.ndarray, sd: np.ndarray, bands: list[Band], place: Band
) -> list[Band]:
    """The bands with those beside `place` fitted again, the others as they are."""
    reach = NEIGHBOURHOOD_CM1 + place.fwhm
    near = [band for band in bands if abs(band.position - place.position) < reach]
    far = [band for band in bands if abs(band.position - place.position) >= reach]
    window = np.abs(x - place.position) < 1.5 * reach
    if not near or window.sum() < 5 * len(near):
        return bands
    rest = signal[window] - sum_of_bands(x[window], far)
    return far + _fit(x[window], rest, sd[window], near)


def _prune(x: np.ndarray, signal: np.ndarray, sd: np.ndarray, bands: list[Band]) -> list[Band]:
    """Without the bands that the information criterion does not want, weakest evidence first."""
    thin = _points_per_value((signal - sum_of_bands(x, bands)) / sd)
    kept = set()
    while True:
        total = sum_of_bands(x, bands)
        bic = _bic(signal, sd, total, len(bands), thin)
        without = {
            i: _bic(signal, sd, total - sum_of_bands(x, [band]), len(bands) - 1, thin)
            for i, band in enumerate(bands)
            if round(band.position) not in kept
        }
        weakest = min(without, key=without.__getitem__, default=None)
        # Refitting the others can win back a loss, but hardly this much.
        if weakest is None or without[weakest] - bic > 100:
            return _fit(x, signal, sd, bands, evaluations=40)
        trial = _fit_near(x, signal, sd, bands[:weakest] + bands[weakest + 1 :], bands[weakest])
        if _bic(signal, sd, sum_of_bands(x, trial), len(trial), thin) < bic:
            bands = trial
        else:
            kept.add(round(bands[weakest].position))


def _with_uncertainty(x: np.ndarray, signal: np.ndarray, sd: np.ndarray, bands: list[Band]) -> list[Band]:
    if not bands:
        return []
    values = _pack(bands)
    weighted = _jacobian(x, values) / sd[:, np.newaxis]
    residual = (signal - _model(x, values)) / sd
    freedom = max(x.size - values.size, 1)
    inflation = max(1.0, float(residual @ residual) / freedom) * _points_per_value(residual)
    scale = 1 / np.linalg.norm(weighted, axis=0)
    covariance = pinvh((weighted * scale).T @ (weighted * scale)) * np.outer(scale, scale) * inflation
    spread = np.sqrt(np.clip(np.diag(covariance), 0, None)).reshape(-1, 4)
    return [
        replace(band, position_sd=float(s[0]), height_sd=float(s[1]), fwhm_sd=float(s[2]))
        for band, s in zip(bands, spread, strict=True)
    ]


@dataclass(frozen=True)
class AxisOffset:
    """What to subtract from positions, its standard deviation, and from how many bands it was taken."""

    offset: float
    sd: float
    n_bands: int


def axis_offset(bands: Sequence[Band], standard: Sequence[float] = POLYSTYRENE_CM1) -> AxisOffset:
    """Offset of an axis from fitted bands of a standard: weighted mean of measured minus stated positions.

    The stated positions are means over laboratories; half a cm⁻¹ of scatter is allowed for each. A band more
    than 5 cm⁻¹ from a stated position is not taken for it.
    """
    differences, weights = [], []
    for stated in standard:
        nearest = min(bands, key=lambda band: abs(band.position - stated))
        if abs(nearest.position - stated) < 5:
            differences.append(nearest.position - stated)
            weights.append(1 / (nearest.position_sd**2 + 0.5**2))
    if len(differences) < 4:
        raise SystemExit(
            f"Only {len(differences)} bands of the axis standard were found; no offset can be fitted."
        )
    d, w = np.array(differences), np.array(weights)
    return AxisOffset(float(d @ w / w.sum()), float(w.sum() ** -0.5), d.size)


def fit_file(path: Path) -> tuple[Fit, tuple[float, float], float]:
    """Fit of one file, its range and its laser wavelength."""
    from spectralid import read

    spectrum = read(path, technique="raman")
    fit = fit_spectrum(spectrum.axis, spectrum.intensity)
    return fit, spectrum.range, float(spectrum.acquisition.laser_nm or np.nan)


def band_rows(entry: str, fit: Fit, axis: AxisOffset) -> list[dict[str, str]]:
    """Rows of the band table: positions corrected, heights relative to the strongest band."""
    strongest = max(band.height for band in fit.bands)
    return [
        dict(
            zip(
                BAND_COLUMNS,
                (
                    entry,
                    f"{band.position - axis.offset:.2f}",
                    f"{np.hypot(band.position_sd, axis.sd):.2f}",
                    f"{band.height / strongest:.5f}",
                    f"{band.height_sd / strongest:.5f}",
                    f"{band.fwhm:.2f}",
                    f"{band.fwhm_sd:.2f}",
                    f"{band.eta:.3f}",
                ),
                strict=True,
            )
        )
        for band in fit.bands
    ]


def _read(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(name: str, rows: Sequence[dict[str, str]]) -> None:
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def make(folder: Path) -> None:
    """Fit every file named in ``wasatch_substances.csv`` and write both tables."""
    from tqdm import tqdm

    axis = axis_offset(fit_file(folder / "polystyrene.csv")[0].bands)
    print(f"axis offset {axis.offset:+.2f} ± {axis.sd:.2f} cm⁻¹ from {axis.n_bands} polystyrene bands")
    bands: list[dict[str, str]] = []
    entries: list[dict[str, str]] = []
    for row in tqdm(_read("wasatch_substances.csv"), disable=not sys.stderr.isatty()):
        entry = Path(row["file"]).stem
        fit, (low, high), laser = fit_file(folder / row["file"])
        bands += band_rows(entry, fit, axis)
        entries.append(
            {
                "entry": entry,
                "slug": row["slug"],
                "form": row["form"],
                "first_cm1": f"{low - axis.offset:.2f}",
                "last_cm1": f"{high - axis.offset:.2f}",
                "laser_nm": f"{laser:g}",
                "n_bands": str(len(fit.bands)),
                "derivative_correlation": f"{fit.correlation:.4f}",
                "axis_offset_cm1": f"{axis.offset:.2f}",
                "axis_offset_sd_cm1": f"{axis.sd:.2f}",
            }
        )
    _write("wasatch_bands.csv", bands)
    _write("wasatch_entries.csv", entries)


def check(folder: Path, count: int) -> int:
    """Fit the `count` entries with the fewest bands again; 0 if their spectra are those of the tables.

    Another machine's rounding can lead the fit along another path, so spectra are compared, not digits.
    """
    entries = sorted(_read("wasatch_entries.csv"), key=lambda row: (int(row["n_bands"]), row["entry"]))
    stored = read_bands(HERE / "wasatch_bands.csv")
    bad = 0
    for row in entries[:count]:
        fit, (low, high), _ = fit_file(folder / f"{row['entry']}.csv")
        axis = np.arange(low, high)
        was = sum_of_bands(axis - float(row["axis_offset_cm1"]), stored[row["entry"]])
        agreement = derivative_correlation(was, sum_of_bands(axis, fit.bands))
        bad += agreement < 0.999
        print(f"{row['entry']}: {len(fit.bands)} bands, {row['n_bands']} stored, correlation {agreement:.5f}")
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of the Wasatch reference spectra")
    parser.add_argument("--check", type=int, metavar="N", help="only fit N again and compare")
    arguments = parser.parse_args()
    if arguments.check:
        raise SystemExit(check(arguments.folder, arguments.check))
    make(arguments.folder)
