"""The joint fit of a whole library to one spectrum: components, what is left over, what could have hidden."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from spectralid.calibration.record import STEP
from spectralid.identify._size import moderate
from spectralid.identify.checks import BandAgreement, UnexplainedBand, band_agreement, unexplained_bands
from spectralid.identify.families import members
from spectralid.identify.hypotheses import Explanation, Scene
from spectralid.identify.instrument_model import InstrumentModel, instrument_model_for
from spectralid.identify.limits import smallest_shares
from spectralid.identify.mismatch import Freedom
from spectralid.identify.noise import noise_variance
from spectralid.identify.posterior import EQUIVALENT_NATS, posterior, swap_costs
from spectralid.identify.references import ReferenceSet, background_shapes
from spectralid.identify.selection import ShiftPrior, log_odds, select
from spectralid.library import ReferenceLibrary, Tier
from spectralid.spectrum import Spectrum

__all__ = ["Analyser", "Analysis", "Component"]

SCHEMA: Final = "spectralid.analysis/1"
METHOD: Final = "joint-fit/2"
"""Changes whenever the numbers of an analysis do, which makes its calibration records void."""
# Bands of what is there disagree more than this by chance alone in one of a thousand cases.
_CONSISTENT: Final = 1e-3
# A component that rests on a single band may be anybody's.
_WITHOUT_BEST_Z: Final = 3.0
# Log odds beyond which a component is not taken out for bands at odds, only said not to hold.
_EXPLAINS_MUCH: Final = 20.0
# Compounds listed in place of a component.
_RIVALS: Final = 10
# Two-sided 95 % of a normal distribution.
_Z95: Final = 1.959964


# A calibration is of its session: temperature moves an axis by some tenths. In this share of scans it is
# worth nothing.
_LEAST_SHIFT_SD: Final = 0.5
_CALIBRATION_FAILS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Component:
    """One component of the best explanation.

    Attributes
    ----------
    reference_id, compound_slug, compound_name, form : str
        Which reference.
    tier : Tier
        What it rests on.
    share, share_low, share_high : float
        Share of the signal (photons or absorbance) with its 95 % interval, 0 … 1. It is no share by weight.
    probability : float
        Probability that the compound is there, given everything that was weighed; not yet calibrated.
    equivalent : tuple of str
        Compounds that could take its place at next to no cost.
    gain : float
        Log odds that the explanation would lose without it.
    rivals : tuple of (str, float)
        Compounds in its place and the log odds that would cost, least first, at most ten.
    bands : BandAgreement
        Whether its bands agree on its amount.
    holds : bool
        Whether its bands agree, none is missing and more than one of them shows it.
    """

    reference_id: str
    compound_slug: str
    compound_name: str
    form: str
    tier: Tier
    share: float
    share_low: float
    share_high: float
    probability: float
    equivalent: tuple[str, ...]
    gain: float
    rivals: tuple[tuple[str, float], ...]
    bands: BandAgreement
    holds: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {
            "tier": self.tier.value,
            "equivalent": list(self.equivalent),
            "rivals": [list(r) for r in self.rivals],
            "bands": self.bands.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a joint fit of the library says of one spectrum.

    Attributes
    ----------
    spectrum_sha256, library_sha256, method, instrument : str
        What was analysed, with what, how, and the instrument model that was taken for granted.
    components : tuple of Component
        Best explanation, largest share first; empty where no reference could be compared.
    log_odds : float or None
        Log odds of that explanation against *nothing in the library*; ``None`` if nothing could be compared.
    nothing : float
        Probability that nothing in the library explains the spectrum.
    shift_cm1 : float
        Estimated error of the axis.
    unexplained : tuple of UnexplainedBand
        Bands no component accounts for, clearest first.
    strongest_unexplained_z : float
        Standard deviations by which the clearest bump of what is left stands out, band or not.
    smallest_shares : mapping of str to float
        Smallest detectable share of each family in this scan.
    assumptions : tuple of str
        What had to be taken for granted, one sentence each.
    """

    spectrum_sha256: str
    library_sha256: str
    method: str
    instrument: str
    components: tuple[Component, ...]
    log_odds: float | None
    nothing: float
    shift_cm1: float
    unexplained: tuple[UnexplainedBand, ...]
    strongest_unexplained_z: float
    smallest_shares: Mapping[str, float]
    assumptions: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __reduce__(self) -> tuple[Any, ...]:
        # A mappingproxy does not pickle; results travel back from worker processes.
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Analysis, tuple((values | {"smallest_shares": dict(self.smallest_shares)}).values())

    def __post_init__(self) -> None:
        object.__setattr__(self, "smallest_shares", MappingProxyType(dict(self.smallest_shares)))

    @property
    def explained(self) -> bool:
        """Whether the library explains the spectrum: it is likely, every component holds, nothing is left."""
        return (
            bool(self.components)
            and (self.log_odds or 0.0) > 0
            and all(c.holds for c in self.components)
            and not self.unexplained
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "schema": SCHEMA,
            "spectrum_sha256": self.spectrum_sha256,
            "library_sha256": self.library_sha256,
            "method": self.method,
            "instrument": self.instrument,
            "explained": self.explained,
            "components": [c.to_dict() for c in self.components],
            "log_odds": self.log_odds,
            "nothing": self.nothing,
            "shift_cm1": self.shift_cm1,
            "unexplained": [{f.name: getattr(u, f.name) for f in fields(u)} for u in self.unexplained],
            "strongest_unexplained_z": self.strongest_unexplained_z,
            "smallest_shares": dict(self.smallest_shares),
            "assumptions": list(self.assumptions),
        }

    def to_json(self) -> str:
        """One line of JSON with sorted keys: the same result gives the same text."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)

    def explain(self) -> str:
        """Every number the result rests on, for a chemist; presumptive until a laboratory confirms it."""
        if self.log_odds is None:
            return "No reference shares enough range with this spectrum to be compared."
        lines = [
            f"Log odds against nothing in the library: {self.log_odds:+.1f} "
            f"(probability of nothing in the library {self.nothing:.1%}, not calibrated)",
            f"Axis: estimated shift {self.shift_cm1:+.1f} cm⁻¹; instrument model: {self.instrument}",
            "Components (shares of the signal, not by weight):" if self.components else "Components: none",
        ]
        for c in self.components:
            form = f" ({c.form})" if c.form else ""
            lines.append(
                f"  {c.compound_name}{form}: {c.share:.1%} ({c.share_low:.1%} – {c.share_high:.1%}), "
                f"probability {c.probability:.1%}, {c.tier.value} reference {c.reference_id}"
            )
            seen = c.bands.supported
            lines.append(f"    bands: {seen} of {len(c.bands.ratios)} there beyond doubt")
            if c.bands.missing_cm1:
                lines.append("    MISSING at " + ", ".join(f"{m:.0f}" for m in c.bands.missing_cm1) + " cm⁻¹")
            if c.equivalent:
                lines.append("    cannot be told from: " + ", ".join(c.equivalent))
        if self.unexplained:
            lines.append("NOT EXPLAINED by any component:")
            lines += [
                f"  {u.position_cm1:.0f} cm⁻¹: {u.share:.0%} of the strongest band, {u.z:.0f} σ"
                for u in self.unexplained
            ]
        for family, share in sorted(self.smallest_shares.items()):
            lines.append(f"Smallest detectable share, {family}: about {share:.1%} of the signal")
        lines += [f"Taken for granted: {a}" for a in self.assumptions]
        lines.append("Presumptive: only a laboratory confirms.")
        return "\n".join(lines)


def calibrated_prior(spectrum: Spectrum) -> ShiftPrior | None:
    """What the axis calibration a spectrum has been through leaves open; ``None`` if there was none."""
    for step in reversed(spectrum.history):
        if step.name == STEP:
            sd = max(float(step.parameters["sd_cm1"]), _LEAST_SHIFT_SD)
            return ShiftPrior(sd_cm1=sd, wide_cm1=max(4.0, 2 * sd), share=_CALIBRATION_FAILS)
    return None


class Analyser:
    """Analyses spectra of one technique against one library, preparing the references once.

    Parameters
    ----------
    library : ReferenceLibrary
        The library; measured and literature references take part.
    references : ReferenceSet
        Prepared references of the technique.
    instrument : InstrumentModel, optional
        What is taken for granted of the instrument; that of any instrument if not given.
    """

    def __init__(
        self, library: ReferenceLibrary, references: ReferenceSet, instrument: InstrumentModel | None = None
    ) -> None:
        self.library = library
        self.references = references
        self.instrument = instrument or instrument_model_for(references.technique)
        self._background = background_shapes(references.grid, references.technique)
        self._freedom = Freedom(references.grid)
        self._families = members(library.compounds, (r.compound_slug for r in references.rows))

    def scene(self, spectrum: Spectrum) -> Scene:
        """The spectrum on the common grid with all that is needed to weigh explanations.

        Parameters
        ----------
        spectrum : Spectrum
            Of the technique of the references; infrared as absorbance.
        """
        from spectralid.preprocess.despike import Despike
        from spectralid.preprocess.resample import resample

        if not spectrum.technique.is_infrared:
            spectrum = Despike()(spectrum)
        # A spike may have hidden how small the rest is.
        spectrum, power = moderate(spectrum)
        grid = self.references.grid
        values = np.asarray(resample(spectrum.axis, spectrum.intensity, grid))
        lowest = float(np.nanmin(values))
        height = float(np.nanmax(values)) - lowest or 1.0
        noise = noise_variance(spectrum, grid) / height**2
        return Scene(
            (values - lowest) / height,
            noise,
            self.references,
            self._background,
            self.instrument.mismatch,
            self._freedom,
            (math.ldexp(lowest, -power), math.ldexp(height, -power)),
        )

    def analyse(
        self,
        spectrum: Spectrum,
        *,
        prior: ShiftPrior | None = None,
        original: Spectrum | None = None,
        assumptions: Sequence[str] = (),
    ) -> Analysis:
        """Explain a spectrum by as few references as it takes.

        Parameters
        ----------
        spectrum : Spectrum
            As for `scene`.
        prior : ShiftPrior, optional
            What is known of its axis. If not given, what the calibration in the spectrum's history says; if
            there is none, what is to be expected of an instrument nobody calibrated.
        original : Spectrum, optional
            The spectrum as it was before it was made comparable; the result is about that one.
        assumptions : sequence of str
            What was taken for granted in making it comparable.
        """
        scene = self.scene(spectrum)
        prior = prior or calibrated_prior(spectrum) or self.instrument.prior
        found = select(scene, prior, self.instrument.settings)
        if found.best is None:
            return self._result(original or spectrum, assumptions, (), None, 1.0, 0.0, ((), 0.0), {})
        best, bands, refused = self._supported(scene, found.best)
        score = log_odds(best, prior, self.instrument.settings, len(self.references))
        explored = [
            (e, s)
            for e, s in found.explored
            if set(e.rows) != set(best.rows) and not refused.intersection(e.rows)
        ]
        explored.append((best, score))
        chances = posterior(explored, self.references, nothing_score=self.instrument.nothing_score)
        left = scene.left_over(best)
        return self._result(
            original or spectrum,
            assumptions,
            self._components(explored, best, bands, chances.present, self._gains(scene, best, score, prior)),
            score,
            chances.nothing,
            best.shift_cm1,
            unexplained_bands(scene, left, shift_cm1=best.shift_cm1),
            smallest_shares(scene, best, left, self._families, self.instrument.settings),
        )

    def _supported(
        self, scene: Scene, best: Explanation
    ) -> tuple[Explanation, list[BandAgreement], set[int]]:
        """The explanation without components that their bands refute; bands of the rest; the refuted.

        One that explains much stays, though it does not hold: its bands may be at odds because of what
        nobody has a reference for.
        """
        refused: set[int] = set()
        while True:
            bands = [band_agreement(scene, best, i) for i in range(len(best.rows))]
            failing = [i for i, b in enumerate(bands) if not _holds(b)]
            if len(best.rows) == 1 or not failing:
                return best, bands, refused
            without = [
                scene.explain([r for j, r in enumerate(best.rows) if j != i], best.shift_cm1) for i in failing
            ]
            kept = max(without, key=lambda e: e.log_evidence)
            cost = (best.log_evidence - kept.log_evidence) / self.instrument.settings.temperature
            if cost > _EXPLAINS_MUCH:
                return best, bands, refused
            refused |= set(best.rows) - set(kept.rows)
            best = kept

    def _gains(self, scene: Scene, best: Explanation, score: float, prior: ShiftPrior) -> list[float]:
        """Log odds that `best` would lose without each of its components."""
        if len(best.rows) == 1:
            return [score]
        n, settings = len(self.references), self.instrument.settings
        without = [scene.explain([r for r in best.rows if r != gone], best.shift_cm1) for gone in best.rows]
        return [score - log_odds(e, prior, settings, n) for e in without]

    def _components(
        self,
        explored: Sequence[tuple[Explanation, float]],
        best: Explanation,
        bands: Sequence[BandAgreement],
        present: Mapping[int, float],
        gains: Sequence[float],
    ) -> tuple[Component, ...]:
        costs = swap_costs(explored, best)
        total = float(best.amounts.sum())
        if total <= 0:
            return ()  # The best of all explanations is none of its reference.
        found = []
        parts = zip(best.rows, best.amounts, best.sd, bands, gains, strict=True)
        for row, amount, sd, agreement, gain in parts:
            info = self.references.rows[row]
            rivals: dict[str, float] = {}
            for other, cost in sorted(costs[row], key=lambda item: item[1]):
                rivals.setdefault(self.references.rows[other].compound_slug, cost)
            rivals.pop(info.compound_slug, None)
            # The rest of the signal is known far better than this part of it.
            rest = total - float(amount)
            low, high = max(0.0, amount - _Z95 * sd), amount + _Z95 * sd
            found.append(
                Component(
                    reference_id=info.id,
                    compound_slug=info.compound_slug,
                    compound_name=self.library.compound(info.compound_slug).name,
                    form=info.form,
                    tier=info.tier,
                    share=float(amount) / total,
                    share_low=float(low / (low + rest)) if rest > 0 else 1.0,
                    share_high=float(high / (high + rest)) if rest > 0 else 1.0,
                    probability=present[int(self.references.compound[row])],
                    equivalent=tuple(sorted(s for s, cost in rivals.items() if cost <= EQUIVALENT_NATS)),
                    gain=gain,
                    rivals=tuple(rivals.items())[:_RIVALS],
                    bands=agreement,
                    holds=_holds(agreement),
                )
            )
        return tuple(sorted(found, key=lambda c: (-c.share, c.compound_slug)))

    def _result(
        self,
        spectrum: Spectrum,
        assumptions: Sequence[str],
        components: tuple[Component, ...],
        score: float | None,
        nothing: float,
        shift_cm1: float,
        unexplained: tuple[tuple[UnexplainedBand, ...], float],
        limits: Mapping[str, float],
    ) -> Analysis:
        return Analysis(
            spectrum_sha256=spectrum.sha256,
            library_sha256=self.library.sha256,
            method=METHOD,
            instrument=self.instrument.name,
            components=components,
            log_odds=score,
            nothing=nothing,
            shift_cm1=shift_cm1,
            unexplained=unexplained[0],
            strongest_unexplained_z=unexplained[1],
            smallest_shares=limits,
            assumptions=tuple(assumptions),
        )


def _holds(bands: BandAgreement) -> bool:
    """Whether no band is missing, all agree on the amount, and it does not rest on one of them."""
    return (
        not bands.missing_cm1 and bands.consistency >= _CONSISTENT and bands.without_best_z >= _WITHOUT_BEST_Z
    )
