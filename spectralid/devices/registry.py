"""Which driver speaks which protocol: the built-in ones, and those of other packages.

Another package adds a driver through an entry point of the group ``spectralid.drivers`` whose name is the
protocol's and whose value is a function ``open(port: str | Transport, profile: Profile) -> Driver``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import DeviceError, ParameterError

if TYPE_CHECKING:
    from spectralid.devices.driver import Driver
    from spectralid.devices.profile import Profile
    from spectralid.devices.transport import Transport

    Opener = Callable[[str | Transport, Profile], Driver]

__all__ = ["BUILT_IN", "GROUP", "open_device", "opener", "protocols"]

GROUP: Final = "spectralid.drivers"

BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "obp": "spectralid.devices.ocean:open_ocean",
        "wasatch-uart": "spectralid.devices.wasatch:open_wasatch",
        "ocean-legacy": "spectralid.devices.ocean_legacy:open_ocean_legacy",
        "tcd1304-er": "spectralid.devices.tcd1304:open_tcd1304",
    }
)
"""Protocol → ``module:function``; nothing is imported until an instrument is opened."""


def protocols() -> tuple[str, ...]:
    """Every protocol there is a driver for, the built-in ones first.

    Returns
    -------
    tuple of str
        Names a profile may give.

    Examples
    --------
    >>> from spectralid.devices import protocols
    >>> "wasatch-uart" in protocols()
    True
    """
    return (*BUILT_IN, *sorted(set(_others()) - set(BUILT_IN)))


def opener(protocol: str) -> Opener:
    """The function that opens an instrument of `protocol`.

    A built-in driver cannot be replaced by another package: what a profile means must not depend on what
    else is installed.

    Raises
    ------
    ParameterError
        If there is no driver for the protocol.
    DeviceError
        If the driver of another package does not load.
    """
    if protocol in BUILT_IN:
        module, _, function = BUILT_IN[protocol].partition(":")
        built_in: Opener = getattr(importlib.import_module(module), function)
        return built_in
    others = _others()
    if protocol not in others:
        raise ParameterError("protocol", protocol, "one of " + ", ".join(protocols()))
    entry = others[protocol]
    try:
        loaded: Any = entry.load()
    except Exception as error:  # whatever another package does wrong, the user gets one sentence
        raise DeviceError(
            f"The driver for {protocol!r} ({entry.value}) of another package does not load: "
            f"{type(error).__name__}: {error}. Update or remove that package."
        ) from error
    if not callable(loaded):
        raise DeviceError(
            f"The driver for {protocol!r} ({entry.value}) of another package is no function that opens one."
        )
    other: Opener = loaded
    return other


def open_device(port: str | Transport, profile: Profile) -> Driver:
    """Open an instrument.

    Parameters
    ----------
    port : str or Transport
        Port as for `spectralid.devices.transport.open_transport`, or an open line.
    profile : Profile
        What is fixed for the model; its protocol chooses the driver.

    Returns
    -------
    Driver
        The open instrument; a context manager that closes it.

    Raises
    ------
    ParameterError
        If there is no driver for the profile's protocol.
    TransportError
        If the line cannot be opened or the instrument is silent.
    ProtocolError
        If what answers does not speak the protocol.
    """
    return opener(profile.protocol)(port, profile)


def _others() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
