"""The manifest of a validation study: a CSV of spectra whose composition is known."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from spectralid.errors import UnreadableFileError

__all__ = ["COLUMNS", "Manifest", "Sample", "read_manifest"]

COLUMNS: Final = (
    "file", "record", "truth", "target", "level", "unit", "group", "technique", "laser_nm", "sha256",
)  # fmt: skip
"""Columns with a meaning of their own; any other is a condition of the sample (container, temperature …)."""

NOTHING: Final = "none"
_LARGEST: Final = 64 * 1024 * 1024
_MOST_SAID: Final = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """A spectrum whose composition is known.

    Attributes
    ----------
    line : int
        In the manifest.
    file : Path
        Where it is.
    record : int
        Which spectrum of the file, from 0.
    truth : tuple of str
        What is in it, as the manifest writes it: name, CAS number, InChIKey or slug of each substance; empty
        if nothing that matters.
    target : str
        The substance that `level` is of; empty if none.
    level : float or None
        How much of the target there is, 0 or more; 0 is a blank.
    unit : str
        The instrument it was measured with: repeatability is told between those of one name.
    group : str
        Specimens of one group are not independent (replicates of one sample, one batch); empty: each is.
    technique, laser_nm, sha256 : str
        As for reading; the SHA-256 of the file is verified where it is given.
    conditions : mapping of str to str
        Every other column.
    """

    line: int
    file: Path
    record: int
    truth: tuple[str, ...]
    target: str = ""
    level: float | None = None
    unit: str = ""
    group: str = ""
    technique: str = ""
    laser_nm: float | None = None
    sha256: str = ""
    conditions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", MappingProxyType(dict(self.conditions)))


@dataclass(frozen=True, slots=True)
class Manifest:
    """Samples of a study.

    Attributes
    ----------
    file : str
        Name of the manifest.
    sha256 : str
        Of its bytes: a report that names it can be made again.
    samples : tuple of Sample
        In the order of the file.
    """

    file: str
    sha256: str
    samples: tuple[Sample, ...]

    def __repr__(self) -> str:
        return f"<Manifest {self.file!r}: {len(self.samples)} samples, SHA-256 {self.sha256[:12]}…>"


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest.

    Parameters
    ----------
    path : path
        UTF-8, comma-separated, with a header. Needed: ``file`` (beside the manifest, or below it) and
        ``truth`` (substances with ``;`` between them, or ``none``). See `COLUMNS` for the others.

    Returns
    -------
    Manifest
        Its samples, and the SHA-256 of the file.

    Raises
    ------
    UnreadableFileError
        If it cannot be read, has no such header, no sample, or rows that cannot be; every one is named.
    """
    source = Path(path)
    try:
        with source.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
    except OSError as error:
        raise UnreadableFileError(f"it cannot be read ({error.strerror}).", file=source.name) from None
    if len(raw) > _LARGEST:
        raise UnreadableFileError("it is too long for a manifest.", file=source.name)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFileError("it is not UTF-8.", file=source.name) from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
    except csv.Error as error:
        raise UnreadableFileError(f"its header is no CSV: {error}.", file=source.name) from None
    if missing := [name for name in ("file", "truth") if name not in header]:
        raise UnreadableFileError(f"its header has no column {missing[0]!r}.", file=source.name)
    if len(set(header)) < len(header):
        raise UnreadableFileError("its header names a column twice.", file=source.name)
    reader.fieldnames = header
    samples, problems = [], []
    try:
        for row in reader:
            try:
                samples.append(_sample(row, reader.line_num, source.parent))
            except ValueError as error:
                problems.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: {error}")
    if problems:
        more = f" (and {len(problems) - _MOST_SAID} more)" if len(problems) > _MOST_SAID else ""
        raise UnreadableFileError("; ".join(problems[:_MOST_SAID]) + more + ".", file=source.name)
    if not samples:
        raise UnreadableFileError("it names no sample.", file=source.name)
    return Manifest(source.name, hashlib.sha256(raw).hexdigest(), tuple(samples))


def _sample(row: dict[str | None, str | None], line: int, folder: Path) -> Sample:
    if None in row:
        raise ValueError("more fields than the header has")
    given = {str(name): (value or "").strip() for name, value in row.items()}
    if not given["file"]:
        raise ValueError("no file")
    if not given["truth"]:
        raise ValueError(f"no truth; write {NOTHING!r} for a sample that holds nothing of any library")
    level = _number(given, "level")
    if (level is None) != (not given.get("target")):
        raise ValueError("level and target go together")
    if level is not None and level < 0:
        raise ValueError(f"level must be 0 or more, not {level:g}")
    record = _number(given, "record") or 0.0
    if record < 0 or record != int(record):
        raise ValueError(f"record must be a whole number from 0, not {given['record']!r}")
    return Sample(
        line=line,
        file=folder / given["file"],
        record=int(record),
        truth=tuple(_truth(given["truth"])),
        target=given.get("target", ""),
        level=level,
        unit=given.get("unit", ""),
        group=given.get("group", ""),
        technique=given.get("technique", ""),
        laser_nm=_number(given, "laser_nm"),
        sha256=given.get("sha256", "").lower(),
        conditions={name: value for name, value in given.items() if name not in COLUMNS and value},
    )


def _truth(text: str) -> Iterator[str]:
    names = [name.strip() for name in text.split(";") if name.strip()]
    if names != [NOTHING]:
        if NOTHING in names:
            raise ValueError(f"{NOTHING!r} stands alone or not at all")
        yield from dict.fromkeys(names)


def _number(given: Mapping[str, str], name: str) -> float | None:
    if not given.get(name):
        return None
    try:
        value = float(given[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a number, not {given[name]!r}")
    return value
