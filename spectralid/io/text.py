"""Delimited text: what spectrometers, spreadsheets and people write.

ENLIGHTEN, B&W Tek, LabSpec, WiRE, RRUFF, Shining, Andor, Kaiser, OMNIC, OPUS, JASCO and plain columns are
told apart by their own headings, not by name: the widest reader is the one that looks at the words and the
numbers. What is ambiguous is refused with the change that makes it readable.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import numpy as np

from spectralid.errors import FileError, UnreadableFileError, UnsupportedContentError
from spectralid.io._assemble import make_axis, make_spectrum
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.io._text_header import Header, read_header, technique_in
from spectralid.io._text_lines import TextBlock, decode, find_block, is_numeric, split_lines
from spectralid.io._text_numbers import Dialect, detect, parse_rows
from spectralid.io._text_own import MARK, read_own, write_own
from spectralid.io._text_table import MINIMUM_ROWS, columns_of, tall_spectra
from spectralid.io._text_wide import find_wide, wide_spectra
from spectralid.spectrum import Acquisition, Spectrum

__all__ = ["FORMAT"]

# Reading text takes about seven times its size in memory.
MAXIMUM_BYTES: Final = 64 * 1024 * 1024

_KNOWN: Final = re.compile(
    r"ENLIGHTEN Version|File (?:Version;BW|Format;TXTR)|##?NAMES=|#Acq\. time|#Shining|#shining|"
    r"#Wave\t|#X\t\t#Y|>>>>>Begin"
)
_JCAMP: Final = re.compile(r"\s*##\s*(?:TITLE|JCAMP)", re.IGNORECASE)


def _sniff(head: Source) -> float:
    try:
        text = decode(head.data, head.name)
    except FileError:
        return 0.0
    if text.startswith(MARK):
        return 1.0
    if _JCAMP.match(text):
        return 0.01
    if _KNOWN.search(text[:4096]):
        return 0.9
    rows = sum(is_numeric(line) for line in split_lines(text))
    # Text without numbers is taken too, at the lowest confidence: only this reader can say what is wrong.
    return 0.5 if rows >= MINIMUM_ROWS else 0.05


def _evenly_spaced(lines: list[str], source: Source, options: ReadOptions) -> list[Spectrum] | None:
    """Spectrum of a PerkinElmer ASCII file: count, first and last axis value, three codes, the ordinates."""
    filled = [line.strip() for line in lines if line.strip()]
    try:
        values = np.array([float(v) for v in filled])
    except ValueError:
        return None
    if values.size < 6 + MINIMUM_ROWS or values[0] != values.size - 6 or values[1] == values[2]:
        return None
    header = Header(Acquisition(), "", None, None, None)
    axis = make_axis(np.linspace(values[1], values[2], int(values[0])), None, header, True, source, options)
    return [make_spectrum(axis, values[6:], name=Path(source.name).stem, header=header, source=source)]


def _heading(block: TextBlock) -> str:
    """The line that heads the columns: the last one before the table that is not blank."""
    return next((line for line in reversed(block.header) if line.strip()), "")


def _refuse_documents(text: str, source: Source) -> None:
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return
        raise UnsupportedContentError(
            "it is a JSON document, not a table; export the spectrum as two-column text.", file=source.name
        )
    if text.lstrip()[:5].lower() in ("<?xml", "<html", "<!doc"):
        raise UnsupportedContentError(
            "it is an XML or HTML document, not a table; export the spectrum as two-column text.",
            file=source.name,
        )


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:
    if len(source.data) > MAXIMUM_BYTES:
        raise UnreadableFileError(
            f"it is {len(source.data) / 2**20:.0f} MB of text, more than the {MAXIMUM_BYTES / 2**20:.0f} MB "
            "that are read at once; split it.",
            file=source.name,
        )
    text = decode(source.data, source.name)
    lines = split_lines(text)
    if text.startswith(MARK):
        return read_own(lines, source)
    _refuse_documents(text, source)
    wide = find_wide(lines, source.name)
    if wide is not None:
        return wide_spectra(wide, lines, source, options)
    block = find_block(lines, source.name)
    dialect = detect(block.rows, source.name)
    values, skipped = parse_rows(block.rows, dialect, source.name)
    if values.shape[0] < MINIMUM_ROWS:
        raise UnsupportedContentError(
            f"it holds no table of numbers of at least {MINIMUM_ROWS} rows (the longest has "
            f"{values.shape[0]}), so no spectrum.",
            file=source.name,
        )
    if values.shape[1] < 2:
        spaced = _evenly_spaced(lines, source, options)
        if spaced is not None:
            return spaced
        raise UnsupportedContentError(
            "it holds a single column of numbers; a spectrum needs an axis column beside the intensities.",
            file=source.name,
        )
    columns = [] if skipped else columns_of(_heading(block), values.shape[1], dialect.delimiter, source)
    header = _header(block, dialect, source)
    return tall_spectra(values, columns, header, source, options)


def _header(block: TextBlock, dialect: Dialect, source: Source) -> Header:
    header = read_header((*block.header, *block.trailer), dialect.delimiter, dialect.decimal)
    if "RRUFFID" in header.acquisition.metadata and header.technique is None:
        # RRUFF's files do not say how they were measured, their names do: …__Infrared__… or …__Raman__….
        technique = technique_in(source.name.replace("_", " "))
        header = Header(header.acquisition, header.name, header.axis, header.unit, technique)
    return header


FORMAT: Final = Format(
    name="text",
    title="Delimited text",
    extensions=(".csv", ".txt", ".tsv", ".dpt", ".prn", ".asc", ".txtr", ".rruff", ".rruf", ".asp", ".dat"),
    sniff=_sniff,
    read=_read,
    write=write_own,
)
