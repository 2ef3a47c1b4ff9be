"""Whether two seizures hold the same mixture: a likelihood ratio from the fingerprints of whole mixtures.

Two questions are kept apart, each with its own ratio:

* *mixture*: the same mixture, against **another mixture of the same substances**. That is the hard
  alternative: the same substances in other proportions must not pass for the same mixture. Batches weighed
  alike by one exact recipe, as those of a medicine are, count as one mixture: nothing tells them apart.
* *substances*: the same substances in any proportions, against other substances, down to mixtures that share
  all of them but one.

Two fingerprints are compared after the axis, width and response of instruments have been allowed for: by
what is left of their difference, how that compares with the noise and with how much scans of one item differ,
and by how evenly it is spread over the spectrum. A logistic model weighs these features; it was fitted on
simulated seizures and calibrated on others (`benchmarks/reachback/linkage.py`), and no ratio goes beyond what
that many independent batches can support.

The very same numbers in two cases are found when they come in, and are no evidence here: a copied file is
not a second measurement. Marks of a press or a package do not show in a spectrum.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from spectralid.errors import TechniqueError
from spectralid.reachback.intelligence.fingerprint import LEAST_POINTS, VERSION, Fingerprint
from spectralid.spectrum import FloatArray

__all__ = ["FEATURES", "SIGNS", "Comparison", "LinkageModel", "compare", "features", "together", "words"]

Question = Literal["mixture", "substances"]

FEATURES: Final = (
    "log distance",
    "log distance with the instrument allowed for",
    "log noise",
    "log spread within an item",
    "log unevenness of heights",
    "log unlikeness of windows",
    "log 1/scans",
)
"""What a model weighs, in this order."""
SIGNS: Final = (-1, -1, 1, 1, -1, -1, 1)
"""Whether each may speak against one source as it grows (-1), or only excuse a distance (1)."""

_MODEL: Final = Path(__file__).with_name("linkage.json")
_WINDOW: Final = 40  # points: 120 cm⁻¹ of Raman shift, several bands
_UNLIKE: Final = 0.5  # cosine below which nothing speaks for one source
_CLEAR: Final = 4.0  # times its noise that a window's energy must be for its height to mean anything

# ENFSI guideline for evaluative reporting in forensic science (2015), section 4.0, note 4.
_SCALE: Final = (
    (math.log10(2), "no support for either"),
    (1.0, "weak support"),
    (2.0, "moderate support"),
    (3.0, "moderately strong support"),
    (4.0, "strong support"),
    (6.0, "very strong support"),
    (math.inf, "extremely strong support"),
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two fingerprints compared.

    Attributes
    ----------
    mixture : float
        log₁₀ of the ratio for the same mixture against another mixture of the same substances.
    substances : float
        log₁₀ of the ratio for the same substances against others.
    capped : bool
        Whether `mixture` would lie further out if the data could support it.
    cosine : float
        Of the two slopes as they are.
    same_unit : bool
        Whether one instrument measured both.
    """

    mixture: float
    substances: float
    capped: bool
    cosine: float
    same_unit: bool


@dataclass(frozen=True, slots=True)
class _Weights:
    offset: float
    weights: FloatArray
    low: float
    high: float

    def __call__(self, x: FloatArray) -> tuple[float, bool]:
        raw = self.offset + float(self.weights @ x)
        value = min(max(raw, self.low), self.high)
        return value, value != raw


