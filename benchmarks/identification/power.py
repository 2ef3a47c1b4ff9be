"""How much of a substance must be there: the limit nobody can beat, and how far a method is from it.

The oracle knows which substances are there, their true spectra on that very instrument, and how grains, glow
and photons scatter. It estimates the amount by weighted least squares, which for a Gaussian is the best
unbiased way (Cramér–Rao), and reports the substance where the amount exceeds `Z_ALARM` standard deviations:
power Φ(c/σ − z). `efficiency` compares a method's limit with the oracle's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import generator
import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import isotonic_regression
from scipy.special import ndtr, ndtri

ALARMS = 0.001
Z_ALARM = float(ndtri(1 - ALARMS))
Z_POWER = float(ndtri(0.9))
LOD90 = Z_ALARM + Z_POWER
"""Standard deviations of the amount that are detected nine times in ten at `ALARMS`."""

EXACT = generator.Spread(0.0, 0.0, 0.0)
# Electronics of the generator: read noise and offset.
_READ_VARIANCE, _OFFSET = 64.0, 200.0
_GLOWS = 60
BEYOND = 100.0
"""Limit of what is never reached, in limits of the oracle."""


@dataclass(frozen=True)
class Oracle:
    """The best linear detector of one substance beside another on one instrument.

    Attributes
    ----------
    weights : ndarray, shape (n_points,)
        Estimate of the share is ``weights @ counts - offset``.
    offset : float
        See `weights`.
    sd : float
        Standard deviation of the estimated share where there is none of it.
    """

    weights: np.ndarray
    offset: float
    sd: float

    @property
    def lod90(self) -> float:
        """Share that is detected nine times in ten."""
        return LOD90 * self.sd

    def power(self, share: float) -> float:
        """Probability that the share is detected."""
        return float(ndtr(share / self.sd - Z_ALARM))

    def detects(self, counts: np.ndarray) -> bool:
        """Whether it reports the substance."""
        return bool(self.weights @ counts - self.offset > Z_ALARM * self.sd)


def grain_columns(
    substance: generator.Substance, scanner: generator.Unit, spread: generator.Spread
) -> np.ndarray:
    """Covariance of a grain's signal as columns, (n_points, 3 · n_lines): small changes of each line."""
    rng = np.random.default_rng(0)  # nothing is drawn: the spread is zero

    def line(i: int, move: float = 0.0, broaden: float = 1.0) -> np.ndarray:
        one = replace(
            substance,
            positions=substance.positions[i : i + 1] + move,
            strengths=np.ones(1),
            gammas=substance.gammas[i : i + 1] * broaden,
        )
        return generator.signal(one, scanner, rng, EXACT)

    whole = generator.signal(substance, scanner, rng, EXACT)
    share = substance.strengths / substance.strengths.sum()
    columns = []
    for i in np.flatnonzero(share > 1e-4):
        columns.append(spread.height * share[i] * (line(i) - whole))
        columns.append(spread.place * share[i] * (line(i, 0.5) - line(i, -0.5)))
        columns.append(
            spread.width * share[i] * (line(i, broaden=1.05) - line(i, broaden=1 / 1.05)) / (2 * np.log(1.05))
        )
    return np.stack(columns, axis=1)


def mean_signal(
    substance: generator.Substance, scanner: generator.Unit, spread: generator.Spread
) -> np.ndarray:
    """Mean over grains: lines that jump about by `spread.place` are so much broader on average."""
    broad = replace(scanner, sigma=float(np.hypot(scanner.sigma, spread.place)))
    return generator.signal(substance, broad, np.random.default_rng(0), EXACT)


def unit_columns(substance: generator.Substance, scanner: generator.Unit) -> np.ndarray:
    """Covariance of what units do to a signal as columns: what `generator.unit` draws, to first order."""
    rng = np.random.default_rng(0)

    def seen(**change: Any) -> np.ndarray:
        return generator.signal(substance, replace(scanner, **change), rng, EXACT)

    columns = [
        1.5 * (seen(shift=scanner.shift + 0.5) - seen(shift=scanner.shift - 0.5)),
        0.0005 * (seen(stretch=scanner.stretch + 5e-4) - seen(stretch=scanner.stretch - 5e-4)) / 1e-3,
        # Uniform between 6 and 9 cm⁻¹ FWHM.
        3 / 2.3548 / np.sqrt(12) * (seen(sigma=scanner.sigma + 0.1) - seen(sigma=scanner.sigma - 0.1)) / 0.2,
    ]
    for term in range(scanner.response.size):
        more = scanner.response.copy()
        more[term] += 0.15
        columns.append(seen(response=more) - seen())
    return np.stack(columns, axis=1)


