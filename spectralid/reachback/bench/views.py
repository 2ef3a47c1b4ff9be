"""The bench as plain data, for a page or a file: numbers rounded to what can be seen, no NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework.compose import finite
from spectralid.reachback.bench.material import plain

if TYPE_CHECKING:
    from spectralid.identify.bench import HandFit, Mark, Peak, Proposal
    from spectralid.reachback.bench.material import Material, Photo, Scan
    from spectralid.reachback.bench.workbench import Sheet
    from spectralid.spectrum import FloatArray

__all__ = [
    "engine_view",
    "fit_view",
    "material_view",
    "peaks_view",
    "proposals_view",
    "scan_view",
    "sheet_view",
]

# No screen shows more than so many points of a raw spectrum, nor a document of more candidates.
_MOST_POINTS: Final = 8192
_DIGITS: Final = 6


def numbers(values: FloatArray | Sequence[float | None]) -> list[float | None]:
    """A list for JSON: six significant digits, ``None`` for what is not known."""
    import numpy as np

    array = np.asarray([np.nan if v is None else v for v in values], dtype=np.float64)
    with np.errstate(all="ignore"):
        scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(np.abs(np.where(array == 0, 1.0, array)))))
        short = np.round(array * scale) / scale
    return [float(v) if np.isfinite(v) else None for v in np.where(np.isfinite(short), short, array)]


def scan_view(scan: Scan, *, blind: bool) -> dict[str, Any]:
    """A scan, with what the field said of it unless names wait for a first look."""
    spectrum = scan.spectrum
    field = None if blind else field_view(scan.result)
    return {
        "name": scan.name,
        "seq": scan.seq,
        "idx": scan.idx,
        "packet_id": scan.packet_id,
        "item_ref": scan.item_ref,
        "role": scan.role,
        "captured_utc": scan.captured_utc,
        "technique": spectrum.technique.value if spectrum else "unknown",
        "unit": spectrum.unit.value if spectrum else "",
        "points": int(spectrum.axis.size) if spectrum else 0,
        "problem": scan.problem,
        "instrument": dict(scan.instrument),
        "ipv": scan.ipv,
        "field": field,
        "why": [] if blind else list(scan.why),
        "caution_shown": [] if blind else list(scan.caution_shown),
        "officer_note": "" if blind else scan.officer_note,
        "rescan_of": scan.rescan_of,
    }


def field_view(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the tablet concluded: texts and numbers where it wrote texts and numbers."""
    verdict = result.get("verdict")
    said = verdict if isinstance(verdict, Mapping) else {}
    library = result.get("library")
    engine = result.get("engine")
    return {
        "decision": _text(result.get("decision")),
        "kind": _text(said.get("kind")),
        "alarm": _text(said.get("alarm")),
        "headline": _text(said.get("headline")),
        "precautions": _texts(said.get("precautions")),
        "reasons": _texts(result.get("reason_codes")),
        "families": _texts(result.get("families")),
        "components": [
            {
                "slug": _text(one.get("slug")),
                "name": _text(one.get("name")) or _text(one.get("slug")),
                "share": _number(one.get("share")),
            }
            for one in _mappings(result.get("components"))
        ],
        "candidates": [
            {
                "slug": _text(one.get("substance_id")),
                "name": _text(one.get("name")) or _text(one.get("substance_id")),
                "score": _number(one.get("score")),
            }
            for one in _mappings(result.get("candidates"))
        ],
        "library": " ".join(
            filter(None, (_text(library.get(n)) for n in ("name", "version")))
            if isinstance(library, Mapping)
            else ()
        ),
        "engine": _text(engine.get("version")) if isinstance(engine, Mapping) else "",
    }


def photo_view(photo: Photo) -> dict[str, Any]:
    """A picture or a file: what it is, not what it holds."""
    return {
        "sha256": photo.sha256,
        "name": photo.name,
        "media_type": photo.media_type,
        "seq": photo.seq,
        "size": photo.size,
        "item_ref": photo.item_ref,
    }


def material_view(material: Material, *, blind: bool) -> dict[str, Any]:
    """Everything of a case but the numbers of its spectra."""
    return {
        "scans": [scan_view(scan, blind=blind) for scan in material.scans],
        "items": [dict(one) for one in material.items],
        "strips": [finite(dict(one)) for one in material.strips],
        "notes": [dict(one) for one in material.notes],
        "photos": [photo_view(one) for one in material.photos],
        "sends": [] if blind else [dict(one) for one in material.sends],
    }


