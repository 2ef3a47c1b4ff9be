"""The joint fit: its algebra against dense matrices, its statistics against theory and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from spectralid import Spectrum, Technique
from spectralid.errors import ParameterError
from spectralid.identify.checks import band_agreement, unexplained_bands
from spectralid.identify.gaussian import Products, Weights, explained_rows
from spectralid.identify.hypotheses import Scene
from spectralid.identify.limits import DETECTION, smallest_shares
from spectralid.identify.mismatch import Freedom, Mismatch
from spectralid.identify.noise import noise_variance
from spectralid.identify.posterior import equivalents, posterior
from spectralid.identify.references import AREA, ReferenceSet, background_shapes, lower_envelope
from spectralid.identify.selection import Settings, ShiftPrior, log_odds, select
from spectralid.identify.shapes import hats, splines
from spectralid.library import ReferenceInfo, Tier
from spectralid.spectrum import IntensityUnit

GRID = 150.0 + 3.0 * np.arange(1024)
MISMATCH = Mismatch(gain=0.15, band=0.1, shift_cm1=1.0, width_cm2=5.0, shape=0.02, floor=0.002)


def lorentzians(positions: list[float], heights: list[float], half_width: float = 5.0) -> np.ndarray:
    x = (GRID[:, None] - np.asarray(positions)) / half_width
    return (np.asarray(heights) / (1 + x**2)).sum(axis=1)


def info(slug: str) -> ReferenceInfo:
    return ReferenceInfo(
        id=f"{slug}-1",
        compound_slug=slug,
        form="",
        technique=Technique.RAMAN,
        tier=Tier.MEASURED,
        source="",
        licence="",
        url="",
        citation="",
        range_cm1=(150.0, 3219.0),
        n_points=1024,
        resolution_cm1=8.0,
        laser_nm=785.0,
        quality=None,
        spectrum_sha256="0" * 64,
    )


def world(n: int = 40, seed: int = 3) -> tuple[ReferenceSet, np.ndarray]:
    """A library of random substances with 9 bands each, and their spectra of area `AREA`."""
    rng = np.random.default_rng(seed)
    rows = [lorentzians(list(rng.uniform(300, 1800, 9)), list(rng.uniform(0.2, 1.0, 9))) for _ in range(n)]
    matrix = np.array(rows)
    names = tuple(info(f"substance-{i}") for i in range(n))
    references = ReferenceSet.of(Technique.RAMAN, GRID, matrix, names)
    return references, matrix * (AREA / (matrix.sum(axis=1, keepdims=True) * 3.0))


def scene_of(values: np.ndarray, references: ReferenceSet, sd: float) -> Scene:
    return Scene(
        values,
        np.full(GRID.size, sd**2),
        references,
        background_shapes(GRID, Technique.RAMAN),
        MISMATCH,
        Freedom(GRID),
    )


def noisy(clean: np.ndarray, sd: float, seed: int = 0, glow: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    background = glow * np.exp(-(((GRID - 1300) / 900) ** 2))
    return clean + background + rng.normal(0, sd, GRID.size)


class TestShapes:
    @given(st.floats(20, 900))
    @settings(max_examples=25, deadline=None)
    def test_splines_and_hats_add_up_to_one(self, spacing: float) -> None:
        for basis in (splines(GRID, spacing), hats(GRID, spacing)):
            assert np.allclose(basis.sum(axis=1), 1.0)
            assert basis.min() >= 0

    def test_splines_follow_a_cubic_exactly(self) -> None:
        cubic = np.polynomial.polynomial.polyval(GRID / 1000, [1.0, -2.0, 0.5, 0.3])
        basis = splines(GRID, 400.0)
        fit = basis @ np.linalg.lstsq(basis, cubic, rcond=None)[0]
        assert np.allclose(fit, cubic, atol=1e-9)

    def test_spacing_must_be_positive(self) -> None:
        for basis in (splines, hats):
            with pytest.raises(ParameterError, match="spacing"):
                basis(GRID, 0.0)


class TestAlgebra:
    def problem(self, seed: int) -> tuple[Weights, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        n = 30
        background = np.column_stack([np.ones(n), np.linspace(-1, 1, n)])
        variance = rng.uniform(0.5, 2.0, n)
        means, factors = rng.normal(size=(n, 2)), rng.normal(size=(n, 5))
        y = rng.normal(size=n) * 3
        return Weights.of(y, variance, background), y, variance, means, factors

    @pytest.mark.parametrize("seed", range(4))
    def test_evidence_is_the_density_of_error_contrasts(self, seed: int) -> None:
        weights, y, variance, means, factors = self.problem(seed)
        scales, prior = np.array([0.5, 1.0, 2.0, 0.0, 1.5]), np.array([3.0, 0.7])
        products = Products(weights.y, weights.whiten(means), weights.whiten(factors))
        ours = products.reduced(scales).log_evidence(prior)
        # Independently: contrasts that the weighted background drops out of, and scipy's density of them.
        white_background = np.column_stack([np.ones(30), np.linspace(-1, 1, 30)]) / np.sqrt(variance)[:, None]
        contrasts = np.linalg.svd(white_background, full_matrices=True)[0][:, 2:].T
        columns = np.column_stack([factors * scales, means * prior]) / np.sqrt(variance)[:, None]
        covariance = contrasts @ (np.eye(30) + columns @ columns.T) @ contrasts.T
        density = multivariate_normal(np.zeros(28), covariance).logpdf(contrasts @ (y / np.sqrt(variance)))
        assert ours - 0.5 * 28 * np.log(1 / (2 * np.pi)) * 0 == pytest.approx(
            density + 14 * np.log(2 * np.pi)
        )

    def test_amounts_are_generalised_least_squares(self) -> None:
        _, y, variance, means, factors = self.problem(7)
        y = y + means @ np.array([40.0, 25.0])
        weights = Weights.of(y, variance, np.column_stack([np.ones(30), np.linspace(-1, 1, 30)]))
        reduced = Products(weights.y, weights.whiten(means), weights.whiten(factors)).reduced(np.ones(5))
        amounts, sd = reduced.amounts()
        covariance = np.diag(variance) + factors @ factors.T
        design = np.column_stack([means, np.ones(30), np.linspace(-1, 1, 30)])
        inverse = np.linalg.inv(covariance)
        expected = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ y)
        spread = np.sqrt(np.diag(np.linalg.inv(design.T @ inverse @ design)))
        assert amounts == pytest.approx(expected[:2])
        assert sd == pytest.approx(spread[:2], rel=1e-6)

    def test_amounts_are_never_negative(self) -> None:
        _, y, variance, means, factors = self.problem(7)
        background = np.column_stack([np.ones(30), np.linspace(-1, 1, 30)])
        weights = Weights.of(y - 50 * means[:, 0], variance, background)
        reduced = Products(weights.y, weights.whiten(means), weights.whiten(factors)).reduced(np.ones(5))
        assert reduced.amounts()[0][0] == 0

    def test_products_grow_without_being_computed_again(self) -> None:
        weights, _, _, means, factors = self.problem(2)
        m, f = weights.whiten(means), weights.whiten(factors)
        whole = Products(weights.y, m, f).reduced(np.ones(5))
        grown = Products(weights.y, m[:, 1:], f[:, 3:], Products(weights.y, m[:, :1], f[:, :3]))
        again = grown.reduced(np.ones(5))
        assert again.information == pytest.approx(whole.information)
        assert again.log_evidence(np.ones(2)) == pytest.approx(whole.log_evidence(np.ones(2)))

    def test_without_factors_nothing_is_accounted_for(self) -> None:
        weights, _, _, means, factors = self.problem(5)
        products = Products(weights.y, weights.whiten(means), weights.whiten(factors))
        plain, zero = products.plain(), products.reduced(np.zeros(5))
        assert plain.information == pytest.approx(zero.information)
        assert plain.log_evidence(np.ones(2)) == pytest.approx(zero.log_evidence(np.ones(2)))

    def test_rows_of_what_is_explained_give_the_inverse(self) -> None:
        factors = np.random.default_rng(1).normal(size=(20, 4))
        half = explained_rows(factors)
        inverse = np.linalg.inv(np.eye(20) + factors @ factors.T)
        assert np.eye(20) - half.T @ half == pytest.approx(inverse)

    def test_missing_points_carry_nothing(self) -> None:
        _, y, variance, means, factors = self.problem(3)
        holed, background = y.copy(), np.column_stack([np.ones(30), np.linspace(-1, 1, 30)])
        holed[10:15] = np.nan
        kept = np.isfinite(holed)
        with_holes = Weights.of(holed, variance, background)
        without = Weights.of(y[kept], variance[kept], background[kept])

        def evidence(w: Weights, rows: np.ndarray) -> float:
            products = Products(w.y, w.whiten(means[rows]), w.whiten(factors[rows]))
            return products.reduced(np.ones(5)).log_evidence(np.ones(2))

        assert np.count_nonzero(with_holes.scale) == np.count_nonzero(without.scale) == 25
        assert evidence(with_holes, np.full(30, True)) == pytest.approx(evidence(without, kept))


class TestNoise:
    def test_shot_noise_is_found_to_grow_with_the_counts(self) -> None:
        rng = np.random.default_rng(2)
        axis = np.arange(200.0, 3000.0, 2.0)
        level = 1000 + 40_000 * np.exp(-(((axis - 1500) / 500) ** 2))
        counts = rng.poisson(level) + rng.normal(0, 10, axis.size)
        spectrum = Spectrum(axis, counts, technique=Technique.RAMAN, unit=IntensityUnit.COUNTS)
        grid = np.arange(260.0, 2900.0, 3.0)
        found = noise_variance(spectrum, grid)
        # A grid cell of 3 cm⁻¹ holds 1.5 points.
        expected = (np.interp(grid, axis, level) + 100) / 1.5
        ratio = np.sqrt(found / np.maximum(expected, (1e-3 * np.ptp(counts)) ** 2))
        assert np.quantile(ratio, 0.1) > 0.7
        assert np.quantile(ratio, 0.9) < 1.4

    def test_stated_deviations_are_believed(self) -> None:
        axis = np.arange(200.0, 3000.0, 3.0)
        values = np.sin(axis / 50)
        spectrum = Spectrum(axis, values, technique=Technique.RAMAN, sd=np.full(axis.size, 0.3))
        assert noise_variance(spectrum, axis) == pytest.approx(0.09)

    def test_a_curve_without_noise_still_has_a_floor(self) -> None:
        axis = np.arange(200.0, 3000.0, 3.0)
        spectrum = Spectrum(axis, np.exp(-(((axis - 1500) / 8) ** 2)), technique=Technique.RAMAN)
        assert np.all(noise_variance(spectrum, axis) > 0)


class TestReferences:
    def test_background_goes_and_bands_stay(self) -> None:
        bands = lorentzians([600, 1000, 1500], [1, 0.6, 0.8])
        glow = 3 * np.exp(-(((GRID - 1400) / 800) ** 2))
        names = (info("clean"), info("glowing"))
        prepared = ReferenceSet.of(Technique.RAMAN, GRID, np.array([bands, bands + glow]), names)
        a, b = prepared.values.astype(float)
        assert a.sum() * 3.0 == pytest.approx(AREA, rel=1e-3)
        assert float(a @ b / np.sqrt((a @ a) * (b @ b))) > 0.99

    def test_what_is_not_known_is_zero_and_said_so(self) -> None:
        bands = lorentzians([600, 1000], [1, 1])
        bands[GRID > 1200] = np.nan
        prepared = ReferenceSet.of(Technique.RAMAN, GRID, bands[None], (info("short"),))
        assert np.all(prepared.values[0, GRID > 1200] == 0)
        assert not prepared.known[0, GRID > 1200].any()

    def test_envelope_lies_under_the_bands(self) -> None:
        bands = lorentzians([600, 1000, 1500], [1, 0.6, 0.8], half_width=4.0)
        floor = lower_envelope((bands + 1.0)[None], background_shapes(GRID, Technique.RAMAN))[0]
        assert float(np.median(floor)) == pytest.approx(1.0, abs=0.03)

    def test_moving_follows_the_axis(self) -> None:
        references, _ = world(1)
        top = GRID[int(references.values[0].argmax())]
        assert GRID[int(references.moved(0, 6.0).argmax())] == pytest.approx(top + 6.0)


class TestSelection:
    def test_a_pure_substance_is_found_with_its_shift(self) -> None:
        references, shapes = world()
        clean = np.interp(GRID - 5.0, GRID, shapes[7])
        found = select(scene_of(noisy(clean, 0.02), references, 0.02), ShiftPrior(), Settings())
        assert found.best is not None
        assert [references.rows[r].compound_slug for r in found.best.rows] == ["substance-7"]
        assert found.best.shift_cm1 == pytest.approx(5.0, abs=1.0)
        assert found.score > 20

    def test_a_tenth_of_a_third_component_is_found(self) -> None:
        references, shapes = world()
        clean = 0.6 * shapes[3] + 0.3 * shapes[11] + 0.1 * shapes[25]
        found = select(scene_of(noisy(clean, 0.01), references, 0.01), ShiftPrior(), Settings())
        assert found.best is not None
        assert set(found.best.rows) == {3, 11, 25}
        share = found.best.amounts / found.best.amounts.sum()
        wanted = dict(zip((3, 11, 25), (0.6, 0.3, 0.1), strict=True))
        for row, value in zip(found.best.rows, share, strict=True):
            assert value == pytest.approx(wanted[row], rel=0.25)

    def test_what_is_not_in_the_library_is_nothing(self) -> None:
        references, _ = world()
        _, strangers = world(3, seed=99)
        for stranger in strangers:
            found = select(scene_of(noisy(stranger, 0.02), references, 0.02), ShiftPrior(), Settings())
            assert found.score < 0

    def test_a_free_shift_has_its_price(self) -> None:
        near, far = ShiftPrior(sd_cm1=1.0, share=0.0), ShiftPrior(sd_cm1=1.0, share=0.2, wide_cm1=8.0)
        assert near.log_density(0.0) == 0
        assert near.log_density(6.0) == pytest.approx(-18.0)
        assert -18.0 < far.log_density(6.0) < -2.0
        assert max(abs(near.places())) < max(abs(far.places()))

    def test_without_anything_comparable_there_is_no_answer(self) -> None:
        references, shapes = world(4)
        values = np.where(GRID < 300, shapes[0], np.nan)
        found = select(scene_of(values, references, 0.02), ShiftPrior(), Settings())
        assert found.best is None
        assert found.explored == ()

    def test_each_component_more_costs_odds(self) -> None:
        references, shapes = world()
        scene = scene_of(noisy(shapes[7], 0.02), references, 0.02)
        one, two = scene.explain((7,), 0.0), scene.explain((7, 8), 0.0)
        cost = log_odds(one, ShiftPrior(), Settings(), 40) - log_odds(two, ShiftPrior(), Settings(), 40)
        assert cost == pytest.approx((one.log_evidence - two.log_evidence) / 4 + 2 + np.log(40))
        assert cost > 0


class TestChecks:
    def test_the_bands_of_what_is_there_agree(self) -> None:
        references, shapes = world()
        scene = scene_of(noisy(shapes[7], 0.01), references, 0.01)
        bands = band_agreement(scene, scene.explain((7,), 0.0), 0)
        assert bands.missing_cm1 == ()
        assert bands.supported == len(bands.ratios)
        assert np.asarray(bands.ratios) == pytest.approx(1.0, abs=0.25)

    def test_a_band_that_is_not_there_is_missed(self) -> None:
        rng = np.random.default_rng(5)
        positions = [400.0, 620.0, 845.0, 1090.0, 1310.0, 1600.0]
        heights = list(rng.uniform(0.7, 1.0, 6))
        whole = lorentzians(positions, heights)
        references = ReferenceSet.of(Technique.RAMAN, GRID, whole[None], (info("whole"),))
        scale = AREA / (whole.sum() * 3.0)
        torn = lorentzians(positions, [*heights[:3], 0.0, *heights[4:]]) * scale
        scene = scene_of(noisy(torn, 0.01), references, 0.01)
        bands = band_agreement(scene, scene.explain((0,), 0.0), 0)
        assert [round(m, -1) for m in bands.missing_cm1] == [1090.0]

    def test_a_foreign_band_is_left_over_and_its_own_are_not(self) -> None:
        references, shapes = world()
        foreign = lorentzians([1955.0], [0.3 * shapes[7].max()])
        for extra, expected in ((foreign, [1955.0]), (0 * foreign, [])):
            scene = scene_of(noisy(shapes[7] + extra, 0.01), references, 0.01)
            weights, accounted = scene.left_over(scene.explain((7,), 0.0))
            found = unexplained_bands(scene, weights, accounted, shift_cm1=0.0)
            assert [u.position_cm1 for u in found] == pytest.approx(expected, abs=4.0)
            assert all(u.share == pytest.approx(0.3, abs=0.1) for u in found)

    def test_the_detection_limit_is_detected_with_the_power_it_promises(self) -> None:
        references, shapes = world()
        sd = 0.05
        clean = shapes[7]
        base_scene = scene_of(noisy(clean, 1e-6), references, sd)
        base = base_scene.explain((7,), 0.0)
        weights, accounted = base_scene.left_over(base)
        limit = smallest_shares(base_scene, base, weights, accounted, {"f": [12]})["f"]
        amount = limit / (1 - limit) * float(base.amounts.sum())
        white = weights.whiten(references.values[12].astype(float)[:, None])[:, 0]

        def estimate(seed: int, added: float) -> float:
            # Noise as the model has it: white in the weighted space, plus what a mismatch may do.
            rng = np.random.default_rng(seed)
            y = weights.y + rng.normal(size=GRID.size) * (weights.scale > 0) + added * white
            rest = y - accounted.T @ (accounted @ y)
            information = white @ white - (accounted @ white) @ (accounted @ white)
            return float(white @ rest / np.sqrt(information))

        null = np.array([estimate(s, 0.0) for s in range(300)])
        bar = null.mean() + 3.09 * null.std()
        power = np.mean([estimate(1000 + s, amount) > bar for s in range(300)])
        assert pytest.approx(4.372, abs=0.01) == DETECTION
        # Mismatch is in the limit and not in this noise, so that the power is at least the promised one.
        assert power >= 0.87


class TestPosterior:
    def test_probabilities_add_up(self) -> None:
        references, shapes = world()
        scene = scene_of(noisy(0.5 * shapes[1] + 0.5 * shapes[2], 0.02), references, 0.02)
        explored = [(scene.explain((1,), 0.0), 1.0), (scene.explain((1, 2), 0.0), 3.0)]
        found = posterior(explored, references, nothing_score=0.0)
        total = 1 + np.e + np.e**3
        assert found.nothing == pytest.approx(1 / total)
        assert found.present[int(references.compound[1])] == pytest.approx((np.e + np.e**3) / total)
        assert found.present[int(references.compound[2])] == pytest.approx(np.e**3 / total)

    def test_swaps_that_cost_next_to_nothing_are_equivalent(self) -> None:
        references, shapes = world()
        scene = scene_of(noisy(shapes[1], 0.02), references, 0.02)
        best, close, far = (scene.explain((r,), 0.0) for r in (1, 2, 3))
        found = equivalents([(best, 10.0), (close, 8.5), (far, 5.0)], best)
        assert found == {1: [2]}
