"""spectralid's own text form: ``# key: value`` lines and a table, read back to the same identity."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from spectralid.errors import InvalidSpectrumError, ParameterError, UnreadableFileError
from spectralid.io._registry import Source
from spectralid.spectrum import Spectrum

__all__ = ["MARK", "read_own", "write_own"]

MARK: Final = "# spectralid: 1"
_TEXTS: Final = ("technique", "unit", "sha256")
_JSONS: Final = ("name", "source", "acquisition", "history")


def write_own(spectra: Sequence[Spectrum]) -> bytes:
    """UTF-8 text of spectra that share one axis.

    Raises
    ------
    ParameterError
        If they are on different axes.
    """
    axis = spectra[0].axis
    if any(not np.array_equal(s.axis, axis) for s in spectra[1:]):
        raise ParameterError(
            "spectra",
            f"{len(spectra)} spectra on different axes",
            "on one shared axis to share a text file (resample them, write a file for each, or write HDF5)",
        )
    lines = [MARK]
    headings = ["axis_cm1"]
    columns = [axis.tolist()]
    for i, spectrum in enumerate(spectra, 1):
        facts = spectrum.to_dict()
        lines.append(f"# spectrum: {i}")
        lines += [f"# {key}: {facts[key]}" for key in _TEXTS]
        lines += [f"# {key}: {json.dumps(facts[key], ensure_ascii=False)}" for key in _JSONS]
        headings.append(f"intensity_{i}")
        columns.append(spectrum.intensity.tolist())
        if spectrum.sd is not None:
            headings.append(f"sd_{i}")
            columns.append(spectrum.sd.tolist())
    lines.append(",".join(headings))
    lines += [
        ",".join("NaN" if math.isnan(v) else repr(v) for v in row) for row in zip(*columns, strict=True)
    ]
    # A lone surrogate in a name becomes its JSON escape, which reads back as itself.
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def _sections(lines: Sequence[str], name: str) -> tuple[list[dict[str, Any]], int]:
    sections: list[dict[str, Any]] = []
    for index, line in enumerate(lines):
        if not line.startswith("#"):
            return sections, index
        key, _, value = line[1:].strip().partition(": ")
        if key == "spectrum":
            sections.append({})
        elif sections and key in _TEXTS:
            sections[-1][key] = value
        elif sections and key in _JSONS:
            try:
                sections[-1][key] = json.loads(value)
            except (ValueError, RecursionError):
                raise UnreadableFileError(
                    f"the header field {key!r} is damaged.", file=name, where=f"line {index + 1}"
                ) from None
    return sections, len(lines)


def read_own(lines: Sequence[str], source: Source) -> list[Spectrum]:
    """Spectra of a file written by `write_own`.

    Raises
    ------
    UnreadableFileError
        If it is damaged, or its values are no longer those the recorded identity was taken of.
    """
    sections, start = _sections(lines, source.name)
    headings = lines[start].split(",") if start < len(lines) else []
    expected = ["axis_cm1"]
    for i in range(1, len(sections) + 1):
        expected.append(f"intensity_{i}")
        if f"sd_{i}" in headings:
            expected.append(f"sd_{i}")
    if not sections or headings != expected:
        raise UnreadableFileError(
            "its header does not fit its columns: it was cut off or edited.",
            file=source.name,
            where=f"line {start + 1}",
        )
    rows: list[list[float]] = []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line:
            continue
        try:
            row = [float(f) for f in line.split(",")]
        except ValueError:
            row = []
        if len(row) != len(headings):
            raise UnreadableFileError(
                f"this line does not hold {len(headings)} numbers: the file was cut off or edited.",
                file=source.name,
                where=f"line {number}",
            )
        rows.append(row)
    columns = dict(zip(headings, np.array(rows).reshape(-1, len(headings)).T, strict=True))
    spectra = []
    for i, facts in enumerate(sections, 1):
        values = {"axis": columns["axis_cm1"], "intensity": columns[f"intensity_{i}"]}
        if f"sd_{i}" in columns:
            values["sd"] = columns[f"sd_{i}"]
        try:
            spectra.append(Spectrum.from_dict({**facts, **{k: v.tolist() for k, v in values.items()}}))
        except InvalidSpectrumError as error:
            raise UnreadableFileError(
                f"{error} To use edited values, remove the line '# sha256:'.", file=source.name
            ) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UnreadableFileError(f"the header of spectrum {i} is damaged.", file=source.name) from None
    return spectra
