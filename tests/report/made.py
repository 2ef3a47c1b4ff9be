"""Records to report on, written out by hand as a device would seal them."""

from __future__ import annotations

import math
from typing import Any


def spectrum(seed: float = 0.0) -> tuple[list[float], list[float]]:
    """A curve with bands; not a real substance."""
    x = [200 + 2.0 * n for n in range(1000)]
    bands = [(620, 400), (1002, 4000), (1030, 1500), (1453, 800), (1600, 1900), (1640 + seed, 700)]
    return x, [
        300 + 0.1 * a + sum(h / (1 + ((a - p) / 6) ** 2) for p, h in bands) + 20 * math.sin(a) for a in x
    ]


def scan(**changes: Any) -> dict[str, Any]:
    """Manifest of a scan: a mixture with fentanyl."""
    manifest: dict[str, Any] = {
        "schema": "spectralid.packet/1",
        "kind": "scan",
        "packet_id": "0193576e-7c00-7abc-8def-0123456789ab",
        "device_id": "TAB-0042",
        "seq": 118,
        "prev": "9f" * 32,
        "captured": {
            "wall_utc": "2026-11-22T12:31:07.512Z",
            "monotonic_ns": 1,
            "boot_id": "b",
            "clock_state": "drift",
            "last_trusted_utc": "2026-11-22T06:00:00Z",
        },
        "officer_ref": "K-17",
        "site_ref": "POE-3",
        "seizure_ref": "SZ-2026-0007",
        "item_ref": "IT-0003",
        "instrument": {
            "instrument": "Wasatch Photonics WP-785X",
            "serial": "WP-01234",
            "technique": "raman",
            "laser_nm": 785.0,
            "integration_ms": 400.0,
            "averages": 5,
            "power_mw": 90.0,
            "flags": ["axis_calibrated"],
        },
        "ipv": "none",
        "instrument_check": "passed",
        "context": {"container": "pe"},
        "spectra": [
            {"role": "sample", "technique": "raman", "unit": "counts", "n": 1000, "sha256": "ab" * 32}
        ],
        "result": {
            "engine": {"version": "0.6.0"},
            "library": {"name": "agency", "version": "2026.11", "sha256": "cd" * 32},
            "decision": "mixture",
            "components": [
                {"slug": "lactose", "name": "Lactose", "form": "monohydrate", "tier": "measured",
                 "share": 0.91, "low": 0.88, "high": 0.94, "probability": 0.998},
                {"slug": "fentanyl", "name": "Fentanyl", "form": "hydrochloride", "tier": "measured",
                 "share": 0.068, "low": 0.051, "high": 0.089, "probability": 0.982},
            ],
            "unexplained_cm1": [],
            "smallest_shares": {"fentanyl-related": 0.021, "nitazene": 0.034, "benzodiazepine": 1.2},
            "quality": {"snr": 84.2, "problems": []},
            "verdict": {
                "schema": "spectralid.verdict/1",
                "presumptive": True,
                "language": "en",
                "kind": "mixture",
                "alarm": "danger",
                "headline": "Lactose with fentanyl ≈ 7 %",
                "words": "The spectrum is explained by lactose monohydrate and fentanyl hydrochloride.",
                "precautions": [
                    "Ultra-potent opioid: gloves, respirator, covered skin; raise no dust; naloxone and a "
                    "second person at hand.",
                    "Gloves; do not taste, smell or touch. Other, unseen substances may be present.",
                ],
                "not_excluded": ["Nitazenes below 3.4 %.", "Anything without bands in 200–2200 cm⁻¹."],
                "evidence": ["Bands at 1002 and 1030 cm⁻¹ agree with fentanyl.", "Nothing is left over."],
                "advice": [],
                "reasons": ["High hazard."],
                "named": ["lactose", "fentanyl"],
                "escalate": True,
                "codes": ["named", "escalate-hazard"],
                "escalation": ["policy_high_hazard"],
                "policy": "default 1 0123456789ab",
            },
        },
        "escalation": {"why": ["policy_high_hazard"], "urgency": "danger", "officer_note": ""},
        "ui_locale": "en",
    }  # fmt: skip
    return manifest | changes


def evidence(**changes: Any) -> dict[str, Any]:
    """Manifest of evidence on the same item: a strip that says no, and goods declared as lactose."""
    manifest: dict[str, Any] = {
        "schema": "spectralid.packet/1",
        "kind": "evidence",
        "packet_id": "0193576e-8c00-7abc-8def-0123456789ab",
        "device_id": "TAB-0042",
        "seq": 119,
        "captured": {"wall_utc": "2026-11-22T12:36:00Z", "clock_state": "drift"},
        "officer_ref": "K-17",
        "seizure_ref": "SZ-2026-0007",
        "item_ref": "IT-0003",
        "strips": [
            {"target": "fentanyl", "brand": "BTNX", "lot": "L22", "expiry": "2027-05-01",
             "cutoff_ng_ml": 200.0, "dilution_mg_ml": 2.0, "read_s": 120.0, "result": "neg", "photo": "",
             "evidence": {"ratio": 0.02, "low": 0.01, "high": 0.05}}
        ],
        "declared": {
            "text": "lactose", "cas": "63-42-3", "tariff": "1702.19",
            "check": {"outcome": "inconsistent", "reasons": ["Fentanyl was found and not declared."]},
        },
        "assessment": {
            "alarm": "danger",
            "headline": "Fentanyl by the spectrum, not by the strip",
            "words": "The two contradict each other; treat the item as fentanyl.",
            "conflicts": ["The spectrum shows fentanyl and the strip does not: neither is set aside."],
            "escalation": ["uncertain"],
            "swgdrug": ["A"],
        },
    }  # fmt: skip
    return manifest | changes


def answer(**changes: Any) -> dict[str, Any]:
    """An answer of the laboratory."""
    return {
        "answer_id": "a-1",
        "device_id": "TAB-0042",
        "n": 1,
        "case": "C-9",
        "packet_ids": ["0193576e-7c00-7abc-8def-0123456789ab"],
        "kind": "lab_result",
        "utc": "2026-11-23T09:00:00Z",
        "headline": "Fentanyl by GC-MS",
        "words": "",
        "precautions": [],
        "basis": "GC-MS",
        "by": "LAB-2",
        "supersedes": None,
        "lab": "confirmed",
    } | changes
