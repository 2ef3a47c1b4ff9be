"""Instrument profiles: what an instrument's protocol does not tell, one TOML file each in ``devices/``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from spectralid import _bundled
from spectralid.devices._toml import Keys, is_number, parse_toml, read_bytes
from spectralid.devices.registry import BUILT_IN, protocols
from spectralid.errors import ParameterError
from spectralid.spectrum import Technique
from spectralid.vouching import TrustedKeys, engine_problem, signature_of

__all__ = ["FILE_PROTOCOLS", "SCHEMA", "Option", "Profile", "bundled_profiles", "load_profile"]

SCHEMA: Final = "spectralid.profile/1"
"""What a profile states as its ``schema``; one that states none is of this one."""

Option = str | float | bool

FILE_PROTOCOLS: Final = ("watch-folder", "file-only", "opus-rs")
"""Instruments whose spectra come as finished files, through the vendor's software: no line, no detector."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is fixed for an instrument model.

    Attributes
    ----------
    name : str
        Maker and model.
    protocol : str
        Which protocol it speaks, see `spectralid.devices.registry.protocols` and `FILE_PROTOCOLS`.
    tried_on_hardware : bool
        Whether the driver has ever been run against a real one.
    technique : Technique
        What it measures.
    baud : int
        Bits per second at power-up; 0 where there is no serial line.
    pixels : int
        Detector pixels; 0 where the spectrum comes as a file.
    adc_max : int
        Largest count; a pixel that shows it is saturated. 0 where the spectrum comes as a file.
    integration_ms : (float, float)
        Shortest and longest integration time in ms; (0, 0) where the spectrum comes as a file.
    laser_nm : float or None
        Excitation wavelength in nm; ``None`` without a laser, or where the unit reports it itself.
    warning_s : float
        Seconds of warning before the laser goes on.
    warm_up_s : float
        Seconds from laser on to the first frame that counts.
    maximum_on_s : float
        Seconds the laser may stay on in one go; 0 for an instrument without a laser.
    safety : str
        What to tell the operator before the laser goes on.
    wavelength_nm : tuple of float
        Wavelength polynomial over the pixel number from 0, constant first, in nm; empty where the unit
        reports it itself.
    options : mapping of str to str, float or bool
        What is particular to the protocol (dialect, byte order, file kind …).
    sha256 : str
        SHA-256 (hex) of its file; empty where it comes from none.
    """

    name: str
    protocol: str
    tried_on_hardware: bool
    baud: int
    pixels: int
    adc_max: int
    integration_ms: tuple[float, float]
    laser_nm: float | None = None
    warning_s: float = 0.0
    maximum_on_s: float = 0.0
    safety: str = ""
    warm_up_s: float = 0.0
    technique: Technique = Technique.RAMAN
    wavelength_nm: tuple[float, ...] = ()
    options: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
    sha256: str = field(default="", compare=False)


def bundled_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with spectralid.

    Returns
    -------
    tuple of str
        In alphabetical order.

    Examples
    --------
    >>> from spectralid.devices import bundled_profiles, load_profile
    >>> [load_profile(name).protocol for name in bundled_profiles() if name == "ocean-ventana-785l"]
    ['obp']
    """
    return tuple(sorted(file.stem for file in _bundled.path("devices").glob("*.toml")))


def load_profile(name: str, *, trusted: TrustedKeys | None = None) -> Profile:
    """Load an instrument profile.

    Parameters
    ----------
    name : str
        Name of a bundled profile, see `bundled_profiles`, or path of a ``.toml`` file.
    trusted : TrustedKeys, optional
        Keys that count: where there are any, one of them must have signed a ``.toml`` file of yours.

    Returns
    -------
    Profile
        What is fixed for the model.

    Raises
    ------
    ParameterError
        If there is no such bundled profile.
    FileError
        If the file cannot be read, needs a newer spectralid, or a key in it is missing or wrong; names file
        and key.
    NotVouchedError
        If keys are trusted and none of them has signed it.
    """
    if name.endswith(".toml"):
        file = Path(name)
    elif name in bundled_profiles():
        file = _bundled.path("devices", f"{name}.toml")
    else:
        known = ", ".join(bundled_profiles())
        raise ParameterError("profile", name, f"the path of a .toml file or one of: {known}")
    data = read_bytes(file, name)
    if trusted and name.endswith(".toml"):
        trusted.vouch("profile", data, signature_of(file), file=name)
    return replace(_Keys(parse_toml(data, name), name).profile(), sha256=hashlib.sha256(data).hexdigest())


