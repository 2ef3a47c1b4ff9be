"""From a spectrum and what was concluded of it to the plain data of a packet, and back to the spectrum.

Nothing here imports the engine or numpy: the values are asked for their own plain forms.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework.packet import Blob, Packet, PacketError

if TYPE_CHECKING:
    from spectralid.identify import Identification
    from spectralid.identify.analysis import Component
    from spectralid.library import ReferenceLibrary
    from spectralid.spectrum import Spectrum
    from spectralid.verdict import Verdict

__all__ = ["concluded", "finite", "instrument_facts", "spectrum_blobs", "spectrum_entry", "spectrum_of"]

_BINARY: Final = "application/octet-stream"
_JSON: Final = "application/json"
_DTYPE: Final = "<f8"

# What the packet format calls each verdict.
_DECISIONS: Final[Mapping[str, str]] = {
    "identified": "identified",
    "mixture": "mixture",
    "family": "class_only",
    "inconclusive": "inconclusive",
    "no_match": "no_match",
    "poor_signal": "inconclusive",
}


def spectrum_blobs(spectrum: Spectrum) -> tuple[Blob, ...]:
    """The numbers of a spectrum, as they were measured: axis, intensity, and standard deviation if known.

    Parameters
    ----------
    spectrum : Spectrum
        Not resampled, not smoothed.

    Returns
    -------
    tuple of Blob
        Little-endian float64, in that order; then the header of the file it came from as JSON, which may be
        long, if there is one.
    """
    arrays = [spectrum.axis, spectrum.intensity, *([] if spectrum.sd is None else [spectrum.sd])]
    blobs = [Blob(array.astype(_DTYPE).tobytes(), _BINARY) for array in arrays]
    if metadata := dict(spectrum.acquisition.metadata):
        blobs.append(Blob(json.dumps(metadata, ensure_ascii=False, sort_keys=True).encode(), _JSON))
    return tuple(blobs)


def spectrum_entry(spectrum: Spectrum, blobs: tuple[Blob, ...], role: str = "sample") -> dict[str, Any]:
    """What the manifest says of a spectrum whose numbers are `blobs`."""
    numbers = [blob.sha256 for blob in blobs if blob.media_type == _BINARY]
    headers = [blob.sha256 for blob in blobs if blob.media_type == _JSON]
    return {
        "role": role,
        "x_blob": numbers[0],
        "blob": numbers[1],
        "sd_blob": numbers[2] if len(numbers) > 2 else None,
        "header_blob": headers[0] if headers else None,
        "dtype": _DTYPE,
        "n": spectrum.n_points,
        "technique": spectrum.technique.value,
        "unit": spectrum.unit.value,
        "sha256": spectrum.sha256,
        "name": spectrum.name,
        "history": [step.to_dict() for step in spectrum.history],
    }


def instrument_facts(spectrum: Spectrum) -> dict[str, Any]:
    """What a spectrum was measured with and how."""
    facts = spectrum.acquisition.to_dict()
    facts.pop("metadata", None)  # its size is anybody's; it travels as a blob
    return {**facts, "technique": spectrum.technique.value}


def concluded(
    identification: Identification,
    verdict: Verdict,
    library: ReferenceLibrary,
    *,
    engine: str,
    thresholds: Mapping[str, Any],
    rests_on: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a packet says of the result: enough to print it, to judge it, and to compute it again.

    Parameters
    ----------
    identification : Identification
        What was found.
    verdict : Verdict
        What was told.
    library : ReferenceLibrary
        The library both were made with.
    engine : str
        Version of spectralid.
    thresholds : mapping
        The numbers the verdict turned on.
    rests_on : mapping, optional
        What else the identification rests on (`spectralid.identify.Identifier.rests_on`).
    """
    analysis = identification.analysis
    confidence = identification.confidence
    sure = {c.compound_slug: c.probability for c in confidence.components} if confidence else {}
    compounds = {c.compound_slug: library.compound(c.compound_slug) for c in _components(identification)}
    components = [
        {
            "slug": c.compound_slug,
            "name": c.compound_name,
            "form": c.form,
            "category": compounds[c.compound_slug].category,
            "schedule": compounds[c.compound_slug].schedule,
            "fentanyl_related": compounds[c.compound_slug].fentanyl_related,
            "tier": c.tier.value,
            "share": c.share,
            "low": c.share_low,
            "high": c.share_high,
            "probability": sure.get(c.compound_slug),
        }
        for c in _components(identification)
    ]
    return {
        "engine": {
            "version": engine,
            "ranking": identification.method,
            "fit": _method(identification),
            **(rests_on or {}),
        },
        "identification_sha256": hashlib.sha256(identification.to_json().encode()).hexdigest(),
        "library": {
            "name": identification.library_name,
            "version": identification.library_version,
            "sha256": identification.library_sha256,
            "vouched_by": library.vouched_by,
        },
        "calibration": confidence.record_version if confidence else None,
        "decision": _DECISIONS[verdict.kind.value],
        "candidates": [
            {
                "substance_id": c.compound_slug,
                "name": c.compound_name,
                "score": c.score,
                "calibrated_p": sure.get(c.compound_slug),
                "rank": c.rank,
            }
            for c in identification.candidates
        ],
        "components": components,
        "families": list(confidence.alarms) if confidence else [],
        "nothing": analysis.nothing if analysis else None,
        "unexplained_cm1": [u.position_cm1 for u in analysis.unexplained] if analysis else [],
        "smallest_shares": dict(analysis.smallest_shares) if analysis else {},
        "quality": {"snr": identification.quality.snr, "problems": list(identification.quality.problems)},
        "reason_codes": list(verdict.codes),
        "thresholds": dict(thresholds),
        "verdict": verdict.to_dict(),
    }


