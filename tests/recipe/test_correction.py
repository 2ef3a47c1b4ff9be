"""Scaled force field: round trip, scaling laws, invariance, known coordinates, gradients, file format."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from string import ascii_uppercase

import numpy as np
import pytest

pytest.importorskip("rdkit", reason="packed results are read through the recipe, which needs RDKit")

import correction
import fitness
import train_correction
import vibrations
from correction import Correction, ForceField, Profile

_CM = 219474.6313632 / np.sqrt(1822.888486209)

# Geometries in angstrom, made by hand: what matters is that they are of the right kind.
_SHAPES: dict[str, tuple[list[int], list[tuple[float, float, float]]]] = {
    "water": ([8, 1, 1], [(0, 0, 0), (0.96, 0, 0), (-0.24, 0.93, 0)]),
    "acetonitrile": (
        [6, 6, 7, 1, 1, 1],
        [
            (0, 0, 0), (0, 0, 1.46), (0, 0, 2.62),
            (1.03, 0, -0.37), (-0.515, 0.892, -0.37), (-0.515, -0.892, -0.37),
        ],
    ),
    "formaldehyde": ([6, 8, 1, 1], [(0, 0, 0), (0, 0, 1.2), (0.94, 0, -0.58), (-0.94, 0, -0.58)]),
    "carbon dioxide": ([6, 8, 8], [(0, 0, 0), (0, 0, 1.16), (0, 0, -1.16)]),
    "hydrogen peroxide": ([8, 8, 1, 1], [(0, 0, 0), (1.45, 0, 0), (-0.1, 0.95, 0), (1.55, -0.4, 0.86)]),
    "butyne": (
        [6, 6, 6, 6, 1, 1, 1, 1, 1, 1],
        [
            (0, 0, 0), (0, 0, 1.2), (0, 0, -1.46), (0, 0, 2.66), (1.03, 0, -1.83), (-0.515, 0.892, -1.83),
            (-0.515, -0.892, -1.83), (0.9, 0.5, 3.03), (-0.88, 0.53, 3.03), (-0.02, -1.03, 3.03),
        ],
    ),
    "two waters": (
        [8, 1, 1, 8, 1, 1],
        [(0, 0, 0), (0.96, 0, 0), (-0.24, 0.93, 0), (3, 0, 3), (3.96, 0, 3.1), (2.76, 0.93, 3.2)],
    ),
}  # fmt: skip
_MASSES = {1: 1.008, 6: 12.011, 7: 14.007, 8: 15.999}


def _bohr(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers, positions = _SHAPES[name]
    masses = np.array([_MASSES[z] for z in numbers])
    return np.array(numbers), masses, np.array(positions) / vibrations.BOHR_IN_ANGSTROM


def _springs(positions: np.ndarray, seed: int = 1) -> np.ndarray:
    """Hessian of springs at rest between all atoms, plus curvature the springs of a straight chain lack."""
    rows, generator = [], np.random.default_rng(seed)
    for i, j in combinations(range(len(positions)), 2):
        row = np.zeros_like(positions)
        offset = positions[i] - positions[j]
        row[i], row[j] = offset, -offset
        rows.append(row.ravel() / np.linalg.norm(offset) ** 2 * np.sqrt(generator.uniform(0.2, 1.0)))
    springs = np.array(rows).T @ np.array(rows)
    external = vibrations.external_motions(positions, np.ones(len(positions)))
    keep = np.eye(positions.size) - external @ external.T
    return springs + keep @ (0.02 * np.eye(positions.size)) @ keep


def _derivatives(name: str, seed: int = 1) -> tuple[np.ndarray, ...]:
    numbers, masses, positions = _bohr(name)
    generator = np.random.default_rng(seed)
    size = positions.size
    return (
        numbers, masses, positions, _springs(positions, seed), generator.normal(size=(size, 3)),
        generator.normal(size=(size, 6)),
    )  # fmt: skip


def _every(factor: float) -> Correction:
    return Correction(default=factor)


@pytest.mark.parametrize("name", _SHAPES)
def test_factors_of_one_change_nothing(name: str) -> None:
    numbers, masses, *tensors = _derivatives(name)
    expected = vibrations.sticks(tensors[0], masses, *tensors[1:])
    found = correction.corrected_lines(correction.force_field(numbers, masses, *tensors), Correction())
    assert found.frequencies == pytest.approx(expected.frequencies, abs=0.01)
    # Single lines of degenerate pairs may be mixed differently; sums over close lines may not.
    order = np.round(expected.frequencies / 5)
    for group in set(order):
        assert found.infrared[order == group].sum() == pytest.approx(
            expected.ir[order == group].sum(), rel=1e-5
        )
        assert found.raman[order == group].sum() == pytest.approx(
            expected.raman[order == group].sum(), rel=1e-5
        )


@pytest.mark.parametrize("name", _SHAPES)
@pytest.mark.parametrize("factor", [0.9, 1.07])
def test_the_square_of_a_factor_on_all_force_constants_scales_frequencies(name: str, factor: float) -> None:
    molecule = correction.force_field(*_derivatives(name))
    before = correction.corrected_lines(molecule, Correction()).frequencies
    after = correction.corrected_lines(molecule, _every(factor**2)).frequencies
    assert after == pytest.approx(factor * before, abs=1e-6)


def _rotation(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def _rotated(derivatives: tuple[np.ndarray, ...], turn: np.ndarray) -> tuple[np.ndarray, ...]:
    numbers, masses, positions, hessian, dipole, polarizability = derivatives
    big = np.kron(np.eye(len(numbers)), turn)
    tensors = np.empty((len(polarizability), 3, 3))
    for column, (i, j) in enumerate(vibrations.COMPONENTS):
        tensors[:, i, j] = tensors[:, j, i] = polarizability[:, column]
    tensors = np.einsum("ia,kab,jb->kij", turn, np.einsum("kl,lab->kab", big, tensors), turn)
    components = np.array([tensors[:, i, j] for i, j in vibrations.COMPONENTS]).T
    return numbers, masses, positions @ turn.T, big @ hessian @ big.T, big @ dipole @ turn.T, components


@pytest.mark.parametrize("name", _SHAPES)
def test_rotation_changes_nothing_even_when_classes_are_scaled_differently(name: str) -> None:
    derivatives = _derivatives(name)
    molecule = correction.force_field(*derivatives)
    turned = correction.force_field(*_rotated(derivatives, _rotation(4)))
    assert turned.classes == molecule.classes
    names = sorted(set(molecule.classes))
    factors = {name: 0.8 + 0.1 * i for i, name in enumerate(names)}
    learned = Correction(force=factors, raman=Profile(factors), infrared=Profile(factors))
    one, two = (correction.corrected_lines(m, learned) for m in (molecule, turned))
    assert two.frequencies == pytest.approx(one.frequencies, abs=1e-5)
    assert two.infrared.sum() == pytest.approx(one.infrared.sum(), rel=1e-6)
    assert two.raman.sum() == pytest.approx(one.raman.sum(), rel=1e-6)


@pytest.mark.parametrize(("first", "second", "force"), [(6, 8, 1.2), (1, 8, 0.5), (7, 7, 1.5)])
def test_diatomic_is_the_square_root_of_force_by_reduced_mass(first: int, second: int, force: float) -> None:
    masses = np.array([_MASSES[first], _MASSES[second]])
    positions = np.array([[0, 0, 0], [0, 0, 2.0]])
    hessian = np.zeros((6, 6))
    hessian[np.ix_([2, 5], [2, 5])] = force * np.array([[1, -1], [-1, 1]])
    molecule = correction.force_field(
        np.array([first, second]), masses, positions, hessian, np.zeros((6, 3)), np.zeros((6, 6))
    )
    reduced = masses.prod() / masses.sum()
    assert len(molecule.classes) == 1
    assert molecule.constants[0, 0] == pytest.approx(force)
    found = correction.corrected_lines(molecule, Correction(force={molecule.classes[0]: 0.81}))
    assert found.frequencies == pytest.approx([0.9 * _CM * np.sqrt(force / reduced)], rel=1e-9)


def test_force_constants_do_not_depend_on_isotopes() -> None:
    numbers, masses, *tensors = _derivatives("formaldehyde")
    heavy = np.where(numbers == 1, 2.014, masses)
    light_field = correction.force_field(numbers, masses, *tensors)
    heavy_field = correction.force_field(numbers, heavy, *tensors)
    assert heavy_field.constants == pytest.approx(light_field.constants, abs=1e-9)


def test_deuteration_obeys_the_product_rule() -> None:
    """Redlich and Teller: the product of all frequency ratios follows from masses and moments of inertia."""
    numbers, masses, *tensors = _derivatives("formaldehyde")
    heavy = np.where(numbers == 1, 2.014, masses)

    def inertia(weights: np.ndarray) -> float:
        x = tensors[0] - weights @ tensors[0] / weights.sum()
        return float(np.linalg.det(np.einsum("i,ij,ij->", weights, x, x) * np.eye(3) - (x.T * weights) @ x))

    found = [
        correction.corrected_lines(correction.force_field(numbers, m, *tensors), Correction()).frequencies
        for m in (masses, heavy)
    ]
    expected = (
        np.prod(masses / heavy) ** 1.5
        * (heavy.sum() / masses.sum()) ** 1.5
        * np.sqrt(inertia(heavy) / inertia(masses))
    )
    assert np.prod(found[1] / found[0]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", _SHAPES)
def test_rows_are_derivatives_of_the_coordinates(name: str) -> None:
    """Every row is blind to translation and rotation, as a derivative of an internal coordinate must be."""
    numbers, _, positions = _bohr(name)
    rows, classes = correction.primitive_coordinates(numbers, positions)
    assert len(rows) == len(classes) > 0
    external = vibrations.external_motions(positions, np.ones(len(numbers)))
    assert np.abs(rows @ external).max() < 1e-9


def _angle(x: np.ndarray) -> float:
    u, v = x[1] - x[0], x[2] - x[0]
    return float(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))


def _dihedral(x: np.ndarray, i: int, j: int, k: int, m: int) -> float:
    w = x[k] - x[j]
    left, right = np.cross(x[i] - x[j], w), np.cross(x[m] - x[k], w)
    return float(np.arctan2(np.cross(left, right) @ w / np.linalg.norm(w), left @ right))


def test_bends_and_torsions_against_finite_differences() -> None:
    def slope(function: object, x: np.ndarray) -> np.ndarray:
        out = np.zeros(x.size)
        for n in range(x.size):
            step = np.zeros(x.size)
            step[n] = 1e-5
            plus, minus = (x + s * step.reshape(x.shape) for s in (1, -1))
            out[n] = (function(plus) - function(minus)) / 2e-5  # type: ignore[operator]
        return out

    numbers, _, positions = _bohr("water")
    rows, classes = correction.primitive_coordinates(numbers, positions)
    assert classes == ["O-H", "O-H", "H-O-H"]
    assert rows[2] == pytest.approx(slope(_angle, positions), abs=1e-8)

    numbers, _, positions = _bohr("hydrogen peroxide")
    rows, classes = correction.primitive_coordinates(numbers, positions)
    torsion = rows[classes.index("torsion X-X")]
    expected = slope(lambda x: _dihedral(x, 2, 0, 1, 3), positions)
    assert torsion == pytest.approx(expected * np.sign(expected @ torsion), abs=1e-7)


def test_out_of_plane_row_is_the_height_above_the_neighbours() -> None:
    numbers, _, positions = _bohr("formaldehyde")
    positions = positions + np.array([[0.0, 0.3, 0.0]] + [[0.0, 0.0, 0.0]] * 3)
    rows, classes = correction.primitive_coordinates(numbers, positions)
    plane = next(row for row, name in zip(rows, classes, strict=True) if name.startswith("plane"))

    def height(x: np.ndarray) -> float:
        normal = np.cross(x[2] - x[1], x[3] - x[1])
        return float(normal @ (x[0] - x[1]) / np.linalg.norm(normal))

    expected = np.zeros(positions.size)
    for n in range(positions.size):
        step = np.zeros(positions.size)
        step[n] = 1e-5
        expected[n] = (
            height(positions + step.reshape(-1, 3)) - height(positions - step.reshape(-1, 3))
        ) / 2e-5
    assert plane == pytest.approx(expected * np.sign(expected @ plane), abs=1e-7)


def test_classes_of_known_molecules() -> None:
    def names(molecule: str) -> set[str]:
        return set(correction.primitive_coordinates(*_bohr(molecule)[::2])[1])

    assert {"C#N", "C4-C", "C4-H", "linear", "H-C4-H", "H-C4-X"} == names("acetonitrile")
    assert {"C=O ketone", "C3-H", "H-C3-H", "H-C3-X", "plane CH"} == names("formaldehyde")
    assert {"C=O ketone", "linear"} != names("acetonitrile")
    assert "C#C" in names("butyne")


def test_what_no_coordinate_describes_is_kept() -> None:
    assert correction.REST in correction.force_field(*_derivatives("two waters")).classes
    # Two methyl groups of a straight chain turn against each other; no torsion spans the chain.
    assert correction.force_field(*_derivatives("butyne")).classes.count(correction.REST) == 1


def _model_and_index(molecule: ForceField) -> tuple[train_correction.Model, np.ndarray]:
    model = train_correction.Model(molecule.classes)
    return model, np.array([model.classes.index(c) if c in model.classes else -1 for c in molecule.classes])


@pytest.mark.parametrize("technique", fitness.TECHNIQUES)
def test_training_sees_the_spectrum_that_is_shipped(technique: str) -> None:
    molecule = correction.force_field(*_derivatives("hydrogen peroxide"))
    model, index = _model_and_index(molecule)
    vector = model.start() + 0.1 * np.random.default_rng(0).normal(size=model.size)
    grid = fitness.GRIDS[technique]
    trained = train_correction.forward(model, molecule, index, vector, technique, grid).spectrum
    learned = model.correction(vector)
    lines = correction.corrected_lines(molecule, learned)
    shipped = correction.corrected_spectrum(lines, learned, technique, grid)
    assert shipped == pytest.approx(trained / trained.max(), rel=1e-6)


@pytest.mark.parametrize("technique", fitness.TECHNIQUES)
def test_gradient_against_finite_differences(technique: str) -> None:
    molecule = correction.force_field(*_derivatives("hydrogen peroxide"))
    model, index = _model_and_index(molecule)
    generator = np.random.default_rng(0)
    vector = model.start() + 0.1 * generator.normal(size=model.size)
    grid = fitness.GRIDS[technique]
    slope = generator.normal(size=len(grid))

    def loss(at: np.ndarray) -> float:
        return float(train_correction.forward(model, molecule, index, at, technique, grid).spectrum @ slope)

    done = train_correction.forward(model, molecule, index, vector, technique, grid)
    found = train_correction.backward(model, molecule, index, vector, technique, grid, done, slope)
    expected = np.zeros(model.size)
    for n in range(model.size):
        step = np.zeros(model.size)
        step[n] = 1e-5
        expected[n] = (loss(vector + step) - loss(vector - step)) / 2e-5
    assert found == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())
    assert np.count_nonzero(found) > 5


def test_score_is_a_correlation_and_its_gradient_is_right() -> None:
    generator = np.random.default_rng(3)
    measured = generator.uniform(0, 1, (3, 1024))
    measured[1, :300] = np.nan
    scorer = fitness.Scorer(list(measured), "raman", stride=4)
    spectra = generator.uniform(0.1, 1, (2, 256))
    weights = np.where(fitness.GRIDS["raman"][::4] > 2000, 0.3, 1.0)[75:]
    x, y = measured[1, ::4][75:] ** 0.4, spectra[0, 75:] ** 0.4
    covariance = np.cov(x, y, aweights=weights, ddof=0)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert scorer(spectra)[1, 0] == pytest.approx(expected)
    by_score = generator.normal(size=(3, 2))
    gradient = scorer.backward(spectra, by_score)
    for place in ((0, 10), (1, 200)):
        moved = spectra.copy()
        moved[place] += 1e-6
        numeric = np.sum(by_score * (scorer(moved) - scorer(spectra))) / 1e-6
        assert gradient[place] == pytest.approx(numeric, rel=1e-3, abs=1e-7)


def _toy() -> tuple[fitness.Candidates, list[fitness.Query]]:
    """Three molecules, and "measured" spectra of two, made with stiffer O-H bonds than computed."""
    names = ("water", "hydrogen peroxide", "formaldehyde")
    molecules = tuple(correction.force_field(*_derivatives(name)) for name in names)
    truth = Correction(force={"O-H": 1.08, "H-O-H": 0.9}, default=0.98**2)
    queries = []
    for name, molecule in zip(names[:2], molecules, strict=False):
        lines = correction.corrected_lines(molecule, truth)
        values = correction.corrected_spectrum(lines, truth, "infrared", fitness.GRIDS["infrared"])
        queries.append(
            fitness.Query(f"{name}.txt", f"{name.upper()}-X-N", "infrared", "gas", "neutral", values)
        )
    keys = tuple(f"{name.upper()}-X-N" for name in names)
    return fitness.Candidates(("neutral",) * 3, keys, molecules), queries


def test_training_finds_what_was_hidden() -> None:
    candidates, queries = _toy()
    settings = train_correction.Settings(steps=60, rate=0.05, prior=1e-5, refresh=10, negatives=3)
    trainer = train_correction.Trainer(candidates, queries, settings)
    learned = trainer.model.correction(trainer.train(queries), [q.inchikey for q in queries])
    assert learned.force["O-H"] == pytest.approx(1.08, abs=0.02)
    scorer = fitness.Scorer([q.values for q in queries], "infrared")
    before = scorer(fitness.spectra_of(candidates, correction.plain(0.98), "infrared"))
    after = scorer(fitness.spectra_of(candidates, learned, "infrared"))
    assert after[0, 0] > before[0, 0] + 0.05
    assert fitness.ranks(after, candidates, queries)[0].tolist() == [1, 1]


def test_training_is_repeatable() -> None:
    candidates, queries = _toy()
    trainer = train_correction.Trainer(candidates, queries, train_correction.Settings(steps=3))
    assert np.array_equal(trainer.train(queries), trainer.train(queries))


def test_ranks_count_substances_not_molecules() -> None:
    molecule = correction.force_field(*_derivatives("water"))
    candidates = fitness.Candidates(
        ("neutral", "protonated", "neutral", "neutral"),
        ("A-X-N", "A-X-N", "B-X-N", "B-Y-N"),
        (molecule,) * 4,
    )
    query = fitness.Query("f", "A-Z-N", "raman", "solid", "protonated", np.ones(1024))
    rank, score = fitness.ranks(np.array([[0.1, 0.5, 0.7, 0.6]]), candidates, [query])
    assert rank.tolist() == [2]
    assert score.tolist() == [0.5]
    assert candidates.of("A", "protonated").tolist() == [1, 0]


def test_a_fold_that_saw_its_own_substance_is_refused() -> None:
    candidates, queries = _toy()
    leaky = Correction(trained_on=(queries[0].inchikey,))
    with pytest.raises(ValueError, match="its own fold"):
        fitness.cross_validated_scores(candidates, queries, "infrared", (leaky,) * fitness.FOLDS)


def test_folds_are_fixed_by_connectivity() -> None:
    assert fitness.fold("KWTSXDURSIMDCE-UHFFFAOYSA-N") == fitness.fold("KWTSXDURSIMDCE-QMMMGPOBSA-N")
    letters = [f"{a}{b}CDEFGHIJKLMN" for a in ascii_uppercase for b in ascii_uppercase]
    assert np.bincount([fitness.fold(key) for key in letters], minlength=5).min() > 100


def test_file_keeps_everything_and_refuses_another_format(tmp_path: Path) -> None:
    learned = Correction({"C4-H": 0.95}, 0.96, Profile({"C4-H": 1.2}, 25.0, 0.7), Profile(), ("A-B-C",))
    path = tmp_path / "c.json"
    correction.save(path, learned, (replace(learned, default=0.9),), {"by": "test"})
    everything, folds = correction.load(path)
    assert everything == learned
    assert folds[0].default == 0.9
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ValueError, match="format 2"):
        correction.load(path)


def test_impossible_factors_are_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Correction(force={"C4-H": -1.0})
    with pytest.raises(ValueError, match="positive width"):
        Profile(fwhm_cm=0.0)


def test_shipped_correction_is_sound() -> None:
    everything, folds = correction.load(fitness.CORRECTION)
    assert len(folds) == fitness.FOLDS
    for number, learned in enumerate(folds):
        assert learned.trained_on
        assert number not in {fitness.fold(key) for key in learned.trained_on}
        assert set(learned.trained_on) < set(everything.trained_on)
    # Known physics of GFN2-xTB: single carbon bonds too stiff, by about a sixth.
    assert 0.7 < everything.force["C4-C4"] < 0.92
    assert all(0.6 < factor < 1.5 for factor in everything.force.values())


def test_query_table_is_complete() -> None:
    import csv

    with fitness.QUERIES.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) > 250
    assert {row["technique"] for row in rows} == set(fitness.TECHNIQUES)
    assert {row["form"] for row in rows} <= {"neutral", "protonated"}
    assert {row["state"] for row in rows} <= {"gas", "liquid", "solution", "solid"}
    assert all(len(row["inchikey"]) == 27 for row in rows)
    assert len({(row["file"], row["technique"]) for row in rows}) == len(rows)
