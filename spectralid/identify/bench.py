"""A spectrum on the bench: explanations set by hand, fitted by the engine.

The engine looks for the best explanation; a chemist asks of another one what it would cost. Components may be
added and taken away, and the share of any of them held; all else (the other amounts, the background, the
response, what the axis is still off) is fitted jointly by the very functions that the engine decides with.
Nothing here decides anything.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from spectralid.errors import ParameterError
from spectralid.identify.analysis import Analyser, Analysis
from spectralid.identify.checks import BandAgreement, band_agreement, strongest_bands
from spectralid.identify.gaussian import LeftOver
from spectralid.identify.hypotheses import Explanation, Fitted, Scene
from spectralid.identify.limits import smallest_shares
from spectralid.identify.selection import ShiftPrior, beside, comparable, log_odds, select
from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["TOLERANCE_CM1", "Bench", "HandFit", "Mark", "Part", "Peak", "Proposal"]

TOLERANCE_CM1: Final = 8.0
"""Within which a band of a reference counts as found: what axes and band places differ by between units."""

_Z95: Final = 1.959964
# A peak counts from this share of the highest on, and from so many standard deviations of the noise.
_LEAST_PEAK: Final = 0.03
_LEAST_Z: Final = 4.0
# A component accounts for a peak if it brings this share of it.
_ACCOUNTS: Final = 0.5
# Sets of components whose fit is remembered, a quarter of a megabyte each.
_REMEMBERED: Final = 32
# Amounts below this share of all are none: no band says anything of them.
_NOTHING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a fit.

    Attributes
    ----------
    slug, name, reference_id, form, tier : str
        Which reference of which compound.
    share, share_low, share_high : float
        Share of the signal with its 95 % interval; a share that is held has none.
    held : bool
        Whether the share was set and not fitted.
    gain : float
        Rise of χ² if this component alone were taken out, all others being free again.
    bands : BandAgreement or None
        How much of the component each of its bands shows, 1 being the amount in this fit; ``None`` where
        that is nothing.
    """

    slug: str
    name: str
    reference_id: str
    form: str
    tier: str
    share: float
    share_low: float
    share_high: float
    held: bool
    gain: float
    bands: BandAgreement | None


@dataclass(frozen=True, slots=True, eq=False)
class HandFit:
    """A fit of components that somebody chose, perhaps with shares that somebody set.

    Attributes
    ----------
    parts : tuple of Part
        In the order asked for.
    shift_cm1 : float
        Common shift of the axis, as the engine finds it for these components.
    drift_cm1 : float
        By how much the fit has moved the axis further.
    chi2 : float
        χ² with the noise and what the references leave open.
    chi2_free : float
        The same with no share held: the least for these components.
    points : int
        Points that were compared.
    log_odds : float
        What the engine makes of these components with no share held, against nothing in the library.
    held_log_odds : float
        By how much holding the shares lowers that: half the rise of χ², tempered as all evidence is.
    axis_cm1 : ndarray, shape (n_grid,)
        Axis corrected by the shift; infrared and Raman alike, ascending.
    values, background, common, residual, tolerance : ndarray, shape (n_grid,)
        The spectrum (NaN where not known), its background, what of it is response and axis, what is left,
        and two standard deviations of what may be left; the spectrum spans 0 … 1.
    curves : ndarray, shape (n, n_grid)
        Contribution of each component.
    explanation : Explanation
        The same in the engine's terms.
    left : LeftOver
        What is left of the spectrum, for whatever else is asked of it.
    """

    parts: tuple[Part, ...]
    shift_cm1: float
    drift_cm1: float
    chi2: float
    chi2_free: float
    points: int
    log_odds: float
    held_log_odds: float
    axis_cm1: FloatArray
    values: FloatArray
    background: FloatArray
    common: FloatArray
    residual: FloatArray
    tolerance: FloatArray
    curves: FloatArray
    explanation: Explanation
    left: LeftOver

    @property
    def rise(self) -> float:
        """Rise of χ² over the fit with no share held."""
        return max(0.0, self.chi2 - self.chi2_free)

    @property
    def shares(self) -> dict[str, float]:
        """Share of each component."""
        return {part.slug: part.share for part in self.parts}

    @property
    def fit(self) -> FloatArray:
        """Background, components and what is common to all: what the spectrum is compared with."""
        return np.asarray(self.background + self.common + self.curves.sum(axis=0))


