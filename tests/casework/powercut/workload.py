"""Field work in small, for the crash tests: drafts of all kinds."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from spectralid.casework.packet import Blob
from spectralid.casework.store import Draft

_POINTS = (8, 64, 200, 900)


def drafts(rng: random.Random) -> Iterator[Draft]:
    """Seizures with items, scans, evidence and questions, without end; sizes from 1 kB to 15 kB.

    What is drawn is the work of one officer in any order that makes sense: nothing belongs to a seizure or an
    item that was not opened before.
    """
    while True:
        seizure = f"S-{rng.getrandbits(40):010x}"
        yield Draft("seizure", seizure, None, {"officer_ref": "o-1", "place": "bay 4", "mode": "vehicle"})
        for item in range(rng.randint(1, 3)):
            reference = f"{seizure}-{item}"
            yield Draft("item", seizure, reference, {"label": f"bag {item}", "container": "pe"})
            for _ in range(rng.randint(1, 4)):
                yield _scan(rng, seizure, reference)
            if rng.random() < 0.5:
                note = "é" * rng.randrange(400)
                yield Draft("evidence", seizure, reference, {"note": note})
        if rng.random() < 0.5:
            escalation = {"why": ["forced"], "urgency": "high", "officer_note": "please look"}
            yield Draft("send", seizure, None, {"escalation": escalation, "packet_ids": []})


def _scan(rng: random.Random, seizure: str, item: str) -> Draft:
    points = rng.choice(_POINTS)
    numbers = struct.pack(f"<{points}d", *(rng.random() for _ in range(points)))
    intensity = Blob(numbers, "application/octet-stream")
    body = {
        "instrument": {"technique": "raman", "laser_nm": 785.0},
        "spectra": [
            {"blob": intensity.sha256, "dtype": "<f8", "n": points, "unit": "counts", "x0": 200.0, "dx": 2.0}
        ],
        "result": {"decision": "no_match", "engine": {"version": "0"}, "library": {"name": "none"}},
    }
    return Draft("scan", seizure, item, body, (intensity,))