class LinkageModel:
    """What features are worth, as it was fitted.

    Parameters
    ----------
    facts : mapping
        As `benchmarks/reachback/linkage.py` writes it.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        if facts.get("schema") != "spectralid.linkage/1" or facts.get("fingerprint") != VERSION:
            raise TechniqueError(
                "The linkage model was not fitted for the fingerprints of this version; fit it anew with "
                "benchmarks/reachback/linkage.py."
            )
        self.facts = facts
        self._of: dict[tuple[str, bool, str], _Weights] = {
            (technique, unit == "same", question): _Weights(
                one["offset"], np.array(one["weights"], dtype=float), one["low"], one["high"]
            )
            for technique, units in facts["models"].items()
            for unit, questions in units.items()
            for question, one in questions.items()
        }

    @classmethod
    def bundled(cls) -> LinkageModel:
        """The model that comes with this version."""
        return _bundled()

    def spread(self, technique: str) -> float:
        """How much scans of one item usually differ, for items that were scanned once."""
        return float(self.facts["usual_spread"][technique])

    def ratio(self, question: Question, technique: str, same_unit: bool, x: FloatArray) -> tuple[float, bool]:
        """log₁₀ of a likelihood ratio, and whether it was cut to what the data support."""
        return self._of[technique, same_unit, question](x)


@cache
def _bundled() -> LinkageModel:
    return LinkageModel(json.loads(_MODEL.read_text(encoding="utf-8")))


def features(one: Fingerprint, other: Fingerprint, *, usual_spread: float) -> FloatArray | None:
    """What two fingerprints have in common, as the numbers that a model weighs (`FEATURES`).

    Parameters
    ----------
    one, other : Fingerprint
        Of one technique, in any order: the features do not depend on it.
    usual_spread : float
        To be taken where an item was scanned once.

    Returns
    -------
    ndarray, shape (7,), or None
        ``None`` if they have too little of the grid in common.
    """
    if one.technique != other.technique:
        raise TechniqueError(f"A fingerprint of {one.technique} says nothing about one of {other.technique}.")
    u = np.linspace(-1.0, 1.0, one.slope.size)
    middle = (one.slope + other.slope) / 2
    steeper = np.gradient(middle)
    broader = np.gradient(steeper)
    known = np.isfinite(broader)
    n = int(known.sum())
    if n < LEAST_POINTS:
        return None
    x, y = _unit(one.slope[known]), _unit(other.slope[known])
    distance = max(1.0 - float(x @ y), 0.0)
    # How a spectrum changes from instrument to instrument, to first order: response, axis, width.
    m, u = middle[known], u[known]
    by_instrument = np.stack(
        [m, m * u, m * (2 * u**2 - 1), m * (4 * u**3 - 3 * u), steeper[known], u * steeper[known],
         broader[known]],
        axis=1,
    )  # fmt: skip
    gram = by_instrument.T @ by_instrument
    # A ridge of a billionth: a spectrum of one band cannot tell all of these apart.
    gram[np.diag_indices_from(gram)] *= 1.0 + 1e-9
    left = (y - x) - by_instrument @ np.linalg.solve(gram, by_instrument.T @ (y - x))
    noise = one.noise + other.noise
    uneven, unlike = _windows((x + y) / 2, left, noise / n)
    spreads = (_own_spread(f, usual_spread) for f in (one, other))
    return np.log(
        [
            distance + 1e-4,
            float(left @ left) / 2 + 1e-4,
            noise + 1e-4,
            sum(spreads) + 1e-4,
            uneven + 1e-2,
            unlike + 1e-4,
            1.0 / one.scans + 1.0 / other.scans,
        ]
    )


def _unit(values: FloatArray) -> FloatArray:
    length = math.sqrt(float(values @ values))
    return values / length if length > 0 else values


def _own_spread(fingerprint: Fingerprint, usual: float) -> float:
    return (usual if fingerprint.spread is None else fingerprint.spread) / fingerprint.scans


def _windows(middle: FloatArray, left: FloatArray, noise: float) -> tuple[float, float]:
    """How unevenly heights differ over the spectrum, and how unlike the windows are in form.

    Windows count by the square root of their energy, so that a minor component counts beside the strongest
    bands.
    """
    count = middle.size // _WINDOW
    shape = (count, _WINDOW)
    m, d = middle[: count * _WINDOW].reshape(shape), left[: count * _WINDOW].reshape(shape)
    energy = (m * m).sum(axis=1)
    clear = energy > max(_CLEAR * noise * _WINDOW, 1e-4)
    if not clear.any():
        return 0.0, 0.0
    m, d, energy = m[clear], d[clear], energy[clear]
    gain = (m * d).sum(axis=1) / energy
    a, b = m - d / 2, m + d / 2
    cosine = (a * b).sum(axis=1) ** 2 / np.maximum((a * a).sum(axis=1) * (b * b).sum(axis=1), 1e-12)
    weight = np.sqrt(energy) / np.sqrt(energy).sum()
    return math.sqrt(float(weight @ gain**2)), max(float(weight @ (1.0 - cosine)), 0.0)


def compare(
    one: Fingerprint, other: Fingerprint, *, same_unit: bool, model: LinkageModel | None = None
) -> Comparison | None:
    """Whether two fingerprints are of one mixture, and of the same substances.

    Parameters
    ----------
    one, other : Fingerprint
        Of one technique.
    same_unit : bool
        Whether one instrument measured both.
    model : LinkageModel, optional
        By default the bundled one.

    Returns
    -------
    Comparison or None
        ``None`` if they have too little of the grid in common, or are made of the same scans.

    Raises
    ------
    TechniqueError
        If they are not of one technique.
    """
    model = model or LinkageModel.bundled()
    x = features(one, other, usual_spread=model.spread(one.technique))
    if x is None or one.sha256 == other.sha256:
        return None
    mixture, capped = model.ratio("mixture", one.technique, same_unit, x)
    substances, _ = model.ratio("substances", one.technique, same_unit, x)
    cosine = 1.0 - (math.exp(x[0]) - 1e-4)
    if cosine < _UNLIKE:
        # Far from every pair that the model was fitted on, in one direction: different.
        mixture, substances = min(mixture, 0.0), min(substances, 0.0)
    return Comparison(mixture, substances, capped, cosine, same_unit)


def together(ratios: list[float]) -> float:
    """log₁₀ of the ratio for "one pair of these is of one mixture" from those of the pairs.

    Two seizures of several items are compared item by item. Which pair it would be is not known beforehand,
    and so the mean of the ratios is the ratio; the best of them would grow with the number of bags alone.
    """
    top = max(ratios)
    return top + math.log10(sum(10 ** (one - top) for one in ratios) / len(ratios))


def words(log10_ratio: float) -> str:
    """A ratio in words, by the scale of the ENFSI guideline (2015).

    Examples
    --------
    >>> words(2.5)
    'moderately strong support for one mixture'
    >>> words(-1.2)
    'moderate support for different mixtures'
    """
    said = next(text for limit, text in _SCALE if abs(log10_ratio) < limit)
    if said == _SCALE[0][1]:
        return "no support for one mixture or for different ones"
    return f"{said} for {'one mixture' if log10_ratio > 0 else 'different mixtures'}"
