"""The one exception family of spectralid.

Every error a user can meet derives from `SpectralIDError` and carries one sentence that says what was
wrong, where, and what to do about it. The family::

    SpectralIDError
    ├── InputError                    something handed to spectralid cannot be used
    │   ├── ParameterError            an argument or option is outside what is allowed
    │   ├── InvalidSpectrumError      axis or intensities do not make a spectrum
    │   ├── TechniqueError            the technique does not fit (Raman against an infrared library …)
    │   └── FileError                 concerns a file; knows its name and the place in it
    │       ├── UnreadableFileError   damaged, truncated, empty, or in no format known here
    │       ├── UnsupportedContentError  readable, but holds no vibrational spectrum (GC-MS, NMR …)
    │       └── MultipleSpectraError  several spectra where one was asked for
    ├── LibraryError                  a reference library is damaged, too new, or lacks what was asked
    ├── DeviceError                   an instrument or the line to it failed
    │   ├── TransportError            the serial line: timeout, disconnected, busy, permission
    │   └── ProtocolError             what arrived on the line is not a valid answer
    ├── RecordError                   the record of field work: store, packets, what is exchanged
    └── MissingDependencyError        an optional package is not installed

Rooms add leaves of their own below these: `spectralid.devices` knows a refused laser, a laser whose "off" is
not confirmed, and an instrument that refuses a command.
"""

from __future__ import annotations

from typing import Any, Literal, Self

__all__ = [
    "DeviceError",
    "FileError",
    "InputError",
    "InvalidSpectrumError",
    "LibraryError",
    "MissingDependencyError",
    "MultipleSpectraError",
    "ParameterError",
    "ProtocolError",
    "RecordError",
    "SpectralIDError",
    "TechniqueError",
    "TransportError",
    "TransportFault",
    "UnreadableFileError",
    "UnsupportedContentError",
]


class SpectralIDError(Exception):
    """Base of every error spectralid raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel back from worker processes; those with more than a message would not pickle.
        return self._again, (self.args,), self.__dict__

    @classmethod
    def _again(cls, args: tuple[Any, ...]) -> Self:
        return cls.__new__(cls, *args)


class InputError(SpectralIDError):
    """Something handed to spectralid cannot be used."""


class ParameterError(InputError, ValueError):
    """An argument is outside what is allowed.

    Parameters
    ----------
    name : str
        The parameter as the caller knows it.
    given : object
        What was given.
    allowed : str
        What is allowed, in words that finish the sentence "... must be".
    """

    def __init__(self, name: str, given: object, allowed: str) -> None:
        super().__init__(f"{name} must be {allowed}; got {given!r}.")
        self.name = name
        self.given = given
        self.allowed = allowed


class InvalidSpectrumError(InputError, ValueError):
    """Axis or intensities do not make a spectrum."""


class TechniqueError(InputError):
    """The technique of a spectrum does not fit what it is used with."""


class FileError(InputError):
    """An error that concerns one file.

    Parameters
    ----------
    message : str
        What is wrong and what to do, as a sentence.
    file : str
        Name of the file as the user gave it.
    where : str, optional
        The place in it: ``"line 12"``, ``"byte 512"``, ``"field FIRSTX"``.
    """

    def __init__(self, message: str, *, file: str, where: str = "") -> None:
        place = f"{file}, {where}" if where else file
        super().__init__(f"{place}: {message}")
        self.file = file
        self.where = where
        self.reason = message


class UnreadableFileError(FileError):
    """The file is empty, truncated, damaged, or in no format spectralid knows."""


class UnsupportedContentError(FileError):
    """The file can be read but does not hold a vibrational spectrum."""


class MultipleSpectraError(FileError):
    """The file holds several spectra where one was asked for."""


class LibraryError(SpectralIDError):
    """A reference library is damaged, was made by a newer version, or lacks what was asked for."""


class DeviceError(SpectralIDError):
    """An instrument, or the line to it, failed."""


TransportFault = Literal["timeout", "disconnected", "busy", "permission", "absent", "aborted"]
"""What kind of failure of a line it was."""


class TransportError(DeviceError):
    """The serial line failed.

    Parameters
    ----------
    message : str
        What happened and what to do.
    kind : {"timeout", "disconnected", "busy", "permission", "absent", "aborted"}
        What kind of failure it was, the same on every platform; ``"aborted"`` is no failure of the line but
        another thread's wish.
    """

    def __init__(self, message: str, *, kind: TransportFault) -> None:
        super().__init__(message)
        self.kind: TransportFault = kind


class ProtocolError(DeviceError):
    """What arrived on the line is not a valid answer to what was asked."""


class RecordError(SpectralIDError):
    """Something about the record of field work failed: its store, a packet, or an exchange with others."""


class MissingDependencyError(SpectralIDError, ImportError):
    """An optional package is needed and not installed.

    Parameters
    ----------
    package : str
        The package as named on PyPI.
    extra : str
        The extra of spectralid that brings it.
    purpose : str
        What it is needed for, finishing the sentence "... is needed".
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"The package {package!r} is needed {purpose} and is not installed; "
            f"install it with: python -m pip install 'spectralid[{extra}]'"
        )
        self.package = package
        self.extra = extra
