"""Choosing the format of a file by its content, and the public `read`, `read_all` and `write`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Final

from spectralid.errors import (
    FileError,
    InvalidSpectrumError,
    MultipleSpectraError,
    ParameterError,
    UnreadableFileError,
)
from spectralid.spectrum import Spectrum, Technique

__all__ = ["Format", "ReadOptions", "Source", "formats", "read", "read_all", "write"]

# One module per format; each defines FORMAT. Order breaks ties between equally confident sniffers.
_MODULES: Final = ("jcamp", "spc", "spa", "opus", "wdf", "perkinelmer", "hdf5", "nexus", "foreign", "text")

# No spectrum, nor a map an officer or a library could want, comes near this size; a bound
# keeps a mistaken 10 GB file from filling a tablet's memory.
MAXIMUM_BYTES: Final = 128 * 1024 * 1024
HEAD_BYTES: Final = 64 * 1024
# A nominal 785 nm against the true 785.21 nm is no contradiction; 532 nm is.
_LASER_TOLERANCE_NM: Final = 2.0


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of one file, with the name to show in messages.

    Attributes
    ----------
    name : str
        The file as the user named it.
    data : bytes
        Its whole content (for sniffing: its first 64 KiB).
    path : Path or None
        Where it lies; ``None`` when the bytes came from a stream.
    """

    name: str
    data: bytes
    path: Path | None = None

    @property
    def suffix(self) -> str:
        """Extension in lower case with its dot, or an empty string."""
        return Path(self.name).suffix.lower()


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the caller knows and the file may not say.

    Attributes
    ----------
    technique : Technique or None
        Overrides the technique where the file states none; a contradiction is an error.
    laser_nm : float or None
        Excitation wavelength for files whose axis is in nm and that do not state it.
    """

    technique: Technique | None = None
    laser_nm: float | None = None


def _cannot_write(spectra: Sequence[Spectrum]) -> bytes:
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: the triple sniff, read and write, and what to call it.

    Attributes
    ----------
    name : str
        Short name used by ``--format`` and in messages.
    title : str
        Name for people.
    extensions : tuple of str
        Usual extensions in lower case with their dot. A hint only: content decides.
    sniff : callable
        From a `Source` holding the head of a file to a confidence 0 … 1; never raises.
    read : callable
        From a whole `Source` and `ReadOptions` to the spectra in it, at least one, or a `FileError`.
    write : callable or None
        From spectra to the bytes of a file.
    extra : str
        The extra of spectralid that brings the package the reader needs, if any.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    sniff: Callable[[Source], float]
    read: Callable[[Source, ReadOptions], list[Spectrum]]
    write: Callable[[Sequence[Spectrum]], bytes] | None = field(default=None)
    extra: str = ""


@cache
def formats() -> tuple[Format, ...]:
    """Every format known, in the order in which ties are broken.

    Examples
    --------
    >>> from spectralid.io import formats
    >>> [format.name for format in formats()][:4]
    ['jcamp-dx', 'spc', 'spa', 'opus']
    """
    return tuple(importlib.import_module(f"spectralid.io.{m}").FORMAT for m in _MODULES)


def _format_named(name: str) -> Format:
    for known in formats():
        if known.name == name:
            return known
    raise ParameterError("format", name, "one of " + ", ".join(f.name for f in formats()))


def _choose(head: Source) -> Format:
    best: Format | None = None
    best_score = 0.0
    for candidate in formats():
        score = candidate.sniff(head)
        if 0 < score < 1 and head.suffix in candidate.extensions:
            score = min(0.99, score + 0.05)
        if score > best_score:
            best, best_score = candidate, score
    if best is None:
        raise UnreadableFileError(
            "this is no spectrum file format known here; export it as JCAMP-DX or two-column text.",
            file=head.name,
        )
    return best


def _load(file: str | os.PathLike[str] | IO[bytes], name: str) -> Source:
    if hasattr(file, "read"):
        data = file.read(MAXIMUM_BYTES + 1)
        source = Source(name or str(getattr(file, "name", "input")), data)
    else:
        path = Path(file)
        shown = name or str(file)
        try:
            size = path.stat().st_size
            # The size is checked before reading, so that a huge file costs nothing.
            with path.open("rb") as stream:
                # One byte more than allowed: devices and pipes state no size.
                data = b"" if size > MAXIMUM_BYTES else stream.read(MAXIMUM_BYTES + 1)
        except FileNotFoundError:
            raise UnreadableFileError("there is no such file.", file=shown) from None
        except IsADirectoryError:
            raise UnreadableFileError("this is a folder; name the files in it.", file=shown) from None
        except OSError as error:
            raise UnreadableFileError(f"it cannot be opened ({error.strerror}).", file=shown) from None
        if size > MAXIMUM_BYTES:
            raise UnreadableFileError(
                f"it is {size / 2**20:.0f} MB, more than the {MAXIMUM_BYTES / 2**20:.0f} MB a spectrum file "
                "may have; cut the spectrum you need out of it.",
                file=shown,
            )
        source = Source(shown, data, path)
    if len(source.data) > MAXIMUM_BYTES:
        raise UnreadableFileError(
            f"it is longer than the {MAXIMUM_BYTES / 2**20:.0f} MB a spectrum file may have.",
            file=source.name,
        )
    if not source.data.strip(b"\0 \t\r\n"):
        raise UnreadableFileError("it is empty.", file=source.name)
    return source


def read_all(
    file: str | os.PathLike[str] | IO[bytes],
    *,
    technique: Technique | str | None = None,
    laser_nm: float | None = None,
    format: str | None = None,
    name: str = "",
) -> list[Spectrum]:
    r"""Read every spectrum in a file.

    Parameters
    ----------
    file : path or binary stream
        The file.
    technique : Technique or str, optional
        The technique, where the file does not state it.
    laser_nm : float, optional
        Excitation wavelength in nm, for a Raman file with a wavelength axis that does not state it; a file
        that states another is refused.
    format : str, optional
        Name of the format, to skip recognition by content.
    name : str, optional
        Name to show in messages instead of the path.

    Returns
    -------
    list of Spectrum
        At least one.

    Raises
    ------
    UnreadableFileError
        If the file is missing, empty, damaged or in no known format.
    UnsupportedContentError
        If it holds something that is not a vibrational spectrum.
    MissingDependencyError
        If its format needs an extra that is not installed.

    Examples
    --------
    >>> import io
    >>> import spectralid
    >>> table = b"shift,first,second\n400,1.0,2.0\n402,2.5,2.0\n404,7.0,3.0\n406,2.0,9.0\n408,1.0,2.0\n"
    >>> [spectrum.name for spectrum in spectralid.read_all(io.BytesIO(table), technique="raman")]
    ['input (first)', 'input (second)']
    """
    if laser_nm is not None and not 100 < laser_nm < 2000:
        raise ParameterError("laser_nm", laser_nm, "an excitation wavelength in nm between 100 and 2000")
    wanted = None if technique is None else Technique.parse(str(technique))
    options = ReadOptions(technique=None if wanted is Technique.UNKNOWN else wanted, laser_nm=laser_nm)
    source = _load(file, name)
    head = Source(source.name, source.data[:HEAD_BYTES], source.path)
    chosen = _format_named(format) if format else _choose(head)
    try:
        spectra = chosen.read(source, options)
    except InvalidSpectrumError as error:
        raise UnreadableFileError(str(error), file=source.name) from error
    named = [s if s.source else s.replace(source=source.name) for s in spectra]
    for spectrum in named:
        _check_laser(spectrum, options, source)
    return [_with_technique(s, options, source) for s in named]


def _check_laser(spectrum: Spectrum, options: ReadOptions, source: Source) -> None:
    stated = spectrum.acquisition.laser_nm
    if stated is None or options.laser_nm is None or abs(options.laser_nm - stated) <= _LASER_TOLERANCE_NM:
        return
    raise FileError(
        f"it states a laser of {stated:g} nm, but {options.laser_nm:g} nm was given; leave the laser out to "
        "use what the file says.",
        file=source.name,
    )


def _with_technique(spectrum: Spectrum, options: ReadOptions, source: Source) -> Spectrum:
    wanted = options.technique
    if wanted is None or spectrum.technique is wanted:
        return spectrum
    if spectrum.technique is Technique.UNKNOWN or (
        # The file says "infrared"; the caller adds how it was sampled.
        spectrum.technique is Technique.FTIR and wanted.is_infrared
    ):
        return spectrum.replace(technique=wanted)
    if wanted is Technique.FTIR and spectrum.technique.is_infrared:
        return spectrum
    raise FileError(
        f"it states the technique {spectrum.technique.value}, but {wanted.value} was asked for; "
        "leave the technique out to use what the file says.",
        file=source.name,
    )


def read(
    file: str | os.PathLike[str] | IO[bytes],
    *,
    technique: Technique | str | None = None,
    laser_nm: float | None = None,
    format: str | None = None,
    name: str = "",
) -> Spectrum:
    r"""Read the one spectrum in a file.

    Parameters
    ----------
    file : path or binary stream
        The file.
    technique : Technique or str, optional
        The technique, where the file does not state it.
    laser_nm : float, optional
        Excitation wavelength in nm, for a Raman file with a wavelength axis that does not state it; a file
        that states another is refused.
    format : str, optional
        Name of the format, to skip recognition by content; see `formats`.
    name : str, optional
        Name to show in messages instead of the path.

    Returns
    -------
    Spectrum
        The spectrum.

    Raises
    ------
    MultipleSpectraError
        If the file holds more than one; use `read_all`.
    UnreadableFileError
        If the file is missing, empty, damaged or in no known format.
    UnsupportedContentError
        If it holds something that is not a vibrational spectrum.
    MissingDependencyError
        If its format needs an extra that is not installed.

    Examples
    --------
    >>> import io
    >>> import spectralid
    >>> file = io.BytesIO(b"400 1.0\n402 2.5\n404 7.0\n406 2.0\n408 1.0\n")
    >>> spectralid.read(file, technique="raman", name="scan.txt")
    <Spectrum 'scan' raman 5 points, 400 to 408 cm⁻¹, arbitrary>
    """
    spectra = read_all(file, technique=technique, laser_nm=laser_nm, format=format, name=name)
    if len(spectra) > 1:
        raise MultipleSpectraError(
            f"it holds {len(spectra)} spectra where one was asked for; read them with read_all().",
            file=spectra[0].source or str(file),
        )
    return spectra[0]


def write(
    spectra: Spectrum | Sequence[Spectrum],
    file: str | os.PathLike[str],
    *,
    format: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write one or more spectra to a file; nothing is left behind if it fails.

    Parameters
    ----------
    spectra : Spectrum or sequence of Spectrum
        What to write.
    file : path
        Where to. Its extension names the format unless `format` does.
    format : str, optional
        Name of the format, see `formats`.
    overwrite : bool
        Whether a file already there may be replaced; it is replaced whole.

    Raises
    ------
    ParameterError
        If the format is unknown, cannot be written, or cannot hold what was given.
    FileError
        If there is such a file already, or it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import spectralid
    >>> spectrum = spectralid.Spectrum([400.0, 500.0, 600.0], [1.0, 3.0, 1.0], technique="raman")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     spectralid.write(spectrum, Path(folder) / "scan.jdx")
    ...     spectralid.read(Path(folder) / "scan.jdx").sha256 == spectrum.sha256
    True
    """
    items = [spectra] if isinstance(spectra, Spectrum) else list(spectra)
    if not items:
        raise ParameterError("spectra", [], "at least one spectrum")
    path = Path(file)
    if format:
        chosen = _format_named(format)
    else:
        writable = [f for f in formats() if f.write and path.suffix.lower() in f.extensions]
        if not writable:
            known = sorted({e for f in formats() if f.write for e in f.extensions})
            raise ParameterError("file", str(file), "named with one of the extensions " + ", ".join(known))
        chosen = writable[0]
    if chosen.write is None:
        names = ", ".join(f.name for f in formats() if f.write)
        raise ParameterError("format", chosen.name, f"one that can be written ({names})")
    if path.exists() and not overwrite:
        raise FileError("there is a file of that name already; allow it to be replaced, or choose another "
                        "name.", file=str(file))  # fmt: skip
    data = chosen.write(items)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise FileError(f"it cannot be written ({error.strerror}).", file=str(file)) from None