def oracle(
    target: generator.Substance,
    matrix: generator.Substance,
    scanner: generator.Unit,
    *,
    spread: generator.Spread,
    peak_counts: float,
    fluorescence: float,
    from_library: bool = False,
    seed: int = 5,
) -> Oracle:
    """The best detector of a little `target` in `matrix`; see `generator.scan` for the rest.

    With `from_library` it does not know this instrument: it has one grain's spectrum on another unit and
    knows how grains and units scatter. That is the best *linear* use of a library, no bound: who estimates
    the shift of an axis from the scan may do better.
    """
    rng = np.random.default_rng(seed)
    axis = generator.axis_of(scanner)
    host, guest = mean_signal(matrix, scanner, spread), mean_signal(target, scanner, spread)
    height = peak_counts / host.max()
    glows = fluorescence * peak_counts * np.stack([generator.glow(axis, rng) for _ in range(_GLOWS)])
    middle = glows.mean(axis=0)
    noise = height * host + middle + _OFFSET + _READ_VARIANCE
    known = [(glows - middle).T / np.sqrt(_GLOWS - 1)]
    if spread != EXACT:
        known.append(height * grain_columns(matrix, scanner, spread))
    if from_library:
        # The reference is a grain of its own, on a unit of its own.
        known.append(known[-1])
        known.append(height * unit_columns(matrix, scanner))
    scale = 1 / np.sqrt(noise)
    # Scatter as columns beside white noise; the matrix itself may be there in any amount.
    scatter = scale[:, None] * np.concatenate(known, axis=1)
    factor = cho_factor(np.eye(scatter.shape[1]) + scatter.T @ scatter)

    def inverse(v: np.ndarray) -> np.ndarray:
        return np.asarray(v - scatter @ cho_solve(factor, scatter.T @ v))

    a, b = scale * guest * height, scale * host * height
    ia, ib = inverse(a), inverse(b)
    direction = ia - ib * float((b @ ia) / (b @ ib))
    information = float(a @ direction)
    weights = scale * direction / information
    return Oracle(weights, float(weights @ (middle + _OFFSET)), 1 / np.sqrt(information))


def limit(x: np.ndarray, hits: np.ndarray, at: float = 0.9) -> float:
    """Amount from which on a share of `at` is detected; `BEYOND` if that many never are.

    The curve over log x only has to rise (isotonic regression): pairs differ too much for any one shape.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Amounts, in any unit, above 0.
    hits : ndarray of bool, shape (n,)
        Whether it was detected.
    at : float
        Power.
    """
    levels, where = np.unique(x, return_inverse=True)
    counts = np.bincount(where)
    shares = np.bincount(where, hits) / counts
    power = isotonic_regression(shares, weights=counts).x
    above = np.flatnonzero(power >= at)
    if not above.size:
        return BEYOND
    first = int(above[0])
    if first == 0:
        return float(levels[0])
    part = (at - power[first - 1]) / (power[first] - power[first - 1])
    low, high = np.log(levels[first - 1]), np.log(levels[first])
    return float(np.exp(low + part * (high - low)))


def efficiency(
    x: np.ndarray, hits: np.ndarray, group: np.ndarray, *, draws: int = 300, seed: int = 3
) -> tuple[float, float, float]:
    """η with its 95 % interval: the limit of a method in limits of the oracle.

    Parameters
    ----------
    x : ndarray
        Shares over the oracle's LOD90.
    hits : ndarray of bool
        Whether the method detected it.
    group : ndarray
        Pair of substances each scan is of; whole pairs are drawn anew, because scans of one are alike.
    """
    names = np.unique(group)
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(group == n) for n in names]
    drawn = []
    for _ in range(draws):
        rows = np.concatenate([members[i] for i in rng.integers(0, len(names), len(names))])
        drawn.append(limit(x[rows], hits[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return limit(x, hits), float(low), float(high)


def drawn_sd(found: Oracle, scans: list[Any]) -> float:
    """Standard deviation of the oracle's estimate over scans that were drawn, for comparison with `sd`."""
    return float(np.std([found.weights @ s.intensity - found.offset for s in scans], ddof=1))
