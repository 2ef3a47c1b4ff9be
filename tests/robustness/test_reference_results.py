"""Results recorded on one machine come out on this one, within the stated tolerance.

``python -m tests.robustness.test_reference_results`` writes the record anew; it is due when library or engine
change, and never else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectralid import Spectrum, open_library
from spectralid.identify import Identifier
from spectralid.qa.replaying import TOLERANCE
from spectralid.verdict import decide

FILE = Path(__file__).with_suffix(".json")
RECORD: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"results": []}
# Infrared heights are written to this many digits, counts whole.
DIGITS = {"absorbance": 5, "counts": 0}
MADE_OF = {
    "caffeine": ("raman", {"caffeine": 1.0}),
    "acetaminophen in lactose": ("raman", {"acetaminophen": 0.6, "lactose": 0.4}),
    "polystyrene": ("ftir_atr", {"polystyrene": 1.0}),
    "nothing of the library": ("raman", {}),
}


def simulated(library: Any, technique: str, shares: dict[str, float]) -> dict[str, Any]:
    rng = np.random.default_rng(9)
    low, step, count = (250.0, 3.0, 600) if technique == "raman" else (600.0, 4.0, 700)
    axis = low + step * np.arange(count)
    mean = np.zeros(count)
    for slug, share in shares.items():
        row = next(r for r in library.rows(technique) if r.compound_slug == slug)
        reference = library.reference(row.id).spectrum
        known = ~reference.missing
        shape = np.interp(axis, reference.axis[known], reference.intensity[known])
        mean += share * (shape - shape.min()) / np.ptp(shape)
    if not shares:
        mean = sum(np.exp(-(((axis - at) / 9) ** 2)) for at in (411.0, 903.0, 1277.0, 1711.0))
    counts = technique == "raman"
    values = rng.poisson(3000 * mean + 900) if counts else 0.5 * mean + rng.normal(0.02, 0.002, count)
    unit = "counts" if counts else "absorbance"
    heights = np.round(values, DIGITS[unit]).tolist()
    return {"technique": technique, "unit": unit, "start": low, "step": step, "values": heights}


def spectrum_of(entry: dict[str, Any]) -> Spectrum:
    axis = entry["start"] + entry["step"] * np.arange(len(entry["values"]))
    return Spectrum(axis, entry["values"], technique=entry["technique"], unit=entry["unit"])


def told(engine: Identifier, spectrum: Spectrum) -> dict[str, Any]:
    identification = engine.identify(spectrum)
    verdict = decide(identification, engine.library)
    analysis, confidence = identification.analysis, identification.confidence
    assert analysis is not None
    assert confidence is not None
    return {
        "verdict": [verdict.kind.value, verdict.alarm.value, verdict.headline, *verdict.named],
        "codes": list(verdict.codes),
        "candidates": {c.compound_slug: c.score for c in identification.candidates},
        "shares": {c.reference_id: c.share for c in analysis.components},
        "probabilities": {c.compound_slug: c.probability for c in confidence.components},
        "nothing": {"": analysis.nothing},
    }


def test_there_is_a_record_of_this_library() -> None:
    assert [entry["name"] for entry in RECORD["results"]] == list(MADE_OF)
    with open_library() as library:
        assert RECORD["library_sha256"] == library.sha256, (
            "the bundled library is another than the record's; write it anew"
        )


@pytest.mark.parametrize("entry", RECORD["results"], ids=lambda entry: entry["name"])
def test_recorded_results_come_out_within_the_stated_tolerance(
    entry: dict[str, Any], engine: Identifier
) -> None:
    now, then = told(engine, spectrum_of(entry["spectrum"])), entry["told"]
    assert now["verdict"] == then["verdict"]
    assert now["codes"] == then["codes"]
    for what in ("candidates", "shares", "probabilities", "nothing"):
        assert list(now[what]) == list(then[what])
        assert list(now[what].values()) == pytest.approx(list(then[what].values()), abs=TOLERANCE)


def main() -> None:
    with open_library() as library:
        engine = Identifier(library)
        results = []
        for name, (technique, shares) in MADE_OF.items():
            spectrum = simulated(library, technique, shares)
            results.append({"name": name, "spectrum": spectrum, "told": told(engine, spectrum_of(spectrum))})
        record = {"library_sha256": library.sha256, "results": results}
    FILE.write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
