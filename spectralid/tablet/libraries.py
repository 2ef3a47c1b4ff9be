"""A newer library for this tablet: by the line it is enrolled with, or from a stick."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore
    from spectralid.library.update import Updated
    from spectralid.library.update_sources import HttpSource, Source

__all__ = ["LIBRARIES", "ask", "line", "tls_context", "trusts_a_repository"]

LIBRARIES: Final = "library"
"""Folder of installed libraries, in that of the record."""

_PATH: Final = "/v1/library"


def trusts_a_repository(folder: Path) -> bool:
    """Whether a person has told this tablet whose libraries to take."""
    return (folder / LIBRARIES / "trust" / "root.json").is_file()


def line(
    store: CaseStore, *, read_s: float = 20.0, monotonic: Callable[[], float] = time.monotonic
) -> HttpSource | None:
    """The repository of the server that this tablet is enrolled with; ``None`` if it is with none.

    Parameters
    ----------
    store : CaseStore
        The record.
    read_s : float
        How long the server may be silent, in seconds.
    monotonic : callable
        Seconds since some moment; infinite to give up.
    """
    from spectralid.casework.enrolment import enrolled
    from spectralid.library.update_sources import HttpSource

    found = enrolled(store)
    if found is None:
        return None
    tls = tls_context(found.ca_pem, found.certificate, found.key)
    return HttpSource(found.url + _PATH, tls, read_s=read_s, monotonic=monotonic)


def ask(store: CaseStore, folder: Path, source: Source, *, site: str) -> Updated:
    """Install the newest library that is for this tablet, if there is one.

    Parameters
    ----------
    store : CaseStore
        The record: it knows who this tablet is, and the latest time known to be past.
    folder : Path
        Folder of the record.
    source : Source
        The repository.
    site : str
        Where the tablet belongs.

    Raises
    ------
    UpdateError
        If anything is not in order; the library in force stays.
    """
    from spectralid.library.update import update

    return update(
        folder / LIBRARIES, source, device_id=store.device_id, site=site, latest=store.time.latest,
        clock=store.time.clock.wall_utc,
    )  # fmt: skip


def tls_context(ca_pem: str, certificate: Any = None, key: Any = None) -> ssl.SSLContext:
    """Trust one authority alone, and show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_pem)
    if certificate is not None:
        # Without a usable certificate the server refuses, and says so; the stick works in any case.
        with suppress(OSError):
            context.load_cert_chain(certificate, key, password="")
    return context
