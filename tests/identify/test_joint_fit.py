"""The joint fit: its algebra against dense matrices, its statistics against theory and simulation."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import multivariate_normal

from spectralid import Spectrum, Technique
from spectralid.errors import ParameterError
from spectralid.identify.checks import band_agreement, unexplained_bands
from spectralid.identify.gaussian import BACKGROUND_SD, Banded, LeftOver, reduce
from spectralid.identify.hypotheses import Scene
from spectralid.identify.limits import needed, smallest_shares
from spectralid.identify.mismatch import Freedom, Mismatch
from spectralid.identify.noise import noise_variance
from spectralid.identify.posterior import EQUIVALENT_NATS, posterior, swap_costs
from spectralid.identify.references import AREA, ReferenceSet, background_shapes, lower_envelope
from spectralid.identify.selection import Settings, ShiftPrior, log_odds, select
from spectralid.identify.shapes import bump, hats, splines
from spectralid.library import ReferenceInfo, Tier
from spectralid.spectrum import IntensityUnit

GRID = 150.0 + 3.0 * np.arange(1024)
MISMATCH = Mismatch(
    gain=0.15, band=0.1, shift_cm1=1.0, width_cm2=5.0, resolution_cm2=5.0, shape=0.02, floor=0.002
)


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


class TestBump:
    @pytest.mark.parametrize("reach", [6.5, 18.0, 40.0])
    def test_it_is_a_covariance_of_finite_reach(self, reach: float) -> None:
        places = np.arange(0.0, 200.0, 3.0)
        matrix = bump(np.abs(places[:, None] - places) / reach)
        assert np.allclose(np.diag(matrix), 1.0)
        assert np.linalg.eigvalsh(matrix).min() > -1e-12
        assert np.all(matrix[np.abs(places[:, None] - places) >= reach] == 0)

    def test_it_falls_smoothly(self) -> None:
        distance = np.linspace(0, 1.2, 200)
        values = bump(distance)
        assert np.all(np.diff(values) <= 0)
        assert abs(np.diff(values)).max() < 0.02


def dense(lower: np.ndarray) -> np.ndarray:
    """The matrix whose lower diagonals are the rows of `lower`."""
    n = lower.shape[1]
    matrix = np.diag(lower[0])
    for d in range(1, len(lower)):
        matrix += np.diag(lower[d, : n - d], -d) + np.diag(lower[d, : n - d], d)
    return matrix


class TestAlgebra:
    def problem(
        self, seed: int, n: int = 30
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Spectrum, diagonals of a covariance, means, background and factors."""
        rng = np.random.default_rng(seed)
        background = np.column_stack([np.ones(n), np.linspace(-1, 1, n)])
        lower = np.zeros((4, n))
        lower[0] = rng.uniform(1.0, 2.0, n)
        for d in range(1, 4):
            lower[d, : n - d] = rng.uniform(-0.15, 0.15, n - d)
        means, factors = rng.normal(size=(n, 2)), rng.normal(size=(n, 5))
        return rng.normal(size=n) * 3, lower, means, background, factors

    @pytest.mark.parametrize("seed", range(4))
    def test_evidence_is_the_density_of_the_whole_model(self, seed: int) -> None:
        y, lower, means, background, factors = self.problem(seed)
        prior = np.array([3.0, 0.7])
        reduced = reduce(Banded(lower, np.full(30, True)), y, means, background, factors)
        columns = np.column_stack([factors, means * prior, BACKGROUND_SD * background])
        density = multivariate_normal(np.zeros(30), dense(lower) + columns @ columns.T).logpdf(y)
        # What all models of a spectrum share is left out: powers of 2 π, and the width of the background.
        constant = 15 * np.log(2 * np.pi) + 2 * np.log(BACKGROUND_SD)
        assert reduced.log_evidence(prior) == pytest.approx(density + constant)

    def test_amounts_are_generalised_least_squares(self) -> None:
        y, lower, means, background, factors = self.problem(7)
        y = y + means @ np.array([40.0, 25.0])
        reduced = reduce(Banded(lower, np.full(30, True)), y, means, background, factors)
        amounts, sd = reduced.amounts()
        wide = BACKGROUND_SD * background
        inverse = np.linalg.inv(dense(lower) + factors @ factors.T + wide @ wide.T)
        information = means.T @ inverse @ means
        assert amounts == pytest.approx(np.linalg.solve(information, means.T @ inverse @ y))
        assert sd == pytest.approx(np.sqrt(np.diag(np.linalg.inv(information))), rel=1e-6)

    def test_coefficients_are_posterior_means(self) -> None:
        y, lower, means, background, factors = self.problem(8)
        reduced = reduce(Banded(lower, np.full(30, True)), y, means, background, factors)
        amounts = np.array([0.4, 1.3])
        columns = np.column_stack([background, factors])
        spread = np.array([BACKGROUND_SD] * 2 + [1.0] * 5)
        inverse = np.linalg.inv(dense(lower))
        expected = np.linalg.solve(
            columns.T @ inverse @ columns + np.diag(spread**-2.0),
            columns.T @ inverse @ (y - means @ amounts),
        )
        assert reduced.coefficients(amounts) == pytest.approx(expected)

    def test_amounts_are_never_negative(self) -> None:
        y, lower, means, background, factors = self.problem(7)
        noise = Banded(lower, np.full(30, True))
        reduced = reduce(noise, y - 50 * means[:, 0], means, background, factors)
        assert reduced.amounts()[0][0] == 0

    def test_a_rest_has_the_inner_products_of_the_model(self) -> None:
        y, lower, means, background, factors = self.problem(3)
        left = LeftOver(Banded(lower, np.full(30, True)), y, background, factors)
        wide = BACKGROUND_SD * background
        inverse = np.linalg.inv(dense(lower) + factors @ factors.T + wide @ wide.T)
        white = left.whiten(means)
        assert white.T @ white == pytest.approx(means.T @ inverse @ means)
        assert white.T @ left.y == pytest.approx(means.T @ inverse @ y)
        assert means.T @ left.weights() == pytest.approx(means.T @ inverse @ y)
        z, information = left.significance(means)
        assert information == pytest.approx(np.diag(means.T @ inverse @ means))
        assert z == pytest.approx((means.T @ inverse @ y) / np.sqrt(information))

    def test_what_is_accounted_for_has_no_significance(self) -> None:
        y, lower, means, background, factors = self.problem(4)
        shapes = np.concatenate([background, 100 * means[:, :1]], axis=1)
        left = LeftOver(Banded(lower, np.full(30, True)), y, shapes, factors)
        z, information = left.significance(means)
        assert (z[0], information[0]) == (0, 0)
        assert information[1] > 0

    def test_missing_points_carry_nothing(self) -> None:
        y, lower, means, background, factors = self.problem(3)
        kept = np.full(30, True)
        kept[10:15] = False
        whole = dense(lower)
        # The middle of a banded matrix cut out leaves a banded matrix.
        cut = whole[np.ix_(kept, kept)]
        few = np.array([np.pad(np.diag(cut, -d), (0, d)) for d in range(4)])
        holes = reduce(Banded(lower, kept), np.where(kept, y, 7e5), means, background, factors)
        without = reduce(
            Banded(few, np.full(25, True)), y[kept], means[kept], background[kept], factors[kept]
        )
        assert holes.log_evidence(np.ones(2)) == pytest.approx(without.log_evidence(np.ones(2)))