def finite(value: Any) -> Any:
    """Plain data with ``None`` where a number is not finite: JSON has no form for it.

    Parameters
    ----------
    value : mapping, sequence or scalar
        Plain data.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def spectrum_of(packet: Packet, role: str = "sample") -> Spectrum:
    """The spectrum a packet of a scan holds, with the identity it was recorded under.

    Parameters
    ----------
    packet : Packet
        Of kind ``"scan"``.
    role : str
        Which of its spectra.

    Raises
    ------
    PacketError
        If it holds none of that role, or the numbers are not those of the identity it states.
    """
    import numpy as np

    from spectralid.errors import InputError
    from spectralid.spectrum import Acquisition, IntensityUnit, ProcessingStep, Spectrum, Technique

    entry = next((e for e in packet.manifest.get("spectra", ()) if e.get("role") == role), None)
    if entry is None:
        raise PacketError(f"The packet {packet.packet_id} holds no spectrum of the role {role!r}.")
    blobs = {blob.sha256: blob.data for blob in packet.blobs}
    try:
        x, y, *sd = (
            np.frombuffer(blobs[entry[name]], dtype=_DTYPE)
            for name in ("x_blob", "blob", "sd_blob")
            if entry.get(name) is not None
        )
        facts = {k: v for k, v in packet.manifest.get("instrument", {}).items() if k != "technique"}
        if entry.get("header_blob"):
            facts["metadata"] = json.loads(blobs[entry["header_blob"]])
        spectrum = Spectrum(
            axis=x,
            intensity=y,
            sd=sd[0] if sd else None,
            technique=Technique(entry["technique"]),
            unit=IntensityUnit(entry["unit"]),
            acquisition=Acquisition.from_dict(facts),
            history=tuple(ProcessingStep.from_dict(step) for step in entry.get("history", ())),
            name=str(entry.get("name", "")),
        )
    except (KeyError, ValueError, TypeError, InputError) as error:
        raise PacketError(
            f"The spectrum in the packet {packet.packet_id} cannot be read ({error}); ask for it again."
        ) from None
    if spectrum.sha256 != entry.get("sha256"):
        raise PacketError(
            f"The numbers in the packet {packet.packet_id} are not those of the spectrum it names "
            f"({entry.get('sha256')!s:.12}…); do not use it, and keep it for whoever looks into it."
        )
    return spectrum


def _components(identification: Identification) -> tuple[Component, ...]:
    return identification.analysis.components if identification.analysis else ()


def _method(identification: Identification) -> str | None:
    return identification.analysis.method if identification.analysis else None
