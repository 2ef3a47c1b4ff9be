"""What a Wasatch spectrometer stores about itself: EEPROM pages of 64 bytes, little-endian.

Places, types and the format revision from which a field exists are those Wasatch.PY 2.5.2 reads (MIT). A page
that was never written, a number that is none and a value no spectrometer can have become "not stored": what
is read here decides which laser wavelength and which axis a spectrum gets.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["PAGES", "PAGE_SIZE", "Eeprom", "parse_eeprom"]

PAGE_SIZE: Final = 64
PAGES: Final = (0, 1, 2, 3, 5, 6)
"""Pages with something in them for spectralid; page 4 is the user's."""

_ERASED: Final = (bytes([0xFF]) * PAGE_SIZE, bytes(PAGE_SIZE))
_HIGHEST_FORMAT: Final = 64  # 18 is the latest known; an erased byte is 255
_EXCITATION_NM: Final = (200.0, 2000.0)
_SHORTEST: Final = 1
# Layouts of the last two pages that hold an intensity calibration.
_WITH_INTENSITY: Final = (1, 5)


@dataclass(frozen=True, slots=True)
class Eeprom:
    """What is stored; ``None`` stands for what is not, or is impossible.

    Attributes
    ----------
    format : int or None
        Revision of the layout.
    model, serial, detector : str
        Names; empty if not stored.
    has_laser : bool or None
        Whether a laser is built in.
    excitation_nm : float or None
        Laser wavelength in nm.
    wavelength_coefficients : tuple of float or None
        Wavelength in nm: coefficients c₀ … c₄ of the polynomial over the pixel number from 0.
    pixels : int or None
        Active pixels.
    roi : (int, int) or None
        First and last pixel with usable light.
    startup_integration_ms : int or None
        Integration time after power-up.
    integration_ms : (int, int) or None
        Shortest and longest integration time.
    warm_up_s : int
        Seconds the laser takes to settle.
    watchdog_s : int or None
        Seconds after which the instrument switches the laser off by itself.
    laser_power_coefficients : tuple of float or None
        Per cent of the laser's modulation that give a power in mW: cubic polynomial.
    laser_power_mw : (float, float) or None
        Lowest and highest power.
    resolution_cm1 : float or None
        Average resolution.
    intensity_coefficients : tuple of float or None
        Raman intensity correction: the factor of pixel i inside `roi` is 10 to the power of their polynomial.
    problems : tuple of str
        What was found impossible, in words.
    """

    format: int | None
    model: str
    serial: str
    detector: str
    has_laser: bool | None
    excitation_nm: float | None
    wavelength_coefficients: tuple[float, ...] | None
    pixels: int | None
    roi: tuple[int, int] | None
    startup_integration_ms: int | None
    integration_ms: tuple[int, int] | None
    warm_up_s: int
    watchdog_s: int | None
    laser_power_coefficients: tuple[float, ...] | None
    laser_power_mw: tuple[float, float] | None
    resolution_cm1: float | None
    intensity_coefficients: tuple[float, ...] | None
    problems: tuple[str, ...]


def parse_eeprom(pages: Mapping[int, bytes]) -> Eeprom:
    """Read the pages of an EEPROM; never fails, whatever they hold.

    Parameters
    ----------
    pages : mapping of int to bytes
        Pages by number, 64 bytes each. A page that is missing or of another length counts as erased.
    """
    reader = _Reader(pages)
    format_ = reader.format
    pixels = reader.whole(2, 16, "<H", "number of pixels", lambda n: 2 <= n < 0xFFFF)
    excitation = (
        reader.number(3, 36, "excitation wavelength", lambda nm: _EXCITATION_NM[0] <= nm <= _EXCITATION_NM[1])
        if format_ >= 4
        else reader.whole(0, 39, "<H", "excitation wavelength", lambda nm: 200 <= nm <= 2000)
    )
    startup = reader.whole(0, 43, "<H", "startup integration time", lambda ms: 0 < ms < 0xFFFF)
    return Eeprom(
        format=format_ or None,
        model=reader.text(0, 0, "model"),
        serial=reader.text(0, 16, "serial number"),
        detector=reader.text(2, 0, "detector"),
        has_laser=reader.switch(0, 38, "laser flag"),
        excitation_nm=None if excitation is None else float(excitation),
        wavelength_coefficients=reader.coefficients(
            ((1, 0), (1, 4), (1, 8), (1, 12), *(((2, 21),) if format_ >= 8 else ())), "wavelength calibration"
        ),
        pixels=pixels,
        roi=reader.roi(pixels),
        startup_integration_ms=startup if format_ >= 3 else None,
        integration_ms=reader.integration() if format_ >= 5 else None,
        warm_up_s=(reader.whole(2, 18, "<B", "laser warm-up", lambda s: s < 0xFF) or 0)
        if format_ >= 10
        else 0,
        # 0 stands for a watchdog that is off.
        watchdog_s=(reader.whole(3, 52, "<H", "laser watchdog", lambda s: s < 0xFFFF) or None)
        if format_ >= 15
        else None,
        laser_power_coefficients=reader.coefficients(
            tuple((3, place) for place in range(12, 28, 4)), "laser power calibration"
        ),
        laser_power_mw=reader.power(),
        resolution_cm1=reader.number(3, 48, "resolution", lambda r: 0 < r < 1000) if format_ >= 7 else None,
        intensity_coefficients=reader.intensity(),
        problems=tuple(reader.problems),
    )