class _Keys(Keys):
    """Reads a profile out of a table."""

    def profile(self) -> Profile:
        if (schema := self._table.get("schema", SCHEMA)) != SCHEMA:
            self.refuse(
                "schema", f"it is {schema!r}, and this spectralid reads {SCHEMA!r}; update spectralid."
            )
        if problem := engine_problem(self._table.get("needs_engine")):
            self.refuse("needs_engine", problem)
        protocol = self.text("protocol")
        # Asking for other packages' drivers takes a while; most profiles need none.
        if protocol not in (*BUILT_IN, *FILE_PROTOCOLS) and protocol not in (known := protocols()):
            self.refuse(
                "protocol", f"must be one of {', '.join((*known, *FILE_PROTOCOLS))}; it is {protocol!r}."
            )
        by_file = protocol in FILE_PROTOCOLS
        shortest = 0.0 if by_file else self.number("integration.minimum_ms", low=0.001, high=4e6)
        longest = 0.0 if by_file else self.number("integration.maximum_ms", low=shortest, high=4e6)
        laser = "laser" in self._table
        reported = self.text("laser.wavelength_nm") if self._is_text("laser.wavelength_nm") else ""
        if reported not in ("", "instrument"):
            self.refuse("laser.wavelength_nm", f'must be a number or "instrument"; it is {reported!r}.')
        return Profile(
            name=self.text("name"),
            protocol=protocol,
            tried_on_hardware=self.switch("tried_on_hardware"),
            technique=self._technique(),
            baud=0 if by_file else self.whole("line.baud", low=300, high=10_000_000),
            pixels=0 if by_file else self.whole("detector.pixels", low=2, high=65_536),
            adc_max=0 if by_file else self.whole("detector.adc_max", low=1, high=2**32 - 1),
            integration_ms=(shortest, longest),
            laser_nm=self.number("laser.wavelength_nm", low=200, high=2000)
            if laser and not reported
            else None,
            warning_s=self.number("laser.warning_s", low=0, high=60) if laser else 0.0,
            warm_up_s=self._warm_up() if laser else 0.0,
            maximum_on_s=self.number("laser.maximum_on_s", low=0.1, high=3600) if laser else 0.0,
            safety=self.text("laser.safety") if laser else "",
            wavelength_nm=self._coefficients(),
            options=self._options(),
        )

    def _technique(self) -> Technique:
        if "technique" not in self._table:
            return Technique.RAMAN
        try:
            return Technique.parse(self.text("technique"))
        except ParameterError as error:
            self.refuse("technique", f"must be {error.allowed}; it is {error.given!r}.")

    def _coefficients(self) -> tuple[float, ...]:
        if "wavelength" not in self._table:
            return ()
        values = self.value("wavelength.coefficients_nm")
        usable = isinstance(values, list) and all(is_number(v) and abs(v) < 1e6 for v in values)
        if not usable or not 2 <= len(values) <= 8:
            self.refuse("wavelength.coefficients_nm", f"must be a list of 2 to 8 numbers; it is {values!r}.")
        return tuple(float(v) for v in values)

    def _options(self) -> Mapping[str, Option]:
        table = self._table.get("protocol_options", {})
        if not isinstance(table, Mapping):
            self.refuse("protocol_options", f"must be a table; it is {table!r}.")
        for key, value in table.items():
            if not isinstance(value, str | int | float):  # bool is an int
                self.refuse(f"protocol_options.{key}", f"must be a text, number or switch; it is {value!r}.")
        return MappingProxyType(dict(table))

    def _warm_up(self) -> float:
        return self.number("laser.warm_up_s", low=0, high=600) if "warm_up_s" in self._table["laser"] else 0.0

    def _is_text(self, key: str) -> bool:
        table, _, name = key.partition(".")
        inner = self._table.get(table)
        return isinstance(inner, Mapping) and isinstance(inner.get(name), str)
