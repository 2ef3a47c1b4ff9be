"""What the words around a table of numbers say: acquisition facts, axis, ordinate and technique."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from spectralid.spectrum import Acquisition, IntensityUnit, Technique

__all__ = ["AxisKind", "Header", "Role", "plain", "read_header", "role_of", "technique_in", "unit_in"]

MAXIMUM_FIELDS: Final = 1000


class AxisKind(Enum):
    """What an axis column counts."""

    SHIFT = "Raman shift"
    WAVENUMBER = "wavenumber"
    NANOMETRE = "nm"
    MICROMETRE = "µm"
    PIXEL = "pixel"


class Role(Enum):
    """What a column of a table is."""

    SHIFT = "Raman shift"
    WAVENUMBER = "wavenumber"
    NANOMETRE = "wavelength in nm"
    MICROMETRE = "wavelength in µm"
    PIXEL = "pixel"
    POSITION = "position"
    PROCESSED = "dark-corrected"
    RAW = "raw"
    BASELINED = "baseline-corrected"
    DARK = "dark"
    REFERENCE = "reference"
    DERIVED = "derived by the instrument"
    SD = "standard deviation"
    GENERIC = "intensity"


_POSITIONS: Final = frozenset(
    {"x", "y", "z", "xum", "yum", "zum", "xμm", "yμm", "zμm", "time", "times", "row", "column", "spectrum"}
)
_PIXELS: Final = frozenset({"index", "point", "points", "channel", "datapoint"})


def plain(text: str) -> str:
    """Letters and digits of a name in lower case, for comparison (``cm⁻¹`` and ``cm-1`` are one)."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).lower() if c.isalnum() or c == "%")


def role_of(column: str) -> Role:
    """Role of a column by its heading."""
    name = plain(column)
    for role, pattern in _ROLE_PATTERNS:
        if pattern.search(name):
            return role
    if name in _POSITIONS:
        return Role.POSITION
    if name in _PIXELS:
        return Role.PIXEL
    return Role.GENERIC


# In order: the first that fits decides.
_ROLE_PATTERNS: Final = tuple(
    (role, re.compile(pattern))
    for role, pattern in (
        (Role.SHIFT, r"ramanshift|^shift|^deltanu|relativewavenumber|relcm|^ramancm|拉曼位移"),
        (Role.MICROMETRE, r"wavelength(in)?(um|μm|micro)|^(um|μm)$"),
        (Role.NANOMETRE, r"^wavelength|^nm$|^lambda(nm)?$|波长"),
        (Role.WAVENUMBER, r"wavenum|^wave$|^cm1|^1cm|^(frequency|energy)cm1|波数"),
        (Role.PIXEL, r"^pixel"),
        (Role.BASELINED, r"baseline"),
        (Role.PROCESSED, r"^processed|darksubtract|backgroundsubtract|^corrected"),
        (Role.RAW, r"^raw"),
        (Role.DARK, r"^dark|^background"),
        (Role.REFERENCE, r"^reference"),
        (Role.DERIVED, r"^%?tr\d*$|^irradiance|^relativeintensity"),
        (Role.SD, r"^(sd|std|stdev|sigma|standarddeviation|error|uncertainty)$"),
    )
)

AXIS_ROLES: Final[Mapping[Role, AxisKind]] = {
    Role.SHIFT: AxisKind.SHIFT,
    Role.WAVENUMBER: AxisKind.WAVENUMBER,
    Role.NANOMETRE: AxisKind.NANOMETRE,
    Role.MICROMETRE: AxisKind.MICROMETRE,
    Role.PIXEL: AxisKind.PIXEL,
}


def unit_in(text: str) -> IntensityUnit | None:
    """Ordinate named in a heading or header field, ``None`` where it names none."""
    low = text.lower()
    if "kubelka" in low or "k-m" in low:
        return IntensityUnit.KUBELKA_MUNK
    if re.search(r"single[ -]?beam", low):
        return IntensityUnit.SINGLE_BEAM
    if re.search(r"absorb|\babs\b|吸光度", low):
        return IntensityUnit.ABSORBANCE
    if re.search(r"%\s*t\b|%\s*tr|percent[ _]?t|transm\w*\W*%|透过率", low):
        return IntensityUnit.PERCENT_TRANSMITTANCE
    if re.search(r"\btransmi(ttance|ssion)\b", low):
        return IntensityUnit.TRANSMITTANCE
    if "reflectance" in low:
        return IntensityUnit.REFLECTANCE
    if re.search(r"\bcounts?\b|\bcnts?\b", low) and not re.search(r"/\s*s|per s|cps", low):
        return IntensityUnit.COUNTS
    return None


def technique_in(text: str) -> Technique | None:
    """Technique named in a heading or header field, ``None`` where it names none."""
    low = text.lower()
    if re.search(r"raman|拉曼", low):
        return Technique.RAMAN
    if re.search(r"\batr\b", low):
        return Technique.FTIR_ATR
    if re.search(r"ft-?ir\b|infra-?red|\bir\b|红外", low):
        return Technique.FTIR
    return None


@dataclass(frozen=True, slots=True)
class Header:
    """What the text around a table says.

    Attributes
    ----------
    acquisition : Acquisition
        Facts about the measurement, with every header field in its metadata.
    name : str
        What the source calls the sample, or an empty string.
    axis : AxisKind or None
        Kind of axis a header field states.
    unit : IntensityUnit or None
        Ordinate a header field states.
    technique : Technique or None
        Technique a header field states.
    """

    acquisition: Acquisition
    name: str
    axis: AxisKind | None
    unit: IntensityUnit | None
    technique: Technique | None


