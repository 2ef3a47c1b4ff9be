"""What a unit may show in its daily check: ``limits.toml``, or an agency's own file of that form."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.spectrum import Technique

__all__ = ["Limits", "TechniqueLimits", "load_limits"]

BUILT_IN: Final = Path(__file__).parent / "limits.toml"
_LARGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class TechniqueLimits:
    """Limits of one technique; what each means stands beside it in ``limits.toml``.

    Attributes
    ----------
    deviation_cm1 : float
        Highest difference of a band from the standard, in cm⁻¹.
    shift_cm1, stretch_cm1 : float
        What the fit of all bands may say of the axis: at its pivot, and at the ends of the range, in cm⁻¹.
    width_ratio : float
        Highest width of the strongest band, as a multiple of that of the accepted unit.
    relative_intensity : float
        Highest change of relative heights, as a share.
    strength_ratio : float
        Lowest strength of the strongest band, as a share of that of the accepted unit.
    snr : float
        Lowest signal to noise.
    self_match : float
        Lowest likeness to the spectrum of the accepted unit, 0 … 1.
    dark_rise : float
        Highest rise of the dark level, as a share of the range of the detector.
    dark_noise_ratio : float
        Highest noise of the dark, as a multiple of that of the accepted unit.
    dead_share, hot_share : float
        Highest share of pixels that never move, and that stand out in the dark.
    background_rise : float
        Highest rise of the level under the bands, as a share of the strongest band.
    saturated_points : float
        Most points in a flat top.
    temperature_c : tuple of float
        Range of the temperature, in °C.
    """

    deviation_cm1: float
    shift_cm1: float
    stretch_cm1: float
    width_ratio: float
    relative_intensity: float
    strength_ratio: float
    snr: float
    self_match: float
    dark_rise: float
    dark_noise_ratio: float
    dead_share: float
    hot_share: float
    background_rise: float
    saturated_points: float
    temperature_c: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of all techniques.

    Attributes
    ----------
    version : str
        Stated by every check that was judged by them.
    raman, infrared : TechniqueLimits
        The limits.
    """

    version: str
    raman: TechniqueLimits
    infrared: TechniqueLimits

    def of(self, technique: Technique) -> TechniqueLimits:
        """Those of a technique.

        Raises
        ------
        ParameterError
            If it is neither Raman nor infrared.
        """
        if technique is Technique.UNKNOWN:
            raise ParameterError("technique", str(technique), "Raman or infrared")
        return self.infrared if technique.is_infrared else self.raman


def load_limits(path: str | Path | None = None) -> Limits:
    """Read limits.

    Parameters
    ----------
    path : path, optional
        An agency's file; by default the built-in one.

    Returns
    -------
    Limits
        Of both techniques.

    Raises
    ------
    UnreadableFileError
        If it cannot be read, or a limit is missing, unknown or not a number it can be.

    Examples
    --------
    >>> from spectralid.qa.limits import load_limits
    >>> load_limits().raman.deviation_cm1
    3.0
    """
    file = BUILT_IN if path is None else Path(path)
    try:
        with file.open("rb") as stream:
            document = tomllib.loads(stream.read(_LARGEST).decode("utf-8"))
    except OSError as error:
        raise UnreadableFileError(f"it cannot be read ({error.strerror}).", file=file.name) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"it is no TOML file: {error}.", file=file.name) from None
    known = {"version", "raman", "infrared"}
    if odd := sorted(known ^ document.keys()):
        raise UnreadableFileError(f"it must hold {', '.join(sorted(known))}; see {odd[0]!r}.", file=file.name)
    version = document["version"]
    if not isinstance(version, str) or not version.strip():
        raise UnreadableFileError("version must be a text.", file=file.name)
    return Limits(
        version, _technique(document, "raman", file.name), _technique(document, "infrared", file.name)
    )


def _technique(document: dict[str, Any], name: str, file: str) -> TechniqueLimits:
    table = document[name]
    wanted = {field.name for field in fields(TechniqueLimits)}
    if not isinstance(table, dict) or (odd := sorted(wanted ^ table.keys())):
        what = odd[0] if isinstance(table, dict) else "table"
        raise UnreadableFileError(
            f"[{name}] must hold every limit and no other; see {what!r}.", file=file
        ) from None
    low, high = _range(table.pop("temperature_c"), name, file)
    for key, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise UnreadableFileError(
                f"{name}.{key} must be a number, 0 or more; it is {value!r}.", file=file
            )
    return TechniqueLimits(temperature_c=(low, high), **{key: float(value) for key, value in table.items()})


def _range(value: Any, name: str, file: str) -> tuple[float, float]:
    numbers = isinstance(value, list) and [v for v in value if type(v) in (int, float) and math.isfinite(v)]
    if not numbers or len(numbers) != 2 or len(value) != 2 or not numbers[0] < numbers[1]:
        raise UnreadableFileError(
            f"{name}.temperature_c must be two numbers, the lower first; it is {value!r}.", file=file
        )
    return float(numbers[0]), float(numbers[1])
