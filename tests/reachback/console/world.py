"""What the tests of the console share: the agency's library of eight substances, and scans of mixtures.

The references are sums of invented bands; a scan is a sum of the same substances on another axis, with a
background and noise. No code of the engine takes part in making one.
"""

from __future__ import annotations

import numpy as np

from spectralid.casework.packet import Blob
from spectralid.library import Compound, Tier
from tests.identify.builders import GRID, library, raman, substance, with_noise

NAMES = ("caffeine", "lactose", "mannitol", "procaine", "quinine", "sucrose", "talc", "urea")
AXIS = np.arange(180.0, 3150.0, 2.5)
HOSTILE = "\"'><img src=x onerror=window.hacked=1><script>window.hacked=1</script>{{7}}\u202e" + "W" * 20
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)


def agency_library(folder):
    """A library file beside a server's database."""
    entries = [
        (
            Compound(slug, slug.title(), synonyms=(f"{slug} hydrate",)),
            raman(substance(GRID, n)),
            Tier.MEASURED,
        )
        for n, slug in enumerate(NAMES)
    ]
    return library(folder, entries, name="library")


def mixture(shares, *, sd=0.01, seed=1, background=0.8):
    """Counts of a mixture, by shares of its signal."""
    whole = sum(
        share
        * np.interp(AXIS, GRID, substance(GRID, NAMES.index(slug)))
        / substance(GRID, NAMES.index(slug)).sum()
        for slug, share in shares.items()
    )
    smooth = background * np.exp(-0.5 * ((AXIS - 900) / 900) ** 2)
    return 3000 * with_noise(whole / whole.max() + smooth, sd, seed)


def doubles(values):
    return Blob(np.asarray(values, dtype="<f8").tobytes(), "application/octet-stream")


def scan(tablet, values, *, seizure="S-1", item="I-1", said=None, **more):
    """A scan packet of a tablet, with what it says of it."""
    y, x = doubles(values), doubles(AXIS)
    result = {
        "decision": "identified",
        "engine": {"version": "0"},
        "library": {"name": "field", "version": "3"},
        "components": [{"slug": "caffeine", "name": "Caffeine", "share": 1.0}],
        "candidates": [{"substance_id": "caffeine", "name": "Caffeine", "score": 0.9, "rank": 1}],
        "reason_codes": ["mixture-suspected"],
        "verdict": {"kind": "identified", "alarm": "notice", "headline": "FIELD-SAYS-CAFFEINE"},
        **(said or {}),
    }
    body = {
        "instrument": {
            "technique": "raman",
            "maker": "Acme",
            "model": "R1",
            "serial": "7",
            "laser_nm": 785.0,
        },
        "spectra": [
            {"blob": y.sha256, "x_blob": x.sha256, "dtype": "<f8", "n": len(values), "unit": "counts"}
        ],
        "result": result,
        "escalation": {"why": ["forced"], "urgency": "high", "officer_note": "white powder in a sock"},
        **more,
    }
    return tablet.make("scan", seizure, item, (y, x), **body)


def case(desk, *, seizure="S-1", shares=None, photo=True, strip=None, tablet=None, **more):
    """A seizure with one scan, a photo and perhaps a strip, on the server; gives the case."""
    tablet = tablet or desk.tablet
    sent = [
        tablet.seizure(seizure, site_ref="north"),
        tablet.item(seizure=seizure, container="glass", declared={"text": "vitamins", "cas": "58-08-2"}),
        scan(tablet, mixture(shares or {"caffeine": 0.65, "lactose": 0.35}), seizure=seizure, **more),
    ]
    if photo:
        blob = Blob(PNG, "image/png", "bag.png")
        sent.append(
            tablet.make("evidence", seizure, "I-1", (blob,), photos=[{"blob": blob.sha256}], note="two bags")
        )
    if strip:
        sent.append(tablet.strip("fentanyl", strip, seizure=seizure))
    return [desk.ingest(raw).case for raw in sent][-1]
