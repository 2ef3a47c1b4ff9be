"""Substances of known band positions and glasses of known luminescence, from ``standards.toml``."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.spectrum import FloatArray

__all__ = [
    "AxisStandard",
    "FilmDepth",
    "IntensityStandard",
    "StandardLine",
    "axis_standard",
    "axis_standards",
    "intensity_standard",
    "intensity_standards",
]

Kind = Literal["raman", "infrared"]

_STRENGTHS: Final = range(1, 6)
_CERTAINTIES: Final = ("high", "medium", "low")
_ANY_STRENGTH: Final = 3  # infrared films: every listed band is about as easy to find


@dataclass(frozen=True, slots=True)
class StandardLine:
    """A band of a standard.

    Attributes
    ----------
    position_cm1 : float
        Accepted position in cm⁻¹.
    sd_cm1 : float
        Its standard uncertainty (k = 1) in cm⁻¹.
    strength : int
        1 (weak) to 5 (the first to look for).
    tolerance_cm1 : float or None
        Deviation an instrument may show in a check, where a tolerance is laid down.
    fitted : bool
        Whether the band may take part in a calibration.
    """

    position_cm1: float
    sd_cm1: float
    strength: int
    tolerance_cm1: float | None = None
    fitted: bool = True


@dataclass(frozen=True, slots=True)
class FilmDepth:
    """A difference of transmittance a resolution check asks of a film."""

    from_cm1: float
    to_cm1: float
    at_least_percent: float


@dataclass(frozen=True, slots=True)
class AxisStandard:
    """A substance whose band positions are known.

    Attributes
    ----------
    name : str
        Key.
    title : str
        Name in words.
    kind : {"raman", "infrared"}
        What it is a standard for.
    lines : tuple of StandardLine
        Bands by ascending position.
    source : str
        Where the positions come from.
    certainty : {"high", "medium", "low"}
        How well the list is corroborated.
    aliases : tuple of str
        Other names it answers to.
    depths : tuple of FilmDepth
        Resolution checks, for films.
    """

    name: str
    title: str
    kind: Kind
    lines: tuple[StandardLine, ...]
    source: str
    certainty: str
    aliases: tuple[str, ...] = ()
    depths: tuple[FilmDepth, ...] = ()

    @property
    def common_sd_cm1(self) -> float:
        """Uncertainty (k = 1) all lines share, in cm⁻¹: no number of lines averages it away.

        Nobody states how much of a line's uncertainty is common to the list (the laser of the laboratory that
        measured it) and how much is its own. Both are taken to be all of it, which errs on the safe side.
        """
        return float(np.median([line.sd_cm1 for line in self.lines]))


@dataclass(frozen=True, slots=True)
class IntensityStandard:
    """A glass whose relative luminescence is known.

    Attributes
    ----------
    name : str
        Key.
    title : str
        Name in words.
    laser_nm : float
        Excitation it is valid for.
    range_cm1 : tuple of float
        Raman shifts it is valid for.
    form : {"polynomial", "lognormal"}
        How the curve is written.
    coefficients : tuple of float
        Its coefficients.
    """

    name: str
    title: str
    laser_nm: float
    range_cm1: tuple[float, float]
    form: str
    coefficients: tuple[float, ...]

    def curve(self, shift_cm1: npt.ArrayLike) -> FloatArray:
        """Relative luminescence at Raman shifts, NaN outside the certified range.

        Parameters
        ----------
        shift_cm1 : array_like of float, shape (n_points,)
            Raman shift in cm⁻¹.

        Returns
        -------
        ndarray of float, shape (n_points,)
        """
        shift = np.asarray(shift_cm1, dtype=np.float64)
        inside = (shift >= self.range_cm1[0]) & (shift <= self.range_cm1[1])
        return np.where(inside, _FORMS[self.form][0](shift, self.coefficients), np.nan)


def _polynomial(shift: FloatArray, coefficients: tuple[float, ...]) -> FloatArray:
    return np.asarray(np.polynomial.polynomial.polyval(shift, coefficients))


def _lognormal(shift: FloatArray, coefficients: tuple[float, ...]) -> FloatArray:
    height, width, skew, centre, slope, offset = coefficients
    inner = (shift - centre) * (skew**2 - 1) / (width * skew) + 1
    # Where the logarithm has no value the band has ended.
    exponent = np.log(np.maximum(inner, 1e-300)) / math.log(skew)
    return np.asarray(height * np.exp(-math.log(2) * exponent**2) + slope * shift + offset)


_FORMS: Final[Mapping[str, tuple[Callable[[FloatArray, tuple[float, ...]], FloatArray], int]]] = {
    "polynomial": (_polynomial, 0),
    "lognormal": (_lognormal, 6),
}


def axis_standards(kind: Kind) -> tuple[AxisStandard, ...]:
    """Every standard for wavenumber axes of that kind.

    Parameters
    ----------
    kind : {"raman", "infrared"}
        What for.

    Returns
    -------
    tuple of AxisStandard
        In the order of the table they stand in.

    Examples
    --------
    >>> from spectralid.calibration import axis_standards
    >>> [standard.name for standard in axis_standards("infrared")]
    ['polystyrene-film']
    """
    return tuple(s for s in _axis() if s.kind == kind)


def axis_standard(name: str, kind: Kind) -> AxisStandard:
    """The standard of that name.

    Parameters
    ----------
    name : str
        Key or alias, in any case.
    kind : {"raman", "infrared"}
        What for.

    Returns
    -------
    AxisStandard
        Its lines and where they come from.

    Raises
    ------
    ParameterError
        If there is none.

    Examples
    --------
    >>> from spectralid.calibration import axis_standard
    >>> standard = axis_standard("polystyrene", "raman")
    >>> [line.position_cm1 for line in standard.lines][:3]
    [620.9, 795.8, 1001.4]
    """
    wanted = name.strip().lower().replace(" ", "-")
    known = axis_standards(kind)
    for standard in known:
        if wanted in (standard.name, *standard.aliases):
            return standard
    raise ParameterError("standard", name, "one of " + ", ".join(s.name for s in known))


def intensity_standards() -> tuple[IntensityStandard, ...]:
    """Every intensity standard.

    Returns
    -------
    tuple of IntensityStandard
        In the order of the table they stand in.
    """
    return _intensity()


def intensity_standard(name: str) -> IntensityStandard:
    """The intensity standard of that name (``srm-2241``, ``2241``, ``SRM2241``).

    Parameters
    ----------
    name : str
        As it is usually written, in any case.

    Returns
    -------
    IntensityStandard
        Its certified polynomial and range.

    Raises
    ------
    ParameterError
        If there is none.

    Examples
    --------
    >>> from spectralid.calibration import intensity_standard
    >>> intensity_standard("SRM 2241").laser_nm
    785.0
    """
    wanted = name.strip().lower().replace(" ", "-").removeprefix("nist-").removeprefix("srm").lstrip("-")
    for standard in _intensity():
        if wanted == standard.name.removeprefix("srm-"):
            return standard
    raise ParameterError("standard", name, "one of " + ", ".join(s.name for s in _intensity()))


def _document() -> dict[str, Any]:
    text = resources.files("spectralid.calibration").joinpath("standards.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@functools.cache
def _axis() -> tuple[AxisStandard, ...]:
    document = _document()
    raman = [_raman(name, table) for name, table in document["raman"].items()]
    infrared = [_infrared(name, table) for name, table in document["infrared"].items()]
    return tuple(_checked(standard) for standard in (*raman, *infrared))


def _raman(name: str, table: Mapping[str, Any]) -> AxisStandard:
    sd = float(table["uncertainty_cm1"])
    lines = tuple(
        StandardLine(float(position), float(own[0]) if own else sd, strength)
        for position, strength, *own in table["lines"]
    )
    return _standard(name, "raman", table, lines)


def _infrared(name: str, table: Mapping[str, Any]) -> AxisStandard:
    lines = tuple(
        StandardLine(
            float(position), tolerance / math.sqrt(3), _ANY_STRENGTH, float(tolerance),
            fitted=position not in table["checked_only"],
        )
        for position, tolerance in table["lines"]
    )  # fmt: skip
    return _standard(name, "infrared", table, lines)


def _standard(
    name: str, kind: Kind, table: Mapping[str, Any], lines: tuple[StandardLine, ...]
) -> AxisStandard:
    return AxisStandard(
        name=name,
        title=table["title"],
        kind=kind,
        lines=tuple(sorted(lines, key=lambda line: line.position_cm1)),
        source=table["source"],
        certainty=table["certainty"],
        aliases=tuple(table.get("aliases", ())),
        depths=tuple(FilmDepth(**depth) for depth in table.get("depths", ())),
    )


def _checked(standard: AxisStandard) -> AxisStandard:
    positions = [line.position_cm1 for line in standard.lines]
    if not (
        positions
        and all(0 < p < 5000 for p in positions)
        and len(set(positions)) == len(positions)
        and all(line.sd_cm1 > 0 and line.strength in _STRENGTHS for line in standard.lines)
        and standard.certainty in _CERTAINTIES
        and standard.source
    ):
        raise ValueError(f"standards.toml: {standard.name} is not a valid standard.")
    return standard


@functools.cache
def _intensity() -> tuple[IntensityStandard, ...]:
    standards = []
    for name, table in _document()["intensity"].items():
        low, high = table["range_cm1"]
        coefficients = tuple(float(c) for c in table["coefficients"])
        needed = _FORMS[table["form"]][1]
        if not low < high or needed not in (0, len(coefficients)):
            raise ValueError(f"standards.toml: {name} is not a valid intensity standard.")
        standards.append(
            IntensityStandard(
                name, table["title"], float(table["laser_nm"]), (low, high), table["form"], coefficients
            )
        )
    return tuple(standards)
