"""What a JCAMP-DX header says about the measurement: technique, units, and acquisition facts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Final

from spectralid.io._jcamp_blocks import Block
from spectralid.spectrum import Acquisition, IntensityUnit, Technique

__all__ = ["AxisUnit", "Kind", "acquisition_of", "axis_unit", "infrared_sampling", "kind_of", "ordinate_unit"]


class Kind(Enum):
    """What a block holds, as far as a reader of vibrational spectra cares."""

    RAMAN = "Raman spectrum"
    INFRARED = "infrared spectrum"
    UNSTATED = "unstated"
    FOREIGN = "not vibrational"


class AxisUnit(Enum):
    """Unit of an abscissa."""

    WAVENUMBER = "cm⁻¹"
    NANOMETRE = "nm"
    MICROMETRE = "µm"
    OTHER = "other"


# First hit names what is refused; order matters where words overlap ("UV/VIS/NIR", "NMR FID").
_FOREIGN: Final = (
    (r"INTERFEROGRAM", "an interferogram, not a spectrum; transform it on the instrument and export that"),
    (r"\bNMR\b|\bFID\b", "nuclear magnetic resonance (NMR) data"),
    (r"\bMASS\b|\bGC-?MS\b|\bLC-?MS\b|\bMS\b", "mass spectrometry data"),
    (r"ION MOBILITY", "an ion mobility spectrum"),
    (r"CHROMATOGRA|\bGC\b|\bHPLC\b", "chromatography data"),
    (r"NEUTRON", "a neutron scattering spectrum"),
    (r"\bE[PS]R\b|PARAMAGNETIC", "an electron spin resonance spectrum"),
    (r"\bUV\b|VISIBLE|UV-?VIS", "an ultraviolet/visible spectrum"),
    (r"FLUORESCENCE|EMISSION|LUMINESCENCE", "a fluorescence or emission spectrum"),
    (r"CIRCULAR DICHROISM|\bECD\b", "a circular dichroism spectrum"),
    (r"X-?RAY|\bXRD\b|\bXRF\b|DIFFRACT", "X-ray data"),
)
_FOREIGN_UNITS: Final = (
    (r"^(HZ|PPM)$", "nuclear magnetic resonance (NMR) data"),
    (r"^(M/Z|MASS.*|DA|AMU)$", "mass spectrometry data"),
    (r"^(SECONDS?|MINUTES?|MIN|S|SEC|MILLISECONDS?)$", "a signal over time"),
)


def kind_of(block: Block) -> tuple[Kind, str]:
    """Kind of what a block holds, and, where it is refused, what it is in words."""
    stated = block.text("DATATYPE")
    words = re.sub(r"[\s_/]+", " ", stated).upper()
    if "RAMAN" in words and "INTERFEROGRAM" not in words:
        return Kind.RAMAN, ""
    for pattern, name in _FOREIGN:
        if re.search(pattern, words):
            return Kind.FOREIGN, name
    if re.search(r"INFRA ?-?RED|\bFT-?N?IR\b|\b[NMF]?IR\b", words):
        return Kind.INFRARED, ""
    if words and "VIBRATIONAL" not in words:
        return Kind.FOREIGN, f"data of the type {stated[:60]!r}"
    units = block.text("XUNITS").upper()
    for pattern, name in _FOREIGN_UNITS:
        if re.search(pattern, units):
            return Kind.FOREIGN, f"{name} (its abscissa is in {block.text('XUNITS')[:20]})"
    if "JCAMPCS" in block.records:
        return Kind.FOREIGN, "a chemical structure (JCAMP-CS)"
    return Kind.UNSTATED, ""


def axis_unit(text: str) -> AxisUnit:
    """Unit an XUNITS text names."""
    low = re.sub(r"[\s()\[\]^{}]+", "", text.lower()).replace("⁻¹", "-1").replace("−", "-")
    if re.search(r"1/cm|cm-?1|/cm\b|wavenumber|reciprocalcent|inversecent|ramanshift|kayser", low):
        return AxisUnit.WAVENUMBER
    if re.search(r"nanomet|(^|[^a-z])nm$|wavelengthnm", low):
        return AxisUnit.NANOMETRE
    if re.search(r"micromet|micron|(^|[^a-z])[uµμ]m$", low):
        return AxisUnit.MICROMETRE
    return AxisUnit.OTHER


def ordinate_unit(stated: str, kind: Kind, highest: float) -> tuple[IntensityUnit, float, tuple[str, ...]]:
    """Ordinate a YUNITS text names, judged together with the values.

    Parameters
    ----------
    stated : str
        The YUNITS text.
    kind : Kind
        What the block holds.
    highest : float
        The highest ordinate, factor applied.

    Returns
    -------
    unit : IntensityUnit
    scale : float
        What the ordinates must be multiplied with to be in `unit`.
    flags : tuple of str
        Validity flags that follow.
    """
    low = stated.lower()
    if kind is not Kind.INFRARED and re.search(r"count|\bcts\b", low):
        return IntensityUnit.COUNTS, 1.0, ()
    if kind is Kind.RAMAN:
        # Converters write ABSORBANCE over Raman intensities; it cannot be meant.
        return IntensityUnit.ARBITRARY, 1.0, ()
    percent = bool(re.search(r"%|per ?cent", low))
    # Noise and a poor background lift a ratio above 1, never to twice that; a percentage stays under 2 only
    # where nothing is transmitted at all.
    looks_percent = highest > 2.0
    overruled = ("ordinate_unit_inferred",) if percent and not looks_percent else ()
    if re.search(r"transmi|%\s*t\b|^t$", low):
        unit = IntensityUnit.PERCENT_TRANSMITTANCE if looks_percent else IntensityUnit.TRANSMITTANCE
        return unit, 1.0, overruled
    if re.search(r"log\s*\(?\s*1\s*/\s*[rt]|absorb|\babs\b|^a$", low):
        return IntensityUnit.ABSORBANCE, 1.0, ()
    if re.search(r"\(micromol/mol\)-1\s*m-1|absorptivity|molar absorp|cross.?section", low):
        return IntensityUnit.ABSORBANCE, 1.0, ("absorptivity",)
    if re.search(r"kubelka|\bk-?m\b", low):
        return IntensityUnit.KUBELKA_MUNK, 1.0, ()
    if re.search(r"single.?(beam|channel)", low):
        return IntensityUnit.SINGLE_BEAM, 1.0, ()
    if re.search(r"reflect|%\s*r\b|^r$", low):
        return IntensityUnit.REFLECTANCE, 0.01 if looks_percent else 1.0, overruled
    return IntensityUnit.ARBITRARY, 1.0, ("ordinate_unit_unknown",) if kind is Kind.INFRARED else ()


_ATR: Final = re.compile(r"\b[UH]?ATR\b|attenuated total|internal reflect|\b(?:golden gate|iTX|iTR)\b", re.I)
_TRANSMISSION: Final = re.compile(
    r"\btransmission\b|\bKBr (?:pellet|disc|disk)|\bpellet\b|\bnujol\b|\bmull\b|\bliquid film\b"
    r"|\bcast film\b|\bcapillary film\b|\bgas cell\b|\bliquid cell\b|\bin KBr\b",
    re.I,
)
_GAS: Final = re.compile(r"^\W*(?:gas|vapou?r)\b", re.I)


def infrared_sampling(block: Block) -> Technique:
    """How an infrared spectrum was sampled, where the header says so; else `Technique.FTIR`."""
    sampling = [
        block.text(label)
        for label in ("SAMPLINGPROCEDURE", "STATE", ".ACCESSORY", "ACCESSORY", "SAMPLEDESCRIPTION", "TITLE",
                      "INSTRUMENTPARAMETERS", "DATAPROCESSING", "COMMENTS", "AUDITTRAIL", "DATATYPE",
                      "SPECTROMETERDATASYSTEM")
    ]  # fmt: skip
    is_atr = any(_ATR.search(text) for text in sampling)
    # A path length or a gas leaves only transmission; of the words, those about the sample count.
    is_transmission = (
        any(_TRANSMISSION.search(text) for text in sampling[:5])
        or bool(_GAS.match(block.text("STATE")))
        or bool(block.text("PATHLENGTH"))
    )
    if is_atr != is_transmission:
        return Technique.FTIR_ATR if is_atr else Technique.FTIR_TRANSMISSION
    return Technique.FTIR


def _first_match(pattern: str, texts: Iterable[str]) -> str:
    for text in texts:
        # Facts stand near the beginning; the bound keeps a hostile header from costing more than linear time.
        match = re.search(pattern, text[:4000], re.IGNORECASE)
        if match is not None:
            return match[1]
    return ""


def _time(block: Block) -> str:
    """Time of measurement: ISO 8601 where the date can be read in one way only, else as written."""
    date = block.text("LONGDATE", "DATE")
    clock = block.text("TIME") if not block.text("LONGDATE") else ""
    written = f"{date} {clock}".strip()
    numbers = re.fullmatch(
        r"(\d{1,4})[/.\-] ?(\d{1,2})[/.\-] ?(\d{1,4})"
        r"(?:[ T]+(\d{1,2}):(\d{2})(?:[:.](\d{2})(?:\.\d*)?)?(?: *([+-]\d{4}))?)?",
        written,
    )
    if numbers is None:
        return written
    a, b, c = (int(numbers[i]) for i in (1, 2, 3))
    if len(numbers[1]) == 4:
        year, month, day = a, b, c
    elif len(numbers[3]) == 4 and (a > 12) != (b > 12):
        year, month, day = (c, b, a) if a > 12 else (c, a, b)
    elif len(numbers[1]) == len(numbers[3]) == 2 or (a > 31 and c <= 31):
        # JCAMP-DX 4.24 writes YY/MM/DD; what is impossible so is left as written.
        year, month, day = a + (1900 if a >= 70 else 2000), b, c
    else:
        return written
    try:
        day_only = datetime(year, month, day)
        if numbers[4] is None:
            return day_only.date().isoformat()
        moment = datetime(year, month, day, int(numbers[4]), int(numbers[5]), int(numbers[6] or 0))
        return moment.isoformat() + (numbers[7] or "")
    except ValueError:
        return written


def _laser_nm(block: Block) -> float | None:
    spectrometer = block.text("SPECTROMETERDATASYSTEM")
    found = _first_match(
        r"(\d{3,4}(?:\.\d+)?) ?nm\b[^,;]{0,40}(?:excit|laser)", [spectrometer]
    ) or _first_match(r"(?:excit|laser)[^,;\d]{0,40}(\d{3,4}(?:\.\d+)?) ?nm\b", [spectrometer])
    for key, record in block.records.items():
        if found:
            break
        if re.search(r"LASERWAVELENGTH|EXCITATION|^[.$]*LASER(NM)?$", key):
            found = _first_match(r"^\D{0,40}(\d{3,4}(?:\.\d+)?)(?!\d)(?! *(?:cm|mw))", [record.text])
    return float(found) if found and 100 < float(found) < 2000 else None


def _positive(block: Block, *labels: str) -> float | None:
    for label in labels:
        value = block.number(label)
        if value is not None and 0 < value < 1e9:
            return value
    return None


def acquisition_of(block: Block, unit: AxisUnit) -> Acquisition:
    """Acquisition facts of a block; every header field is kept in the metadata as the file writes it."""
    free_text = [block.text(label) for label in ("INSTRUMENTPARAMETERS", "COMMENTS", "AUDITTRAIL")]
    scans = _positive(block, ".AVERAGES", "COADDEDSCANS", "NUMBEROFSCANS", "SCANS")
    counted = _first_match(r"number of sample scans: ?(\d{1,6})\b", free_text) or _first_match(
        r"\b(\d{1,6}) scans\b", free_text
    )
    averages = int(scans) if scans is not None else int(counted or 0)
    resolution = _positive(block, "RESOLUTION")
    power = _first_match(
        r"\b(\d{1,6}(?:\.\d+)?) ?mW\b", [block.text("LASERPOWER", ".LASERPOWER", "$LASERPOWER")]
    )
    return Acquisition(
        instrument=block.text("SPECTROMETERDATASYSTEM", "INSTRUMENT"),
        serial=_first_match(r"\bSNO: ?(\w+)", free_text)
        or _first_match(r"serial number: ?(\w+)", free_text)
        or block.text("SERIALNUMBER", "$SERIALNUMBER"),
        laser_nm=_laser_nm(block),
        power_mw=float(power) if power else None,
        averages=averages or None,
        # On a wavelength axis the number is in nm.
        resolution_cm1=resolution if unit is AxisUnit.WAVENUMBER else None,
        time=_time(block),
        operator=block.text("OPERATOR", "$OPERATOR"),
        metadata=block.metadata,
    )
