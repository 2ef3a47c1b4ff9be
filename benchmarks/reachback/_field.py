"""Tablets for benchmarks of the server: signed packets of the size of real ones, in their chains."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np

from spectralid.casework.clock import to_text
from spectralid.casework.ids import next_id
from spectralid.casework.keys import SigningKey
from spectralid.casework.manifest import GENESIS
from spectralid.casework.packet import Blob, seal

POINTS = 1024
"""A spectrometer's detector; axis and intensities as float64 are 16 kB, as the tablet records them."""
_BINARY = "application/octet-stream"
FENTANYL, HARMLESS = ["fentanyl", "mannitol"], ["caffeine", "lactose"]
"""What the tablets find."""
_AXIS = np.linspace(150.0, 3200.0, POINTS) ** 1.0003


class Scans:
    """Scans of one instrument, as packets tell of them: what was measured, and what the tablet made of it.

    Parameters
    ----------
    serial : str
        Of the instrument.
    seed : int
        Of what is drawn.
    """

    def __init__(self, serial: str, seed: int) -> None:
        self._serial = serial
        self._random = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self._axis = Blob((_AXIS + 0.01 * seed).tobytes(), _BINARY)

    def next(
        self, at: datetime, *, danger: bool = False, unknown: bool = False
    ) -> tuple[tuple[Blob, ...], dict[str, Any]]:
        """The blobs of another scan, and the fields of its manifest."""
        y = Blob(self._noise.normal(1000.0, 30.0, POINTS).tobytes(), _BINARY)
        found = [] if unknown else FENTANYL if danger else HARMLESS
        spectrum = {
            "role": "sample", "x_blob": self._axis.sha256, "blob": y.sha256, "dtype": "<f8", "n": POINTS,
            "technique": "raman", "unit": "counts", "sha256": y.sha256, "name": "", "history": [],
        }  # fmt: skip
        instrument = {
            "technique": "raman", "maker": "simulated", "model": "785", "serial": self._serial,
            "laser_nm": 785.0, "power_mw": 300.0, "integration_ms": 500.0, "averages": 10,
            "resolution_cm1": 8.0,
        }  # fmt: skip
        body = {
            "instrument": instrument,
            "spectra": [spectrum],
            "result": self._result(found, danger=danger),
            "ipv": {"id": "ipv-1", "time": to_text(at), "passed": True, "limits_version": "1"},
        }
        return (self._axis, y), body

    def _result(self, found: list[str], *, danger: bool) -> dict[str, Any]:
        names = [*found, *(f"compound-{n}" for n in range(8))]
        unit = self._random.random
        candidates = [
            {"substance_id": name, "name": name.title(), "score": unit(), "calibrated_p": unit(), "rank": n}
            for n, name in enumerate(names, 1)
        ]
        components = [
            {
                "slug": slug, "name": slug.title(), "form": "", "category": "cutting agent", "schedule": "",
                "fentanyl_related": "parent" if slug == "fentanyl" else "", "tier": "measured",
                "share": unit(), "low": 0.1, "high": 0.9, "probability": unit(),
            } for slug in found
        ]  # fmt: skip
        words = "Presumptive. Two components explain the spectrum; the laboratory has the last word. " * 4
        return {
            "decision": "mixture" if found else "no_match",
            "engine": {"version": "1.0", "ranking": "derivative", "fit": "joint"},
            "identification_sha256": hashlib.sha256(str(unit()).encode()).hexdigest(),
            "library": {"name": "spectralid", "version": "1", "sha256": "0" * 64},
            "candidates": candidates,
            "components": components,
            "families": ["fentanyl-related"] if danger else [],
            "unexplained_cm1": [unit() * 3000 for _ in range(5)],
            "smallest_shares": {name: unit() for name in names},
            "quality": {"snr": 100 * unit(), "problems": []},
            "reason_codes": ["two-components", "all-explained"],
            "thresholds": {f"threshold_{n}": unit() for n in range(20)},
            "verdict": {
                "kind": "mixture" if found else "no_match", "headline": "Mixture" if found else "No match",
                "alarm": "danger" if danger else "notice" if found else "unknown",
                "words": words, "precautions": ["Wear gloves.", "Do not open."] if danger else [],
            },
        }  # fmt: skip


class Tablet:
    """Makes packets in a chain, as a tablet does, at whatever time it is told.

    Parameters
    ----------
    device_id : str
        Its name.
    seed : int
        Of its spectra.
    key : SigningKey, optional
        That it signs with; a new one by default.
    """

    def __init__(self, device_id: str, seed: int, key: SigningKey | None = None) -> None:
        self.device_id = device_id
        self.key = key or SigningKey.generate()
        self.seq = 0
        self._prev = GENESIS
        self._last_id: str | None = None
        self._scans = Scans(device_id, seed)

    def seizure(
        self, ref: str, scans: int, at: datetime, *, danger: bool = False, unknown: bool = False
    ) -> Iterator[bytes]:
        """All packets of a seizure: its opening, an item, and the scans.

        Parameters
        ----------
        ref : str
            Its name.
        scans : int
            How many.
        at : datetime
            When.
        danger : bool
            Whether the tablet found one of the fentanyl family.
        unknown : bool
            Whether nothing matched.
        """
        yield self._sealed("seizure", ref, None, at, officer_ref="K-17", place="gate 4", mode="parcel")
        yield self._sealed("item", ref, "I-1", at, label="bag of white powder", container="bag")
        for _ in range(scans):
            blobs, body = self._scans.next(at, danger=danger, unknown=unknown)
            yield self._sealed("scan", ref, "I-1", at, *blobs, **body)

    def _sealed(
        self, kind: str, ref: str, item: str | None, at: datetime, *blobs: Blob, **body: Any
    ) -> bytes:
        self.seq += 1
        self._last_id = next_id(at, self._last_id)
        captured = {"wall_utc": to_text(at), "monotonic_us": 1, "boot_id": "boot-1", "clock_state": "synced"}
        manifest = {
            "schema": "spectralid.packet/1",
            "kind": kind,
            "packet_id": self._last_id,
            "device_id": self.device_id,
            "seq": self.seq,
            "prev": self._prev,
            "chain": {"id": "chain-1", "epoch": 0},
            "captured": captured,
            "seizure_ref": ref,
            "item_ref": item,
            **body,
        }
        raw = seal(manifest, blobs, self.key)
        self._prev = hashlib.sha256(raw).hexdigest()
        return raw
