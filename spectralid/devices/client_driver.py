"""What drivers that reach their instrument through a protocol client have in common."""

from __future__ import annotations

import math
from typing import Generic, Protocol, Self, TypeVar

from spectralid.devices.driver import Interlock
from spectralid.devices.profile import Profile
from spectralid.devices.transport import Transport
from spectralid.errors import ParameterError

__all__ = ["ClientDriver"]


class _Client(Protocol):
    @property
    def transport(self) -> Transport:
        """The line."""

    def close(self) -> None:
        """Close the line."""


ClientT = TypeVar("ClientT", bound=_Client)


class ClientDriver(Generic[ClientT]):
    """The part of a `spectralid.devices.driver.Driver` that is the same for every protocol.

    Parameters
    ----------
    client : object
        The client, with its ``transport`` and ``close()``.
    profile : Profile
        What is fixed for the model.
    """

    def __init__(self, client: ClientT, profile: Profile) -> None:
        self._client = client
        self._profile = profile

    @property
    def profile(self) -> Profile:
        """What is fixed for the model."""
        return self._profile

    def interlock(self) -> Interlock:
        """Always unknown: none of these protocols has a message for it."""
        return Interlock.UNKNOWN

    def _check_integration(self, milliseconds: float, *, longest_ms: float = math.inf) -> None:
        """Raise `ParameterError` unless the time is within the limits of the profile and of the protocol."""
        low, high = self._profile.integration_ms
        high = min(high, longest_ms)
        if not low <= milliseconds <= high:
            raise ParameterError("integration time", f"{milliseconds:g} ms", f"from {low:g} to {high:g} ms")

    def abort(self) -> None:
        """End a call that another thread waits in, until `resume`."""
        self._client.transport.abort()

    def resume(self) -> None:
        """Take calls again after `abort`."""
        self._client.transport.resume()

    def close(self) -> None:
        """Close the line."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