@dataclass(frozen=True, slots=True)
class Peak:
    """A band of the spectrum.

    Attributes
    ----------
    position_cm1 : float
        Where, on the corrected axis.
    height : float
        Relative to the highest.
    z : float
        Height in standard deviations of the noise.
    by : tuple of str
        Components of the fit that account for it.
    """

    position_cm1: float
    height: float
    z: float
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A band of a reference, and whether the spectrum has one there.

    Attributes
    ----------
    position_cm1 : float
        Where the reference has it.
    height : float
        Relative to the reference's strongest.
    found_cm1 : float or None
        Nearest peak of the spectrum within the tolerance.
    inside : bool
        Whether the spectrum reaches there at all.
    """

    position_cm1: float
    height: float
    found_cm1: float | None
    inside: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """A compound that what is left of a spectrum speaks for.

    Attributes
    ----------
    slug, name, reference_id, tier : str
        Which.
    z : float
        Standard deviations by which the rest holds it.
    share : float
        Its share of the signal, were it added.
    rise : float
        By how much adding it lowers χ².
    log_odds : float
        What adding it brings in the engine's log odds; it takes one up from about 2.
    """

    slug: str
    name: str
    reference_id: str
    tier: str
    z: float
    share: float
    rise: float
    log_odds: float


class Bench:
    """One spectrum with the engine around it (`Identifier.bench`).

    Parameters
    ----------
    analyser : Analyser
        Prepared library and technique.
    spectrum : Spectrum
        As it is compared.
    analysis : Analysis
        What the engine found in it.
    prior : ShiftPrior
        What it took for granted of the axis.

    Attributes
    ----------
    scene : Scene
        The spectrum on the common grid.
    """

    def __init__(self, analyser: Analyser, spectrum: Spectrum, analysis: Analysis, prior: ShiftPrior) -> None:
        self.analysis = analysis
        self.spectrum = spectrum
        self._library = analyser.library
        self._references = analyser.references
        self._settings = analyser.instrument.settings
        self._prior = prior
        self.scene: Scene = analyser.scene(spectrum)
        self._rows: dict[str, list[int]] = {}
        for row, info in enumerate(self._references.rows):
            self._rows.setdefault(info.compound_slug, []).append(row)
        position = {info.id: row for row, info in enumerate(self._references.rows)}
        self._own = {c.compound_slug: position[c.reference_id] for c in analysis.components}
        # The reference taken for each compound that was asked for; those of the engine stay.
        self._taken = dict(self._own)
        self._free: dict[tuple[int, ...], tuple[Explanation, Fitted]] = {}

    @property
    def own(self) -> tuple[str, ...]:
        """The components of the engine's best explanation."""
        return tuple(self._own)

    @property
    def slugs(self) -> tuple[str, ...]:
        """Compounds with a reference of the technique."""
        return tuple(self._rows)

    @property
    def scale(self) -> tuple[float, float]:
        """What the intensities were lessened by, and then divided by, for the curves of a fit."""
        return self.scene.scale

    # --- fits

    def fit(self, shares: Mapping[str, float | None] | None = None) -> HandFit:
        """Fit components, some of them perhaps with a share that is held.

        Parameters
        ----------
        shares : mapping of str to float or None, optional
            Compounds and the share of the signal each is held at, 0 … 1; ``None`` leaves it to the fit. The
            engine's own components, all free, if not given.

        Raises
        ------
        ParameterError
            If there is no component, one has no reference here, or the shares held do not fit into one.
        """
        shares = dict.fromkeys(self._own) if shares is None else dict(shares)
        rows = self._chosen(shares)
        held = self._held(shares)
        free, fitted = self._freely(rows)
        parts = _parts([held.get(slug) for slug in shares])
        mixed = fitted.reduced.mixed(parts)
        mixed_amounts, _ = mixed.amounts()
        amounts = free.amounts if not held else parts @ mixed_amounts
        covariance = parts @ np.linalg.pinv(mixed.information) @ parts.T
        sd = free.sd if not held else np.sqrt(np.maximum(np.diag(covariance), 0.0))
        explanation = Explanation(
            rows, np.asarray(amounts), sd, free.shift_cm1, free.log_evidence, free.drift_cm1
        )
        return self._told(tuple(shares), frozenset(held), explanation, free, fitted, parts)

    def without(self, excluded: Collection[str]) -> HandFit:
        """The engine's best explanation that uses none of some compounds.

        Parameters
        ----------
        excluded : collection of str
            Compounds that must not take part.

        Raises
        ------
        ParameterError
            If nothing is left to explain the spectrum with.
        """
        allowed = np.array([info.compound_slug not in excluded for info in self._references.rows])
        found = select(self.scene, self._prior, self._settings, allowed=allowed)
        if found.best is None or not found.best.amounts.sum() > 0:
            raise ParameterError("excluded", sorted(excluded), "fewer compounds, so that one is left")
        order = np.argsort(-found.best.amounts, kind="stable")
        rows = tuple(found.best.rows[i] for i in order)
        slugs = [self._references.rows[r].compound_slug for r in rows]
        # The reference that suits best here, should it be asked for again.
        self._taken |= {s: r for s, r in zip(slugs, rows, strict=True) if s not in self._own}
        self._free.setdefault(rows, self._at(rows, found.best.shift_cm1))
        return self.fit(dict.fromkeys(slugs))

    def _chosen(self, shares: Mapping[str, float | None]) -> tuple[int, ...]:
        if not shares:
            raise ParameterError("components", "none", "at least one compound of the library")
        for slug in shares:
            if slug not in self._rows:
                raise ParameterError("components", slug, "a compound with a reference of this technique")
        # Whatever was asked for before, a compound gets the same reference.
        base = list(self._own.values())
        for slug in shares:
            if slug not in self._taken:
                self._taken[slug] = self._best_row(slug, base)
        return tuple(self._taken[slug] for slug in shares)

    def _best_row(self, slug: str, base: Sequence[int]) -> int:
        """The reference of a compound that explains most beside what is there."""
        rows = self._rows[slug]
        if len(rows) == 1:
            return rows[0]
        tried = [self.scene.explain((*base, row), self.analysis.shift_cm1) for row in rows]
        return max(zip(tried, rows, strict=True), key=lambda one: one[0].log_evidence)[1]

    @staticmethod
    def _held(shares: Mapping[str, float | None]) -> dict[str, float]:
        held = {slug: float(share) for slug, share in shares.items() if share is not None}
        if not all(math.isfinite(share) and 0 <= share <= 1 for share in held.values()):
            raise ParameterError("share", sorted(held.values()), "0 … 1")
        total = sum(held.values())
        if len(held) < len(shares) and total >= 1:
            raise ParameterError(
                "share", round(total, 4), "less than 1 in all, while other components are free"
            )
        if len(held) == len(shares) and total <= 0:
            raise ParameterError("share", 0.0, "more than 0 for one component")
        return held

    def _freely(self, rows: tuple[int, ...]) -> tuple[Explanation, Fitted]:
        """The fit with no share held, at the common shift that suits these references best."""
        if rows not in self._free:
            mine = tuple(self._own[c.compound_slug] for c in self.analysis.components)
            if set(rows) == set(mine):
                self._free[rows] = self._at(rows, self.analysis.shift_cm1)
            else:
                places = [self.analysis.shift_cm1] if mine else [float(p) for p in self._prior.places()]
                tried = [self.scene.explain(rows, place) for place in places]
                start = max(tried, key=self._prior.log_evidence)
                followed = self.scene.follow(start, self._prior.log_evidence)
                self._free[rows] = self._at(rows, followed.shift_cm1)
            while len(self._free) > _REMEMBERED:
                del self._free[next(iter(self._free))]
        return self._free[rows]

    def _at(self, rows: tuple[int, ...], shift_cm1: float) -> tuple[Explanation, Fitted]:
        return self.scene.explain(rows, shift_cm1), self.scene.fitted(rows, shift_cm1)

    def _told(
        self,
        slugs: tuple[str, ...],
        held: frozenset[str],
        explanation: Explanation,
        free: Explanation,
        fitted: Fitted,
        parts: FloatArray,
    ) -> HandFit:
        scene, amounts = self.scene, explanation.amounts
        coefficients = fitted.reduced.coefficients(amounts)
        flat = scene.background.shape[1]
        background = scene.background @ coefficients[:flat]
        common = fitted.common @ coefficients[flat:]
        curves = fitted.shapes * amounts[:, None]
        values = np.where(scene.known, scene.values, np.nan)
        known = np.where(fitted.known, 1.0, np.nan)
        chi2 = fitted.reduced.square_at(amounts)
        least = fitted.reduced.square_at(free.amounts)
        left = LeftOver(
            fitted.noise,
            scene.values,
            np.concatenate([scene.background, fitted.shapes.T @ parts], axis=1),
            fitted.common,
        )
        return HandFit(
            parts=tuple(
                self._part(i, slug, slug in held, explanation, fitted) for i, slug in enumerate(slugs)
            ),
            shift_cm1=explanation.shift_cm1,
            drift_cm1=scene.freedom.axis_unit * float(coefficients[flat]),
            chi2=chi2,
            chi2_free=least,
            points=int(fitted.known.sum()),
            log_odds=log_odds(free, self._prior, self._settings, len(self._references)),
            held_log_odds=-max(0.0, chi2 - least) / (2 * self._settings.temperature),
            axis_cm1=self._references.grid - explanation.shift_cm1,
            values=values,
            background=background,
            common=common,
            residual=(values - background - common - curves.sum(axis=0)) * known,
            tolerance=2 * np.sqrt(fitted.variance) * known,
            curves=curves,
            explanation=explanation,
            left=left,
        )

    def _part(self, index: int, slug: str, held: bool, explanation: Explanation, fitted: Fitted) -> Part:
        info = self._references.rows[explanation.rows[index]]
        amount, sd = float(explanation.amounts[index]), float(explanation.sd[index])
        total = float(explanation.amounts.sum()) or 1.0
        # The rest of the signal is known far better than this part of it, as in the engine's intervals.
        rest = total - amount
        low, high = max(0.0, amount - _Z95 * sd), amount + _Z95 * sd
        share = amount / total
        gain = 0.0
        if len(explanation.rows) > 1:
            others = np.delete(np.eye(len(explanation.rows)), index, axis=1)
            less = fitted.reduced.mixed(others)
            gain = less.square_at(less.amounts()[0]) - fitted.reduced.square_at(fitted.reduced.amounts()[0])
        return Part(
            slug=slug,
            name=self._library.compound(slug).name,
            reference_id=info.id,
            form=info.form,
            tier=info.tier.value,
            share=share,
            share_low=share if held else low / (low + rest) if rest > 0 else 1.0,
            share_high=share if held else high / (high + rest) if rest > 0 else 1.0,
            held=held,
            gain=max(0.0, gain),
            bands=band_agreement(self.scene, explanation, index) if share > _NOTHING else None,
        )

    # --- bands

    def peaks(self, fit: HandFit | None = None) -> tuple[Peak, ...]:
        """The bands of the spectrum, and which component of a fit accounts for each.

        Parameters
        ----------
        fit : HandFit, optional
            Whose components are asked; without one, nothing is said of any compound.
        """
        from scipy.signal import find_peaks

        scene = self.scene
        shift = fit.shift_cm1 if fit else self.analysis.shift_cm1
        noise = np.sqrt(scene.measured)
        heights = np.where(scene.known, np.maximum(scene.bands, 0.0), 0.0)
        least = np.maximum(_LEAST_PEAK * scene.height, _LEAST_Z * noise)
        places, _ = find_peaks(heights, prominence=least)
        grid = self._references.grid
        found = []
        for place in places:
            by: tuple[str, ...] = ()
            if fit is not None:
                mine = fit.curves[:, place]
                by = tuple(
                    part.slug
                    for part, height in zip(fit.parts, mine, strict=True)
                    if height > 0 and height >= _ACCOUNTS * heights[place]
                )
                if not by and mine.sum() >= _ACCOUNTS * heights[place]:
                    by = tuple(part.slug for part, height in zip(fit.parts, mine, strict=True) if height > 0)
            found.append(
                Peak(
                    _top(grid, heights, int(place)) - shift,
                    float(heights[place] / scene.height),
                    float(heights[place] / noise[place]),
                    by,
                )
            )
        return tuple(found)

    def marks(
        self, slug: str, *, tolerance_cm1: float = TOLERANCE_CM1, fit: HandFit | None = None
    ) -> tuple[Mark, ...]:
        """The strong bands of a compound's reference, and whether the spectrum has them.

        Parameters
        ----------
        slug : str
            Compound with a reference of the technique.
        tolerance_cm1 : float
            How far a peak may be off, above 0.
        fit : HandFit, optional
            Whose axis is taken; the engine's if not given.

        Raises
        ------
        ParameterError
            If it has none, or the tolerance is not above 0.
        """
        if not 0 < tolerance_cm1 <= 100:
            raise ParameterError("tolerance_cm1", tolerance_cm1, "above 0, at most 100")
        (row,) = self._chosen({slug: None})
        values = self._references.values[row].astype(np.float64)
        grid = self._references.grid
        shift = fit.shift_cm1 if fit else self.analysis.shift_cm1
        own = self._references.known[row]
        known = grid[self.scene.known] - shift
        peaks = np.array([p.position_cm1 for p in self.peaks(fit)])
        found = []
        for place in sorted(strongest_bands(values, grid, own)):
            here = _top(grid, values, place)
            near = peaks[np.argmin(np.abs(peaks - here))] if peaks.size else np.inf
            found.append(
                Mark(
                    position_cm1=here,
                    height=float(values[place] / values.max()),
                    found_cm1=float(near) if abs(near - here) <= tolerance_cm1 else None,
                    inside=bool(known.min() <= here <= known.max()),
                )
            )
        return tuple(found)

    # --- what more there may be

    def rest(self, fit: HandFit, *, count: int = 8, excluded: Collection[str] = ()) -> tuple[Proposal, ...]:
        """Compounds that what a fit leaves speaks for, clearest first.

        Parameters
        ----------
        fit : HandFit
            What was explained.
        count : int
            As many at most, 1 … 24.
        excluded : collection of str
            Compounds that are not asked for.
        """
        usable = comparable(self.scene) & np.array(
            [info.compound_slug not in excluded for info in self._references.rows]
        )
        base = fit.explanation
        found = beside(self.scene, base, fit.left, usable, 24)
        before = log_odds(
            self.scene.explain(base.rows, base.shift_cm1), self._prior, self._settings, len(self._references)
        )
        out: dict[str, Proposal] = {}
        for z, row in found:
            info = self._references.rows[row]
            if z <= 0 or info.compound_slug in out or len(out) >= count:
                continue
            more = self.scene.explain((*base.rows, row), base.shift_cm1)
            total = float(more.amounts.sum()) or 1.0
            out[info.compound_slug] = Proposal(
                slug=info.compound_slug,
                name=self._library.compound(info.compound_slug).name,
                reference_id=info.id,
                tier=info.tier.value,
                z=z,
                share=float(more.amounts[-1]) / total,
                rise=z * z,
                log_odds=log_odds(more, self._prior, self._settings, len(self._references)) - before,
            )
        return tuple(out.values())

    def limits(self, fit: HandFit, slugs: Sequence[str]) -> dict[str, float]:
        """Smallest share of each compound that this scan would have shown beside what the fit says is there.

        Parameters
        ----------
        fit : HandFit
            What is there.
        slugs : sequence of str
            Compounds with a reference of the technique.

        Returns
        -------
        dict
            Share of the signal, 0 … 1, as `Analysis.smallest_shares` means it.
        """
        self._known_here(slugs)
        rows = {slug: self._rows[slug] for slug in slugs if slug not in fit.shares}
        return smallest_shares(self.scene, fit.explanation, fit.left, rows, self._settings)

    def speaks(self, fit: HandFit, slugs: Sequence[str]) -> dict[str, float]:
        """By how many standard deviations what a fit leaves holds each compound, by its best reference.

        Parameters
        ----------
        fit, slugs
            As for `limits`.
        """
        self._known_here(slugs)
        out: dict[str, float] = {}
        for slug in slugs:
            if slug not in fit.shares:
                shapes = self.scene.shapes(self._rows[slug], fit.shift_cm1).T
                z, _ = fit.left.significance(shapes)
                out[slug] = float(z.max())
        return out

    def _known_here(self, slugs: Sequence[str]) -> None:
        for slug in slugs:
            if slug not in self._rows:
                raise ParameterError("compound", slug, "a compound with a reference of this technique")


def _parts(held: Sequence[float | None]) -> FloatArray:
    """How much of each amount is in each free one, when some are a fixed share of the whole."""
    free = [i for i, share in enumerate(held) if share is None]
    if not free:
        shares: FloatArray = np.array([[share] for share in held], dtype=np.float64)
        return np.asarray(shares / shares.sum())
    taken = sum(share for share in held if share is not None)
    out = np.zeros((len(held), len(free)))
    for column, index in enumerate(free):
        out[index, column] = 1.0
    for index, share in enumerate(held):
        if share is not None:
            out[index, :] = share / (1 - taken)
    return out


def _top(grid: FloatArray, values: FloatArray, place: int) -> float:
    """Where a maximum is, between grid points."""
    if not 0 < place < grid.size - 1:
        return float(grid[place])
    before, here, after = (float(v) for v in values[place - 1 : place + 2])
    bend = before - 2 * here + after
    off = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(grid[place] + off * (grid[1] - grid[0]))
