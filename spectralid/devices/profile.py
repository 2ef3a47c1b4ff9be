"""Instrument profiles: what an instrument's protocol does not tell, one TOML file each in ``devices/``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from spectralid import _bundled
from spectralid.errors import FileError, ParameterError

__all__ = ["Profile", "bundled_profiles", "load_profile"]

_PROTOCOLS: Final = ("obp",)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is fixed for an instrument model.

    Attributes
    ----------
    name : str
        Maker and model.
    protocol : str
        Which protocol it speaks: ``"obp"``.
    tried_on_hardware : bool
        Whether the driver has ever been run against a real one.
    baud : int
        Bits per second at power-up.
    pixels : int
        Detector pixels.
    adc_max : int
        Largest count; a pixel that shows it is saturated.
    laser_nm : float
        Excitation wavelength in nm.
    integration_ms : (float, float)
        Shortest and longest integration time in ms.
    warning_s : float
        Seconds of warning before the laser goes on.
    maximum_on_s : float
        Seconds the laser may stay on in one go.
    safety : str
        What to tell the operator before the laser goes on.
    """

    name: str
    protocol: str
    tried_on_hardware: bool
    baud: int
    pixels: int
    adc_max: int
    laser_nm: float
    integration_ms: tuple[float, float]
    warning_s: float
    maximum_on_s: float
    safety: str


def bundled_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with spectralid."""
    return tuple(sorted(file.stem for file in _bundled.path("devices").glob("*.toml")))


def load_profile(name: str) -> Profile:
    """Load an instrument profile.

    Parameters
    ----------
    name : str
        Name of a bundled profile, see `bundled_profiles`, or path of a ``.toml`` file.

    Raises
    ------
    ParameterError
        If there is no such bundled profile.
    FileError
        If the file cannot be read or a key in it is missing or wrong; names file and key.
    """
    if name.endswith(".toml"):
        file = Path(name)
    elif name in bundled_profiles():
        file = _bundled.path("devices", f"{name}.toml")
    else:
        known = ", ".join(bundled_profiles())
        raise ParameterError("profile", name, f"the path of a .toml file or one of: {known}")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"it cannot be read ({error.strerror}).", file=name) from None
    except UnicodeDecodeError:
        raise FileError("it is not text in UTF-8.", file=name) from None
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"it is not valid TOML: {error}.", file=name) from None
    return _Keys(table, name).profile()


class _Keys:
    """Reads checked values out of a profile's table."""

    def __init__(self, table: Mapping[str, Any], file: str) -> None:
        self._table = table
        self._file = file

    def profile(self) -> Profile:
        protocol = self._text("protocol")
        if protocol not in _PROTOCOLS:
            self._refuse("protocol", f"must be one of {', '.join(_PROTOCOLS)}; it is {protocol!r}.")
        shortest = self._number("integration.minimum_ms", low=0.001, high=4e6)
        return Profile(
            name=self._text("name"),
            protocol=protocol,
            tried_on_hardware=self._switch("tried_on_hardware"),
            baud=self._whole("line.baud", low=300, high=10_000_000),
            pixels=self._whole("detector.pixels", low=2, high=65_536),
            adc_max=self._whole("detector.adc_max", low=1, high=2**32 - 1),
            laser_nm=self._number("laser.wavelength_nm", low=200, high=2000),
            integration_ms=(shortest, self._number("integration.maximum_ms", low=shortest, high=4e6)),
            warning_s=self._number("laser.warning_s", low=0, high=60),
            maximum_on_s=self._number("laser.maximum_on_s", low=0.1, high=3600),
            safety=self._text("laser.safety"),
        )

    def _refuse(self, key: str, why: str) -> None:
        raise FileError(why, file=self._file, where=f"key {key}")

    def _value(self, key: str) -> Any:
        value: Any = self._table
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                self._refuse(key, "is missing.")
            value = value[part]
        return value

    def _text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str) or not value.strip():
            self._refuse(key, f"must be a text; it is {value!r}.")
        return str(value).strip()

    def _switch(self, key: str) -> bool:
        value = self._value(key)
        if not isinstance(value, bool):
            self._refuse(key, f"must be true or false; it is {value!r}.")
        return bool(value)

    def _number(self, key: str, *, low: float, high: float) -> float:
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._refuse(key, f"must be a number from {low:g} to {high:g}; it is {value!r}.")
        return float(value)

    def _whole(self, key: str, *, low: int, high: int) -> int:
        value = self._number(key, low=low, high=high)
        if not value.is_integer():
            self._refuse(key, f"must be a whole number; it is {value!r}.")
        return int(value)
