"""What a decision may rest on, in sentences with numbers: offered to the chemist, who checks and decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spectralid.identify.bench import HandFit
    from spectralid.reachback.bench.material import Material
    from spectralid.reachback.bench.workbench import Evidence, Sheet

__all__ = ["evidence_of", "looked_for"]

_SPEAKS_Z: Final = 3.0
"""From so many standard deviations in the rest on, a compound is not said to be undetected."""

_HELD_APART: Final = 3.84
"""Rise of χ² (one degree of freedom, 95 %) from which shares held are at odds with the spectrum."""


def evidence_of(sheet: Sheet, fit: HandFit, material: Material) -> tuple[Evidence, ...]:
    """Bands, fit, rest, axis, instrument and strips of one spectrum, as sentences."""
    from spectralid.reachback.bench.workbench import Evidence

    out = [
        Evidence("bands", _bands(sheet, fit)),
        Evidence("fit", _fit(fit)),
        Evidence("rest", _rest(sheet, fit)),
    ]
    out.append(
        Evidence(
            "axis",
            f"Axis: shift {fit.shift_cm1:+.1f} cm⁻¹ found for all components together; "
            f"performance check {_CHECK[sheet.scan.ipv]}.",
        )
    )
    strips = [s for s in material.strips if s["item_ref"] == sheet.scan.item_ref]
    if strips:
        told = "; ".join(f"{s['target'] or 'strip'} {_RESULT.get(s['result'], 'unclear')}" for s in strips)
        out.append(Evidence("strips", f"Immunoassay strips of the item: {told}."))
    return tuple(out)


def looked_for(name: str, share: float, z: float) -> str:
    """The sentence for a compound that was looked for: never that it is absent.

    Parameters
    ----------
    name : str
        The compound.
    share : float
        Smallest share that the scan would have shown.
    z : float
        Standard deviations by which what the fit leaves holds it.
    """
    if z >= _SPEAKS_Z:
        return f"{name}: not in this fit, but what it leaves speaks for it by {z:.1f} σ; add it and look."
    if share >= 1:
        return f"{name}: not detected; this scan could not have shown any share of it."
    return f"{name}: not detected; smallest detectable share ≈ {share:.1%} of the signal."


_CHECK: Final = {"passed": "passed", "failed": "FAILED", "none": "none on record"}
_RESULT: Final = {"pos": "positive", "neg": "negative", "invalid": "invalid"}


def _bands(sheet: Sheet, fit: HandFit) -> str:
    told = []
    for part in fit.parts:
        if part.bands is None:
            continue
        marks = sheet.marks(part.slug, fit=fit)
        inside = [m for m in marks if m.inside]
        here = sum(m.found_cm1 is not None for m in inside)
        missing = ", ".join(f"{p:.0f}" for p in part.bands.missing_cm1)
        told.append(
            f"{part.name} {here} of {len(inside)} found" + (f", missing at {missing} cm⁻¹" if missing else "")
        )
    return "Bands of the references: " + ("; ".join(told) or "no component") + "."


def _fit(fit: HandFit) -> str:
    shares = "; ".join(
        f"{p.name} {p.share:.1%}" + (" (held)" if p.held else f" ({p.share_low:.1%} – {p.share_high:.1%})")
        for p in fit.parts
    )
    worse = f" Shares held raise χ² by {fit.rise:.1f}." if fit.rise >= _HELD_APART else ""
    return (
        f"Joint fit, shares of the signal: {shares}; log odds against nothing in the library "
        f"{fit.log_odds:+.1f}.{worse}"
    )


def _rest(sheet: Sheet, fit: HandFit) -> str:
    alone = [p for p in sheet.peaks(fit) if not p.by]
    if not alone:
        return "Rest: every band of the spectrum is accounted for by a component."
    places = ", ".join(f"{p.position_cm1:.0f}" for p in sorted(alone, key=lambda p: -p.height)[:8])
    many = f" and {len(alone) - 8} more" if len(alone) > 8 else ""
    return f"Rest: bands at {places} cm⁻¹{many} are accounted for by no component."