class _Reader:
    """Takes checked values out of the pages and notes what it cannot take."""

    def __init__(self, pages: Mapping[int, bytes]) -> None:
        self.problems: list[str] = []
        self._pages: dict[int, bytes] = {}
        for number in PAGES:
            page = bytes(pages.get(number, b""))
            if len(page) == PAGE_SIZE and page not in _ERASED:
                self._pages[number] = page
            elif number < 4:  # the later pages are often not used
                self.problems.append(f"page {number} is empty")
        self.format = self.whole(0, 63, "<B", "format", lambda f: f <= _HIGHEST_FORMAT) or 0

    def _bytes(self, page: int, place: int, count: int) -> bytes | None:
        return self._pages[page][place : place + count] if page in self._pages else None

    def _refuse(self, what: str, value: object) -> None:
        self.problems.append(f"the {what} is {value}")

    def text(self, page: int, place: int, what: str) -> str:
        raw = self._bytes(page, place, 16) or b""
        found = raw.split(b"\0")[0].rstrip(b"\xff").decode("ascii", errors="replace").strip()
        if found.isprintable() and "\ufffd" not in found:
            return found
        self._refuse(what, raw.hex())
        return ""

    def switch(self, page: int, place: int, what: str) -> bool | None:
        value = self.whole(page, place, "<B", what, lambda v: v <= 1)
        return None if value is None else bool(value)

    def whole(
        self, page: int, place: int, layout: str, what: str, possible: Callable[[int], bool]
    ) -> int | None:
        raw = self._bytes(page, place, struct.calcsize(layout))
        if raw is None:
            return None
        value = int(struct.unpack(layout, raw)[0])
        if possible(value):
            return value
        self._refuse(what, value)
        return None

    def number(self, page: int, place: int, what: str, possible: Callable[[float], bool]) -> float | None:
        raw = self._bytes(page, place, 4)
        if raw is None:
            return None
        value = float(struct.unpack("<f", raw)[0])
        if math.isfinite(value) and possible(value):
            return value
        self._refuse(what, f"{value:g}")
        return None

    def coefficients(self, places: tuple[tuple[int, int], ...], what: str) -> tuple[float, ...] | None:
        raw = [self._bytes(page, place, 4) for page, place in places]
        if any(four is None for four in raw):
            return None
        values = tuple(float(struct.unpack("<f", four)[0]) for four in raw if four is not None)
        if not all(map(math.isfinite, values)):
            self._refuse(what, ", ".join(f"{v:g}" for v in values))
            return None
        # All zero, or the vendor's placeholder 0, 1, 0 …: nobody calibrated it.
        return values if any(values[:1] + values[2:]) or values[1] not in (0.0, 1.0) else None

    def roi(self, pixels: int | None) -> tuple[int, int] | None:
        raw = self._bytes(2, 27, 4)
        if raw is None or pixels is None:
            return None
        first, last = struct.unpack("<HH", raw)
        # Beginning and end at 0, or erased, mean that there is none.
        return (first, last) if first < last < pixels else None

    def integration(self) -> tuple[int, int] | None:
        shortest = self.whole(3, 40, "<I", "shortest integration time", lambda ms: ms < 2**32 - 1)
        longest = self.whole(3, 44, "<I", "longest integration time", lambda ms: 0 < ms < 2**32 - 1)
        if shortest is None or longest is None or shortest > longest:
            return None
        return max(shortest, _SHORTEST), longest

    def power(self) -> tuple[float, float] | None:
        highest = self.number(3, 28, "highest laser power", lambda mw: 0 <= mw < 1e5)
        lowest = self.number(3, 32, "lowest laser power", lambda mw: 0 <= mw < 1e5)
        if lowest is None or not highest or lowest > highest:
            return None
        return lowest, highest

    def intensity(self) -> tuple[float, ...] | None:
        layout = self.whole(5, 63, "<B", "layout of the last pages", lambda _: True)
        if self.format < 6 or layout not in _WITH_INTENSITY:
            return None
        return self.coefficients(tuple((6, 1 + 4 * k) for k in range(6)), "intensity calibration")
