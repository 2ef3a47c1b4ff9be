"""JCAMP-DX 4.24 and 5.x: infrared and Raman spectra in every number form, linked and NTUPLES blocks.

What is read, and what is decided where a file leaves room:

* (X++(Y..Y)) and (XY..XY) tables, peak tables, NTUPLES pages. A peak table is no continuous spectrum: it
  becomes a `Spectrum` with points at the peaks only and the flag ``"peak_table"``, unless its points are as
  many and as even as those of a spectrum.
* The axis of an (X++(Y..Y)) table is FIRSTX … LASTX when the abscissae printed on its lines agree, else the
  evenly spaced axis those abscissae agree on (flag ``"axis_from_lines"``); if they agree on none the file is
  damaged. A number of points other than NPOINTS is accepted only where the axis still ends at LASTX.
* Header values that contradict the table (FIRSTY, MAXY, MINY, NPOINTS) change nothing; they are flagged
  ``"header_disagrees"``, with a sentence in the metadata under `NOTES`.
* TRANSMITTANCE stands for ratios and for percent in real files: the values decide
  (``"ordinate_unit_inferred"`` where they overrule an explicit percent sign).
* A missing ``##END=`` is flagged ``"end_missing"``: the last line may be cut.
* Of a link block the vibrational blocks are read; ``"blocks_skipped"`` says that others were left out.

Everything this module writes it reads back with the same identity, acquisition facts and history, which
travel in ``##$SPECTRALID …`` records.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from spectralid.errors import InvalidSpectrumError, UnreadableFileError, UnsupportedContentError
from spectralid.io._jcamp_blocks import Block, Table, clean_bytes, parse_blocks
from spectralid.io._jcamp_codec import Malformed
from spectralid.io._jcamp_facts import (
    AxisUnit,
    Kind,
    acquisition_of,
    axis_unit,
    infrared_sampling,
    kind_of,
    ordinate_unit,
)
from spectralid.io._jcamp_layout import Findings, Points, decode_table
from spectralid.io._jcamp_write import NOTES, own_record, write
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.io._wavelength import shift_of_wavelength, wavenumber_of_wavelength
from spectralid.spectrum import FloatArray, ProcessingStep, Spectrum, Technique

__all__ = ["FORMAT"]

_HEAD: Final = re.compile(rb"(?im)^[ \t]*##[ \t]*(?:TITLE|JCAMP[ \-_]?(?:DX|CS))[ \t]*=")


def _sniff(head: Source) -> float:
    return 0.95 if _HEAD.search(clean_bytes(head.data)) else 0.0


def _laser(block: Block, stated: float | None, source: Source, options: ReadOptions) -> float:
    laser = stated if stated is not None else options.laser_nm
    if laser is None:
        raise UnreadableFileError(
            "its axis is a wavelength and it does not state the excitation wavelength; give laser_nm.",
            file=source.name,
            where=f"line {block.line_of('XUNITS')}",
        )
    return laser


@dataclass(frozen=True, slots=True)
class _Reading:
    """One file being read: what every step needs to know."""

    data: bytes
    source: Source
    options: ReadOptions
    skipped: list[str]

    def spectrum(self, block: Block, table: Table, stated: Kind) -> Spectrum:
        """The spectrum in one table of a block whose header states the kind `stated`."""
        findings = Findings()
        points = decode_table(block, table, self.data, findings)
        own = own_record(block, self.data)
        if own is not None:
            return own.spectrum(points.x, points.y, self.source.name)
        if not block.ended:
            findings.flags.append("end_missing")

        kind = stated
        if kind is Kind.UNSTATED and self.options.technique is not None:
            kind = Kind.RAMAN if self.options.technique is Technique.RAMAN else Kind.INFRARED
        acquisition = acquisition_of(block, axis_unit(points.x_units))
        history: list[ProcessingStep] = []
        x, y = points.x, points.y
        if self._is_wavelength(block, table, points, kind, findings):
            x, step = self._to_wavenumber(block, table, points, kind, acquisition.laser_nm)
            history.append(step)
            if kind is Kind.RAMAN:
                acquisition = replace(acquisition, laser_nm=step.parameters["laser_nm"])
        known = y[np.isfinite(y)]
        highest = float(known.max()) if known.size else 0.0
        unit, scale, unit_flags = ordinate_unit(points.y_units, kind, highest)
        if scale != 1.0:
            y = y * scale
            history.append(ProcessingStep("scale", {"factor": scale, "from": points.y_units}))

        flags, notes = [*findings.flags, *unit_flags], [*findings.notes]
        if notes:
            flags.append("header_disagrees")
        if self.skipped:
            flags.append("blocks_skipped")
            notes.append("Blocks left out: " + "; ".join(dict.fromkeys(self.skipped))[:300] + ".")
        if notes:
            acquisition = replace(acquisition, metadata={**acquisition.metadata, NOTES: " ".join(notes)})
        technique = {Kind.RAMAN: Technique.RAMAN, Kind.INFRARED: infrared_sampling(block)}
        name = block.text("TITLE", "NAMES", "CASNAME", "SAMPLEDESCRIPTION").partition("\n")[0].strip()
        return Spectrum.from_points(
            x,
            y,
            technique=technique.get(stated, Technique.UNKNOWN),
            unit=unit,
            acquisition=acquisition.with_flags(*flags),
            history=history,
            name=f"{name} ({table.page})" if table.page else name,
            source=self.source.name,
        )

    def _is_wavelength(self, block: Block, table: Table, points: Points, kind: Kind,
                       findings: Findings) -> bool:  # fmt: skip
        """Whether the abscissa is a wavelength; if it is neither that nor a wavenumber, an error."""
        unit = axis_unit(points.x_units)
        where = f"line {block.line_of('XUNITS')}"
        if unit is AxisUnit.WAVENUMBER:
            return False
        if unit is not AxisUnit.OTHER:
            if kind is Kind.UNSTATED:
                raise UnsupportedContentError(
                    f"its axis is a wavelength ({points.x_units[:40]}) and it does not say that it is a "
                    "Raman or infrared spectrum; give the technique if you know it.",
                    file=self.source.name,
                    where=where,
                )
            return True
        if kind is not Kind.UNSTATED and "CENT" in points.x_units.upper() and np.min(np.abs(points.x)) > 50:
            # A "spectrum" at wavelengths of metres: reciprocal centimetres are meant.
            findings.flags.append("axis_unit_inferred")
            findings.notes.append(f"XUNITS is {points.x_units[:40]}; 1/CM is meant.")
            return False
        if points.x_units:
            raise UnsupportedContentError(
                f"its abscissa is in {points.x_units[:40]!r}; a vibrational spectrum is in 1/CM, NANOMETERS "
                "or MICROMETERS.",
                file=self.source.name,
                where=where,
            )
        if kind is Kind.UNSTATED:
            raise UnsupportedContentError(
                "it states neither DATA TYPE nor XUNITS, so that nothing says it is a vibrational spectrum; "
                "add them if you know them.",
                file=self.source.name,
            )
        raise Malformed("XUNITS is missing; add ##XUNITS=1/CM if that is what it is.", table.line)

    def _to_wavenumber(self, block: Block, table: Table, points: Points, kind: Kind,
                       laser_nm: float | None) -> tuple[FloatArray, ProcessingStep]:  # fmt: skip
        if np.any(points.x <= 0):
            raise Malformed("the wavelength axis holds a value that is not positive.", table.line)
        unit = axis_unit(points.x_units)
        nm = points.x * (1.0 if unit is AxisUnit.NANOMETRE else 1000.0)
        if kind is Kind.RAMAN:
            return shift_of_wavelength(nm, _laser(block, laser_nm, self.source, self.options))
        return wavenumber_of_wavelength(nm)


def _chosen_tables(block: Block) -> list[Table]:
    """The tables of a block that are spectra: all pages, the measured table, failing that the peak table."""
    pages = [table for table in block.tables if table.label == "DATATABLE"]
    measured = [table for table in block.tables if table.label in ("XYDATA", "XYPOINTS")]
    if len(measured) > 1:
        raise Malformed(
            "a second data table follows in the same block; an ##END= is missing.", measured[1].line
        )
    return pages or measured or [table for table in block.tables if table.label == "PEAKTABLE"][:1]


def _refuse_cut_off(blocks: list[Block]) -> None:
    """Refuse a compound file of which later blocks are missing: what is left looks whole."""
    first, last = blocks[0], blocks[-1]
    if not first.is_link or first.ended:
        return
    if not (last.ended or last.tables):
        raise Malformed("the last block ends in its header; the file is truncated.", last.line)
    promised = first.text("BLOCKS")
    if promised.isdecimal() and int(promised) > len(blocks) - 1:
        raise Malformed(
            f"BLOCKS promises {promised} blocks, it holds {len(blocks) - 1} and its last ##END= is missing; "
            "the file is truncated.",
            first.line,
        )


def _read_blocks(source: Source, options: ReadOptions) -> list[Spectrum]:
    data = clean_bytes(source.data)
    blocks = parse_blocks(data)
    wanted: list[tuple[Block, Kind]] = []
    skipped: list[str] = []
    empty = blocks[0]
    for block in blocks:
        if block.is_link:
            continue
        kind, name = kind_of(block)
        if kind is Kind.FOREIGN:
            skipped.append(name)
        elif any(table.label == "RADATA" for table in block.tables):
            skipped.append("an interferogram, not a spectrum")
        elif _chosen_tables(block):
            wanted.append((block, kind))
        elif block.tables:
            skipped.append("a table of peak assignments, no spectrum")
        else:
            empty = block
    _refuse_cut_off(blocks)
    if not wanted:
        if skipped:
            names = "; ".join(dict.fromkeys(skipped))
            raise UnsupportedContentError(
                f"it holds {names[:300]}. No vibrational spectrum is in it.", file=source.name
            )
        raise Malformed(
            "there is no data table (##XYDATA=) in it; the file is truncated or only a header.",
            empty.line,
        )
    reading = _Reading(data, source, options, skipped)
    spectra: list[Spectrum] = []
    for block, kind in wanted:
        for table in _chosen_tables(block):
            try:
                # Numbers too large for a float become infinite and are refused as such.
                with np.errstate(all="ignore"):
                    spectra.append(reading.spectrum(block, table, kind))
            except InvalidSpectrumError as error:
                raise Malformed(str(error), table.line) from error
    return spectra


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:
    try:
        return _read_blocks(source, options)
    except Malformed as error:
        raise UnreadableFileError(error.message, file=source.name, where=f"line {error.line}") from None


FORMAT = Format(
    name="jcamp-dx",
    title="JCAMP-DX",
    extensions=(".jdx", ".dx", ".jcm", ".jcamp"),
    sniff=_sniff,
    read=_read,
    write=write,
)