def _pairs(lines: Iterable[str], delimiter: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in lines:
        bare = line.strip().strip('"')
        marked = bare.startswith("#")
        bare = bare.lstrip("#%!").strip()
        if bare.startswith("_"):
            # The Raman Open Database writes CIF: the name, blanks, the value.
            bare = bare.replace(" ", "=", 1)
        # A marked line is "#key=value" or "#key: value"; elsewhere the table's own separator comes first.
        marks = ("=", ":") if marked or bare.startswith("_") else (delimiter, "=", ":", "\t", ";", ",")
        mark = next((m for m in marks if m and m in bare), None)
        if mark is None or len(pairs) >= MAXIMUM_FIELDS:
            continue
        key, value = bare.split(mark, 1)
        key, value = key.strip(' \t"'), value.strip(" \t\";,'")
        if key and len(key) <= 80 and key not in pairs:
            pairs[key] = value[:1000]
    return pairs


class _Fields:
    """Header fields by their plain names."""

    def __init__(self, pairs: Mapping[str, str], decimal: str) -> None:
        self._by_name = {plain(k): v for k, v in reversed(list(pairs.items())) if v}
        self._decimal = decimal

    def text(self, *names: str) -> str:
        value = next((self._by_name[n] for n in names if n in self._by_name), "")
        return "" if value.lower() in ("not entered", "n/a", "none", "unknown") else value

    def number(self, *names: str) -> float | None:
        text = self.text(*names)
        if self._decimal == ",":
            text = text.replace(",", ".")
        found = re.match(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", text)
        value = float(found.group()) if found else math.inf
        return value if math.isfinite(value) else None

    def positive(self, *names: str) -> float | None:
        value = self.number(*names)
        return value if value is not None and value > 0 else None


def _laser(fields: _Fields) -> float | None:
    value = fields.positive(
        "laserwavelength", "laserwavelengthnm", "lasernm", "laser", "wl", "excitationwavelength",
        "excitationwavelengthnm", "excitation", "excitationnm",
        "ramanmeasurementdeviceexcitationlaserwavelength",
    )  # fmt: skip
    return value if value is not None and 100 < value < 2000 else None


def _integration(fields: _Fields) -> float | None:
    milliseconds = fields.positive(
        "intigrationtimesms", "integrationtimesms", "integrationtimems", "exposurems", "exposuretimems"
    )
    if milliseconds is not None:
        return milliseconds
    seconds = fields.positive("acqtimes", "integrationtimesec", "integrationtimes", "exposuretimes",
                              "exposuretimesec")  # fmt: skip
    if seconds is not None:
        return 1000 * seconds
    # ENLIGHTEN writes milliseconds; versions before 3 seem to have written seconds: nothing is claimed there.
    version = fields.number("enlightenversion")
    if version is not None and version >= 3:
        return fields.positive("integrationtime")
    value = fields.positive("integtime")
    if value is not None and fields.text("integunit").lower() == "ms":
        return value
    return None


def _time(fields: _Fields) -> str:
    text = fields.text("timestamp", "acquired", "date", "datetime", "measurementdate", "testtime")
    for pattern in ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M"):
        try:
            return datetime.strptime(text, pattern).isoformat()
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return text


def _axis_kind(fields: _Fields) -> AxisKind | None:
    # LabSpec numbers its axes: [0] is the ordinate, [1] the abscissa.
    text = fields.text("axisunit1", "xunits", "xunit", "xaxismode", "xaxisunit", "xaxisunits", "abscissa")
    low = text.lower()
    if "raman" in low or "shift" in low:
        return AxisKind.SHIFT
    if re.search(r"cm|wavenumber", low):
        return AxisKind.WAVENUMBER
    if re.search(r"\bnm\b|nanomet|wavelength", low):
        return AxisKind.NANOMETRE
    if re.search(r"[uµμ]m\b|micro", low):
        return AxisKind.MICROMETRE
    return AxisKind.PIXEL if "pixel" in low else None


def read_header(lines: Iterable[str], delimiter: str, decimal: str) -> Header:
    """What the lines around a table say.

    Parameters
    ----------
    lines : iterable of str
        Header and trailer lines.
    delimiter, decimal : str
        The table's field separator and decimal sign, which its header shares.

    Returns
    -------
    Header
    """
    pairs = _pairs(lines, delimiter)
    fields = _Fields(pairs, decimal)
    averages = fields.positive(
        "scanaveraging", "averagenumber", "accumulations", "averages", "scanstoaverage", "noofaccumulations",
        "accumulation",
    )  # fmt: skip
    acquisition = Acquisition(
        instrument=fields.text("model", "instrument", "instrumentmodel", "device", "spectrometermodel",
                               "spectrometer", "ramanmeasurementdevicemodel"),
        serial=fields.text("serialnumber", "devicesn", "serial"),
        laser_nm=_laser(fields),
        power_mw=fields.positive("laserpowermw", "ramanmeasurementdevicepoweronsample"),
        integration_ms=_integration(fields),
        averages=None if averages is None else round(averages) or None,
        resolution_cm1=fields.positive("spectralrescm", "spectralrescm1", "resolution", "resolutioncm1",
                                       "ramanmeasurementdeviceresolution"),
        time=_time(fields),
        operator=fields.text("operator", "user"),
        metadata=pairs,
    )  # fmt: skip
    return Header(
        acquisition=acquisition,
        name=fields.text("names", "materialscientificname", "samplename", "name", "chemicalnamemineral"),
        axis=_axis_kind(fields),
        unit=unit_in(fields.text("axisunit0", "yunits", "yunit", "yaxisunit", "yaxisunits", "ordinate")),
        technique=technique_in(
            fields.text("technique", "datatype", "spectrumtype", "measurementmode", "mode", "method")
        ),
    )