def raw_view(sheet: Sheet) -> dict[str, Any]:
    """The spectrum as measured; every so-manieth point where it has more than a screen shows."""
    spectrum = sheet.raw
    step = -(-spectrum.axis.size // _MOST_POINTS)
    return {"x": numbers(spectrum.axis[::step]), "y": numbers(spectrum.intensity[::step]), "every": step}


def sheet_view(sheet: Sheet) -> dict[str, Any]:
    """A spectrum before any name: raw, corrected, its bands."""
    x, y = sheet.corrected()
    return {
        "raw": raw_view(sheet),
        "corrected": {"x": numbers(x), "y": numbers(y)},
        "peaks": peaks_view(sheet.peaks()),
        "infrared": sheet.raw.technique.is_infrared,
    }


def engine_view(sheet: Sheet) -> dict[str, Any]:
    """What the engine makes of a spectrum: candidates, families, quality, and every number as text."""
    one = sheet.identification
    chances = {c.compound_slug: c.probability for c in one.confidence.components} if one.confidence else {}
    return {
        "library": f"{one.library_name} {one.library_version}",
        "library_sha256": one.library_sha256,
        "candidates": [
            {
                "slug": c.compound_slug,
                "name": c.compound_name,
                "form": c.form,
                "tier": c.tier.value,
                "score": round(c.score, 4),
                "hqi": None if c.hqi is None else round(c.hqi, 4),
                "probability": chances.get(c.compound_slug),
            }
            for c in one.candidates
        ],
        "leads": [{"slug": lead.compound_slug, "name": lead.compound_name} for lead in one.leads],
        "families": [
            {"family": f.family, "log_ratio": round(f.log_ratio, 2), "lead_only": f.lead_only}
            for f in one.families
        ],
        "alarms": list(one.confidence.alarms) if one.confidence else [],
        "nothing": one.analysis.nothing if one.analysis else None,
        "snr": one.quality.snr,
        "problems": list(one.quality.problems),
        "dossier": one.explain(),
    }


def fit_view(sheet: Sheet, fit: HandFit, *, curves: bool = True) -> dict[str, Any]:
    """A fit: parts, χ², bands, and the curves to draw."""
    out: dict[str, Any] = {
        "parts": [
            {
                "slug": p.slug,
                "name": p.name,
                "reference_id": p.reference_id,
                "form": p.form,
                "tier": p.tier,
                "share": round(p.share, 5),
                "low": round(p.share_low, 5),
                "high": round(p.share_high, 5),
                "held": p.held,
                "gain": round(p.gain, 2),
                "bands": None
                if p.bands is None
                else {
                    "positions": numbers(p.bands.positions_cm1),
                    "ratios": numbers(p.bands.ratios),
                    "sd": numbers(p.bands.sd),
                    "missing": numbers(p.bands.missing_cm1),
                    "supported": p.bands.supported,
                },
            }
            for p in fit.parts
        ],
        "shift": round(fit.shift_cm1, 3),
        "drift": round(fit.drift_cm1, 3),
        "chi2": round(fit.chi2, 3),
        "chi2_free": round(fit.chi2_free, 3),
        "rise": round(fit.rise, 3),
        "points": fit.points,
        "log_odds": round(fit.log_odds, 3),
        "held_log_odds": round(fit.held_log_odds, 3),
        "peaks": peaks_view(sheet.peaks(fit)),
        "evidence": [{"code": e.code, "sentence": e.sentence} for e in sheet.evidence(fit)],
    }
    if curves:
        import numpy as np

        there = np.isfinite(fit.values)
        out |= {
            "x": numbers(fit.axis_cm1),
            "values": numbers(fit.values),
            "background": numbers(np.where(there, fit.background, np.nan)),
            "fit": numbers(np.where(np.isfinite(fit.residual), fit.fit, np.nan)),
            "residual": numbers(fit.residual),
            "tolerance": numbers(fit.tolerance),
            "curves": [numbers(np.where(there, curve, np.nan)) for curve in fit.curves],
            "scale": [sheet.hand.scale[0], sheet.hand.scale[1]],
        }
    return out


def peaks_view(peaks: Sequence[Peak]) -> list[dict[str, Any]]:
    """Bands of a spectrum."""
    return [
        {
            "position": round(p.position_cm1, 1),
            "height": round(p.height, 4),
            "z": round(min(p.z, 1e6), 1),
            "by": list(p.by),
        }
        for p in peaks
    ]


def marks_view(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    """Bands of a reference."""
    return [
        {
            "position": round(m.position_cm1, 1),
            "height": round(m.height, 4),
            "found": None if m.found_cm1 is None else round(m.found_cm1, 1),
            "inside": m.inside,
        }
        for m in marks
    ]


def proposals_view(found: Sequence[Proposal]) -> list[dict[str, Any]]:
    """What explains the rest."""
    return [
        {
            "slug": p.slug,
            "name": p.name,
            "tier": p.tier,
            "z": round(p.z, 2),
            "share": round(p.share, 4),
            "rise": round(p.rise, 2),
            "log_odds": round(p.log_odds, 2),
        }
        for p in found
    ]


def _text(value: Any) -> str:
    return plain(value[:500]) if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [_text(one) for one in value if isinstance(one, str)][:50] if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)][:50] if isinstance(value, list) else []