class TestFreedom:
    def test_its_covariance_is_that_of_heights_places_and_widths(self) -> None:
        """Against a simulation that varies the bands themselves."""
        x = np.arange(150.0, 3222.0, 3.0)
        mismatch = Mismatch(0.0, 0.1, 0.5, 0.0, 0.0, 0.0, 0.0)
        centres = np.arange(300.0, 3000.0, 150.0)

        def spectrum(heights: np.ndarray, places: np.ndarray) -> np.ndarray:
            return np.asarray((heights * np.exp(-0.5 * ((x[:, None] - places) / 6.0) ** 2)).sum(axis=1))

        rng = np.random.default_rng(0)
        plain = spectrum(np.ones(centres.size), centres)
        drawn = np.array(
            [
                spectrum(
                    1 + 0.1 * rng.normal(size=centres.size), centres + 0.5 * rng.normal(size=centres.size)
                )
                for _ in range(4000)
            ]
        )
        seen = np.var(drawn, axis=0)
        freedom = Freedom(x)
        ours = freedom.local(plain[None], mismatch)
        strong = plain > 0.2
        assert ours[0][strong] == pytest.approx(seen[strong], rel=0.25)
        neighbours = np.mean((drawn - plain)[:, :-1] * (drawn - plain)[:, 1:], axis=0)
        places = np.flatnonzero(strong[:-1] & strong[1:])
        assert ours[1][places] == pytest.approx(neighbours[places], rel=0.5, abs=2e-3)

    def test_the_first_common_column_moves_the_axis(self) -> None:
        shape = lorentzians([600, 1000, 1500], [1, 0.6, 0.8], half_width=8.0)
        freedom = Freedom(GRID)
        column = freedom.common(shape, MISMATCH)[:, 0] / freedom.axis_unit
        moved = np.interp(GRID - 0.5, GRID, shape)
        assert shape + 0.5 * column == pytest.approx(moved, abs=0.03)


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
            left = scene.left_over(scene.explain((7,), 0.0))
            found, clearest = unexplained_bands(scene, left, shift_cm1=0.0)
            assert (clearest > 6) == bool(expected)
            assert [u.position_cm1 for u in found] == pytest.approx(expected, abs=4.0)
            assert all(u.share == pytest.approx(0.3, abs=0.1) for u in found)

    def test_the_detection_limit_is_detected_with_the_power_it_promises(self) -> None:
        references, shapes = world()
        sd = 0.05
        clean = shapes[7]
        base_scene = scene_of(noisy(clean, 1e-6), references, sd)
        base = base_scene.explain((7,), 0.0)
        left = base_scene.left_over(base)
        limit = smallest_shares(base_scene, base, left, {"f": [12]}, Settings())["f"]
        amount = limit / (1 - limit) * float(base.amounts.sum())
        white = left.whiten(references.values[12].astype(float)[:, None])[:, 0]
        length = float(np.sqrt(white @ white))

        def estimate(seed: int, added: float) -> float:
            # Noise as the model has it: white in the whitened space.
            y = left.y + np.random.default_rng(seed).normal(size=left.y.size) + added * white
            return float(white @ y) / length

        # What must be measured: an evidence that pays, after its division, for the prior odds of one more.
        asked = Settings()
        odds = asked.least_gain - asked.component_log_odds + np.log(len(references))
        paid = brentq(lambda z: (z**2 / 2 - np.log(3 * z)) / asked.temperature - odds, 1, 100)
        # The checks of bands cost a tenth more.
        bar = 1.1 * (paid + 1.282) - 1.282
        null = np.array([estimate(s, 0.0) for s in range(300)])
        assert null.std() == pytest.approx(1.0, abs=0.15)
        power = np.mean([estimate(1000 + s, amount) > null.mean() + bar for s in range(300)])
        assert 0.84 <= power <= 0.96

    def test_what_is_needed_grows_with_the_questions_a_library_asks_and_with_doubt(self) -> None:
        plain = replace(Settings(), temperature=1.0, component_log_odds=0.0, least_gain=0.0)
        few, many = needed(plain, 10), needed(plain, 10_000)
        # Odds of 1 in 10 ask for 2.1 standard deviations and of 1 in 10,000 for 4.3, the wide prior and the
        # power of nine in ten for the rest.
        assert 2.1 + 1.28 < few / 1.1 < 5
        assert 4.3 + 1.28 < many / 1.1 < 7
        assert needed(replace(plain, temperature=4.0), 10) == pytest.approx(1.1 * 6.16, abs=0.01)


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

    def test_swaps_cost_what_the_scores_differ_by(self) -> None:
        references, shapes = world()
        scene = scene_of(noisy(shapes[1], 0.02), references, 0.02)
        best, close, far, longer = (scene.explain(r, 0.0) for r in ((1,), (2,), (3,), (1, 2)))
        found = swap_costs([(best, 10.0), (close, 8.5), (far, 5.0), (longer, 9.0)], best)
        assert found == {1: [(2, 1.5), (3, 5.0)]}
        assert [cost <= EQUIVALENT_NATS for _, cost in found[1]] == [True, False]


def test_nothing_to_whiten_writes_nowhere() -> None:
    """In a process of its own: what is written beyond an array shows when the process ends."""
    program = (
        "import numpy as np\n"
        "from spectralid.identify.gaussian import Banded\n"
        "banded = Banded(np.array([np.full(1024, 2.0), np.full(1024, 0.3)]), np.ones(1024, dtype=bool))\n"
        "shapes = [banded.white(np.zeros((1024, 0))).shape, banded.back(np.zeros((1024, 0))).shape]\n"
        "assert shapes == [(1024, 0), (1024, 0)]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
