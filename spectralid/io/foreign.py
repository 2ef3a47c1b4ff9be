"""Formats that are recognised so that they can be refused by name, with what to do instead.

Someone who hands over a spreadsheet or a photograph of a spectrum deserves better than "unknown format". Only
unmistakable signatures are listed; whatever a reader of ours takes must not be among them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from spectralid.errors import UnreadableFileError, UnsupportedContentError
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.spectrum import Spectrum

__all__ = ["FORMAT"]

_EXPORT: Final = "export the spectrum as JCAMP-DX or two-column text"
_UNPACK: Final = "unpack it and give the file inside"
_MAKER: Final = f"{_EXPORT} in the maker's program"
_FROM_R: Final = "write the spectrum as two-column text in R (write.table)"
_FROM_PYTHON: Final = "save the spectrum as two-column text (numpy.savetxt)"
_PICTURE: Final = "give the measured data, not their picture"


@dataclass(frozen=True, slots=True)
class _Signature:
    """How to know a format, what to call it and what to do about it."""

    found: Callable[[bytes], bool]
    name: str
    advice: str


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(magics)


def _matches(pattern: bytes) -> Callable[[bytes], bool]:
    compiled = re.compile(pattern)
    return lambda data: compiled.match(data) is not None


def _zip_with(*names: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(b"PK\x03\x04") and any(name in data[:4096] for name in names)


def _is_winspec(data: bytes) -> bool:
    # SPE has no magic at its start; this number stands at byte 2996 of its 4,100-byte header.
    return len(data) >= 4100 and struct.unpack_from("<I", data, 2996) == (0x01234567,)


# First match counts, so the special comes before the general.
_SIGNATURES: Final = (
    _Signature(_zip_with(b"xl/", b"[Content_Types].xml"), "an Excel workbook or other Office document",
               "save the sheet as CSV with one column of axis values and one of intensities"),
    _Signature(_zip_with(b"opendocument"), "an OpenDocument file", "save the sheet as CSV"),
    _Signature(_zip_with(b".npy"), "a NumPy archive (npz)", _FROM_PYTHON),
    _Signature(_starts(b"PK\x03\x04", b"PK\x05\x06"), "a ZIP archive", _UNPACK),
    _Signature(_starts(b"\x1f\x8b"), "compressed with gzip (R's .rds files are too)",
               f"{_UNPACK}, or {_FROM_R}"),
    _Signature(_starts(b"BZh", b"\xfd7zXZ\0"), "compressed with bzip2 or xz (R's .RData files are too)",
               f"{_UNPACK}, or {_FROM_R}"),
    _Signature(_starts(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"), "a 7-Zip or RAR archive", _UNPACK),
    _Signature(_starts(b"RDX2\n", b"RDX3\n"), "an R workspace", _FROM_R),
    _Signature(_matches(rb"MAT(?:LAB|COM) \d\.\d MAT-file"), "a MATLAB file",
               "write the spectrum as two-column text in MATLAB (writematrix)"),
    _Signature(_starts(b"\x93NUMPY"), "a NumPy array (npy)", _FROM_PYTHON),
    _Signature(_starts(b"\x80\x03", b"\x80\x04\x95", b"\x80\x05\x95"), "a Python pickle", _FROM_PYTHON),
    _Signature(_starts(b"PAR1", b"ARROW1"), "a table in Parquet or Arrow form", "save it as CSV"),
    _Signature(_starts(b"CDF\x01", b"CDF\x02"), "a netCDF file (often chromatography)", _EXPORT),
    _Signature(_starts(b"SQLite format 3\0"), "an SQLite database", "export the spectra you need from it"),
    _Signature(_starts(b"%PDF"), "a PDF document", _PICTURE),
    _Signature(_starts(b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"), "a picture", _PICTURE),
    _Signature(_starts(b"\x7fELF", b"MZ\x90\0"), "a program", "choose the file of a spectrum"),
    _Signature(_starts(b"\0rG\0"), "an Agilent infrared image (seq, dat)", _MAKER),
    _Signature(_starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
               "a Microsoft compound file, as Shimadzu (SPC), JASCO (JWS) and old Office write",
               _MAKER),
    _Signature(_starts(b"LabSpec6\0", b"LabSpec5\0"), "a Horiba LabSpec file",
               "save it as text (.txt) in LabSpec"),
    _Signature(_matches(rb"(?:\xef\xbb\xbf)?<\?xml[^>]*>\s*<LSX_Data"), "a Horiba LabSpec XML file",
               "save it as text (.txt) in LabSpec"),
    _Signature(_matches(rb"(?:\xef\xbb\xbf)?<!--TriVista-File"), "a TriVista file",
               "export it as text or SPC in VistaControl"),
    _Signature(_starts(b"WIT_PROJ", b"WIT_PR06", b"WIT_DATA"), "a WITec project",
               "export the spectrum as text or SPC in WITec Project"),
    _Signature(_starts(b"#WXD0000"), "an old Renishaw WiRE experiment (WXD)",
               "save the spectrum as WDF, SPC or text in WiRE"),
    _Signature(_matches(rb"PE (?:FL|UV|IR|LS) "), "a PerkinElmer data manager file (luminescence or UV-Vis)",
               _MAKER),
    _Signature(_starts(b"Andor Technology Multi-Channel File"), "an Andor SIF file",
               "export it as ASCII in Solis"),
    _Signature(_matches(rb"ENVI\s"), "the header of an ENVI image", "export the spectra you need as text"),
    _Signature(_is_winspec, "a Princeton Instruments SPE file",
               "export it as CSV with an axis in cm⁻¹ in LightField or WinSpec"),
)  # fmt: skip

# Bytes no text holds (1Ah ends text of DOS). In random bytes they are one in nine, in text next to none.
_CONTROL: Final = bytes(b for b in (*range(9), 11, *range(14, 26), *range(28, 32), 127))
_BINARY_SHARE: Final = 0.02
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


def _signature(data: bytes) -> _Signature | None:
    return next((s for s in _SIGNATURES if s.found(data)), None)


def _is_binary(data: bytes) -> bool:
    if data.startswith(_UTF16_MARKS):
        return False
    # Text in UTF-16 without its mark has a zero in every second place and little else from here.
    for zeros, rest in ((data[0::2], data[1::2]), (data[1::2], data[0::2])):
        if rest and zeros.count(0) > 0.9 * len(zeros) and rest.count(0) == 0:
            return False
    return len(data) - len(data.translate(None, _CONTROL)) > _BINARY_SHARE * len(data)


def _sniff(source: Source) -> float:
    if _signature(source.data):
        # Below what our own binary readers claim for their magic numbers, above text that happens to fit.
        return 0.85
    # Only if no reader has any idea.
    return 0.02 if _is_binary(source.data) else 0.0


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:  # noqa: ARG001  (nothing is read)
    _refuse(source)


def _refuse(source: Source) -> NoReturn:
    known = _signature(source.data)
    if known:
        raise UnsupportedContentError(
            f"this is {known.name}, which is not read here; {known.advice}.", file=source.name
        )
    if source.suffix == ".spc":
        raise UnreadableFileError(
            "this is not a Galactic SPC file; other makers (Shimadzu, Bruker EPR) use the extension .spc "
            f"too; {_EXPORT}.",
            file=source.name,
        )
    raise UnreadableFileError(f"this is binary data in no format known here; {_EXPORT}.", file=source.name)


FORMAT: Final = Format(
    name="foreign",
    title="recognised, but not read",
    extensions=(),
    sniff=_sniff,
    read=_read,
)
