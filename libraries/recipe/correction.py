"""Scaled quantum-mechanical force field: a few factors, learned on measured spectra, correct GFN2-xTB.

Force constants are taken to internal coordinates, every coordinate belongs to a class (aromatic C-C
stretch, H-C-H bend, ...), and ``F_ij`` becomes ``sqrt(s_i s_j) F_ij`` with one factor ``s`` per class.
Dipole and polarizability derivatives by internal coordinates get one factor per class each. Classes depend
on the geometry alone, so that ions, nitro groups and aromatic rings need no drawing. Plain numpy.

References
----------
.. [1] P. Pulay et al., J. Am. Chem. Soc. 105 (1983) 7037: scaled quantum-mechanical force fields.
.. [2] J. Baker, A. A. Jarzecki, P. Pulay, J. Phys. Chem. A 102 (1998) 1412: scaling primitive coordinates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import broaden
import numpy as np
import vibrations

FORMAT = 1
REST = "rest"
_LINEAR = np.cos(np.radians(172))
_TORSION_LIMIT = np.sin(np.radians(8))
#: Below this share of the largest singular value a direction is not described by the coordinates.
_DESCRIBED = 1e-3
_CM = vibrations._CM_PER_ROOT_EIGENVALUE
_KM = vibrations._KM_PER_MOL
_ANGSTROM2 = vibrations.BOHR_IN_ANGSTROM**2

# Covalent radii in angstrom: Cordero et al., Dalton Trans. (2008) 2832.
# fmt: off
_RADII = {
    1: 0.31, 3: 1.28, 5: 0.84, 6: 0.76, 7: 0.71, 8: 0.66, 9: 0.57, 11: 1.66, 13: 1.21, 14: 1.11, 15: 1.07,
    16: 1.05, 17: 1.02, 19: 2.03, 33: 1.19, 34: 1.20, 35: 1.20, 51: 1.39, 52: 1.38, 53: 1.39,
}
_SYMBOLS = {
    1: "H", 5: "B", 6: "C", 7: "N", 8: "O", 9: "F", 14: "Si", 15: "P", 16: "S", 17: "Cl", 33: "As", 34: "Se",
    35: "Br", 53: "I",
}
# fmt: on
_HALOGENS = {"F", "Cl", "Br", "I"}


class Skeleton:
    """Who is bonded to whom, from distances alone.

    Parameters
    ----------
    numbers : ndarray, shape (n,)
        Atomic numbers.
    positions : ndarray, shape (n, 3)
        In bohr.
    """

    def __init__(self, numbers: np.ndarray, positions: np.ndarray) -> None:
        self.numbers = numbers
        self.positions = positions
        self.symbols = [_SYMBOLS.get(int(z), "M") for z in numbers]
        radii = np.array([_RADII.get(int(z), 1.4) for z in numbers]) / vibrations.BOHR_IN_ANGSTROM
        self.distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
        close = self.distances < 1.25 * (radii[:, None] + radii[None])
        np.fill_diagonal(close, False)
        self.neighbours = [np.flatnonzero(row).tolist() for row in close]
        self.bonds = [(i, j) for i, row in enumerate(self.neighbours) for j in row if i < j]

    def angstrom(self, i: int, j: int) -> float:
        """Distance of two atoms in angstrom."""
        return float(self.distances[i, j] * vibrations.BOHR_IN_ANGSTROM)

    def terminal_oxygens(self, i: int) -> int:
        """Number of oxygens bonded to atom `i` and to nothing else."""
        return sum(self.symbols[k] == "O" and len(self.neighbours[k]) == 1 for k in self.neighbours[i])

    def valence(self, i: int) -> str:
        """Symbol and number of neighbours, such as ``C3``."""
        return f"{self.symbols[i]}{len(self.neighbours[i])}"


def _xh_class(skeleton: Skeleton, heavy: int) -> str:
    symbol = skeleton.symbols[heavy]
    if symbol == "C":
        return f"{skeleton.valence(heavy)}-H"
    if symbol == "N":
        return "N4-H" if len(skeleton.neighbours[heavy]) == 4 else "N-H"
    return f"{symbol}-H" if symbol in {"O", "S"} else "X-H"


def _cc_class(skeleton: Skeleton, i: int, j: int) -> str:
    low, high = sorted((len(skeleton.neighbours[i]), len(skeleton.neighbours[j])))
    if high == 4:
        return "C4-C4" if low == 4 else "C4-C"
    length = skeleton.angstrom(i, j)
    if length < 1.26:
        return "C#C"
    if length < 1.362:
        return "C=C"
    return "C:C" if length < 1.43 else "C3-C3"


def _cn_class(skeleton: Skeleton, c: int, n: int) -> str:
    length = skeleton.angstrom(c, n)
    if length < 1.21:
        return "C#N"
    if len(skeleton.neighbours[c]) == 4:
        return "C4-N4" if len(skeleton.neighbours[n]) == 4 else "C4-N"
    if len(skeleton.neighbours[n]) == 2:
        return "C:N" if length > 1.30 else "C=N"
    return "C3-N"


def _co_class(skeleton: Skeleton, c: int, o: int) -> str:
    if len(skeleton.neighbours[o]) > 1:
        return "C4-O" if len(skeleton.neighbours[c]) == 4 else "C3-O"
    if skeleton.terminal_oxygens(c) > 1:
        return "CO2-"
    others = {skeleton.symbols[k] for k in skeleton.neighbours[c] if k != o}
    if "N" in others:
        return "C=O amide"
    return "C=O ester" if "O" in others else "C=O ketone"


def _stretch_class(skeleton: Skeleton, i: int, j: int) -> str:
    if skeleton.numbers[i] > skeleton.numbers[j]:
        i, j = j, i
    pair = (skeleton.symbols[i], skeleton.symbols[j])
    if pair[0] == "H":
        return _xh_class(skeleton, j)
    if pair == ("C", "C"):
        return _cc_class(skeleton, i, j)
    if pair == ("C", "N"):
        return _cn_class(skeleton, i, j)
    if pair == ("C", "O"):
        return _co_class(skeleton, i, j)
    if pair[0] == "C" and pair[1] in _HALOGENS:
        return f"C-{pair[1]}"
    if pair == ("N", "O"):
        return "NO2" if skeleton.terminal_oxygens(i) > 1 else "N-O"
    if pair[0] == "O" and pair[1] in {"P", "S"}:
        return f"{pair[1]}=O" if len(skeleton.neighbours[i]) == 1 else f"{pair[1]}-O"
    if pair in {("N", "N"), ("C", "S"), ("C", "P")}:
        return "-".join(pair)
    return "X-X"


def _bend_class(skeleton: Skeleton, i: int, middle: int, k: int) -> str:
    ends = sorted("H" if skeleton.symbols[e] == "H" else "X" for e in (i, k))
    symbol = skeleton.symbols[middle]
    centre = skeleton.valence(middle) if symbol == "C" else symbol
    if symbol == "N" and len(skeleton.neighbours[middle]) == 4:
        centre = "N4"
    if symbol not in {"C", "N", "O", "S", "P"}:
        centre = "M"
    return f"{ends[0]}-{centre}-{ends[1]}"


def _torsion_class(skeleton: Skeleton, j: int, k: int) -> str:
    pair = sorted((skeleton.symbols[j], skeleton.symbols[k]))
    if pair == ["C", "C"]:
        return f"torsion {_cc_class(skeleton, j, k)}"
    if pair in (["C", "N"], ["C", "O"]):
        carbon = j if skeleton.symbols[j] == "C" else k
        return f"torsion C{'4' if len(skeleton.neighbours[carbon]) == 4 else '3'}-{pair[1]}"
    return "torsion X-X"


def _plane_class(skeleton: Skeleton, middle: int) -> str:
    if skeleton.symbols[middle] != "C":
        return "plane N" if skeleton.symbols[middle] == "N" else "plane X"
    if any(skeleton.symbols[k] == "H" for k in skeleton.neighbours[middle]):
        return "plane CH"
    return "plane C=O" if skeleton.terminal_oxygens(middle) else "plane C"


def _unit(vector: np.ndarray) -> tuple[np.ndarray, float]:
    length = float(np.linalg.norm(vector))
    return vector / length, length


def _bend_rows(x: np.ndarray, i: int, m: int, k: int) -> list[dict[int, np.ndarray]]:
    """One row for a bent angle, two perpendicular ones for a straight one."""
    (u, a), (v, b) = _unit(x[i] - x[m]), _unit(x[k] - x[m])
    cosine = float(np.clip(u @ v, -1, 1))
    if cosine > _LINEAR:
        sine = np.sqrt(1 - cosine**2)
        end, other = (cosine * u - v) / (a * sine), (cosine * v - u) / (b * sine)
        return [{i: end, m: -end - other, k: other}]
    axis = _unit(u - v)[0]
    first = _unit(np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))]))[0]
    return [{i: p / a, m: -p * (1 / a + 1 / b), k: p / b} for p in (first, np.cross(axis, first))]


def _torsion_row(x: np.ndarray, i: int, j: int, k: int, m: int) -> dict[int, np.ndarray] | None:
    (u, a), (w, b), (v, c) = _unit(x[i] - x[j]), _unit(x[k] - x[j]), _unit(x[m] - x[k])
    left, right = np.cross(u, w), np.cross(v, w)
    sin_left, sin_right = np.linalg.norm(left), np.linalg.norm(right)
    if min(sin_left, sin_right) < _TORSION_LIMIT:
        return None
    first, last = left / (a * sin_left**2), -right / (c * sin_right**2)
    to_first, to_last = a * (u @ w) / b, -c * (v @ w) / b
    return {
        i: first,
        j: (to_first - 1) * first - to_last * last,
        k: (to_last - 1) * last - to_first * first,
        m: last,
    }


def _plane_row(x: np.ndarray, middle: int, around: list[int]) -> dict[int, np.ndarray] | None:
    """Height of an atom above the plane of its three neighbours."""
    a, b, c = x[around]
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal)
    if area < 1e-3:
        return None
    normal = normal / area
    foot = x[middle] - (normal @ (x[middle] - a)) * normal
    weights = [float(normal @ np.cross(p - foot, q - foot)) / area for p, q in ((b, c), (c, a), (a, b))]
    return {middle: normal, **{k: -w * normal for k, w in zip(around, weights, strict=True)}}


def primitive_coordinates(numbers: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Stretches, bends, torsions and out-of-plane motions: Wilson's B matrix and the class of each row.

    Parameters
    ----------
    numbers : ndarray, shape (n,)
        Atomic numbers.
    positions : ndarray, shape (n, 3)
        In bohr.

    Returns
    -------
    rows : ndarray, shape (n_coordinates, 3n)
        Derivatives by the Cartesian coordinates, atomic units and radians; redundant.
    classes : list of str
    """
    skeleton = Skeleton(numbers, positions)
    found: list[tuple[str, dict[int, np.ndarray] | None]] = []
    for i, j in skeleton.bonds:
        along = _unit(positions[i] - positions[j])[0]
        found.append((_stretch_class(skeleton, i, j), {i: along, j: -along}))
    for m, around in enumerate(skeleton.neighbours):
        for i, k in combinations(around, 2):
            rows = _bend_rows(positions, i, m, k)
            name = "linear" if len(rows) == 2 else _bend_class(skeleton, i, m, k)
            found.extend((name, row) for row in rows)
        if len(around) == 3:
            found.append((_plane_class(skeleton, m), _plane_row(positions, m, around)))
    for j, k in skeleton.bonds:
        name = _torsion_class(skeleton, j, k)
        found.extend(
            (name, _torsion_row(positions, i, j, k, m))
            for i in skeleton.neighbours[j]
            for m in skeleton.neighbours[k]
            if i not in (k, m) and m != j
        )
    kept = [(name, row) for name, row in found if row is not None]
    matrix = np.zeros((len(kept), len(numbers), 3))
    for index, (_, row) in enumerate(kept):
        for atom, value in row.items():
            matrix[index, atom] += value
    return matrix.reshape(len(kept), -1), [name for name, _ in kept]


@dataclass(frozen=True)
class ForceField:
    """One molecule, ready to be scaled; in the space of its vibrations alone.

    Attributes
    ----------
    rows : ndarray, shape (n_coordinates, n_vibrations)
        Internal coordinates by mass-weighted vibrational coordinates.
    constants : ndarray, shape (n_coordinates, n_coordinates)
        Force constants.
    dipole : ndarray, shape (n_coordinates, 3)
    polarizability : ndarray, shape (n_coordinates, 6)
        Derivatives by the internal coordinates.
    classes : tuple of str
        Class of each coordinate.
    """

    rows: np.ndarray
    constants: np.ndarray
    dipole: np.ndarray
    polarizability: np.ndarray
    classes: tuple[str, ...]


def force_field(
    numbers: np.ndarray,
    masses: np.ndarray,
    positions: np.ndarray,
    hessian: np.ndarray,
    dipole: np.ndarray,
    polarizability: np.ndarray,
) -> ForceField:
    """Transform Cartesian derivatives (see :class:`vibrations.Derivatives`) to internal coordinates.

    The coordinates are redundant; of the many equivalent sets of constants the shortest is taken. Directions
    that no primitive coordinate describes (a linear chain's twist, two loose fragments) are added as
    coordinates of class ``rest``, so that nothing is lost on the way back.

    Parameters
    ----------
    numbers, masses : ndarray, shape (n,)
        Atomic numbers; masses in u.
    positions : ndarray, shape (n, 3)
        In bohr.
    hessian : ndarray, shape (3n, 3n)
    dipole : ndarray, shape (3n, 3)
    polarizability : ndarray, shape (3n, 6)
    """
    external = vibrations.external_motions(positions, masses)
    basis = np.linalg.svd(external, full_matrices=True)[0][:, external.shape[1] :]
    weighted = basis / np.repeat(np.sqrt(masses), 3)[:, None]
    cartesian, classes = primitive_coordinates(numbers, positions)
    rows = cartesian @ weighted
    _, strength, directions = np.linalg.svd(rows, full_matrices=True)
    strength = np.concatenate([strength, np.zeros(len(directions) - len(strength))])
    lost = directions[strength < _DESCRIBED * strength.max(initial=0.0)]
    rows = np.vstack([rows, lost])
    inverse = np.linalg.pinv(rows, rcond=1e-9)
    return ForceField(
        rows=rows,
        constants=inverse.T @ (weighted.T @ hessian @ weighted) @ inverse,
        dipole=inverse.T @ (weighted.T @ dipole),
        polarizability=inverse.T @ (weighted.T @ polarizability),
        classes=(*classes, *[REST] * len(lost)),
    )


@dataclass(frozen=True)
class Profile:
    """How the lines of one technique become a spectrum.

    Attributes
    ----------
    factors : mapping of str to float
        Factor of the dipole or polarizability derivative of each class; 1 where absent.
    fwhm_cm : float
        Full width at half maximum of every line.
    power : float
        Exponent of each line's strength; below 1 it lifts weak lines, whose strengths are the least certain.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    fwhm_cm: float = 30.0
    power: float = 0.8

    def __post_init__(self) -> None:
        if not (self.fwhm_cm > 0 and self.power > 0 and all(np.isfinite(v) for v in self.factors.values())):
            raise ValueError("a profile needs a positive width and power and finite factors")


@dataclass(frozen=True)
class Correction:
    """All that was learned.

    Attributes
    ----------
    force : mapping of str to float
        Factor of the force constants of each class.
    default : float
        Factor of classes that `force` does not name.
    raman, infrared : Profile
    trained_on : tuple of str
        InChIKeys of the substances whose measured spectra were used.
    """

    force: Mapping[str, float] = field(default_factory=dict)
    default: float = 1.0
    raman: Profile = field(default_factory=Profile)
    infrared: Profile = field(default_factory=Profile)
    trained_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(value > 0 for value in (self.default, *self.force.values())):
            raise ValueError("factors of force constants must be positive")

    def to_dict(self) -> dict[str, Any]:
        """Plain types, rounded to what matters."""

        def rounded(values: Mapping[str, float]) -> dict[str, float]:
            return {name: round(float(value), 5) for name, value in sorted(values.items())}

        def profile(of: Profile) -> dict[str, Any]:
            return {
                "factors": rounded(of.factors),
                "fwhm_cm": round(float(of.fwhm_cm), 3),
                "power": round(float(of.power), 5),
            }

        return {
            "force": rounded(self.force),
            "default": round(float(self.default), 5),
            "raman": profile(self.raman),
            "infrared": profile(self.infrared),
            "trained_on": list(self.trained_on),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Correction:
        """Undo :meth:`to_dict`."""
        return cls(
            force=data["force"],
            default=data["default"],
            raman=Profile(**data["raman"]),
            infrared=Profile(**data["infrared"]),
            trained_on=tuple(data["trained_on"]),
        )


def plain(frequency_factor: float, fwhm_cm: float = 30.0, power: float = 0.8) -> Correction:
    """No correction but one factor for all frequencies."""
    profile = Profile(fwhm_cm=fwhm_cm, power=power)
    return Correction(default=frequency_factor**2, raman=profile, infrared=profile)


def load(path: Path) -> tuple[Correction, tuple[Correction, ...]]:
    """Read a file of corrections: the one trained on everything, and one per fold of the cross-validation.

    Raises
    ------
    ValueError
        If the file has another format.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if data.get("format") != FORMAT:
        raise ValueError(
            f"{path.name} has format {data.get('format')}; this program reads {FORMAT}: update it"
        )
    return Correction.from_dict(data["correction"]), tuple(
        Correction.from_dict(fold) for fold in data["folds"]
    )


def save(path: Path, correction: Correction, folds: tuple[Correction, ...], notes: Mapping[str, Any]) -> None:
    """Write what :func:`load` reads, with `notes` on how it was made."""
    data = {
        "format": FORMAT,
        "notes": dict(notes),
        "correction": correction.to_dict(),
        "folds": [fold.to_dict() for fold in folds],
    }
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def hessian(molecule: ForceField, root_factors: np.ndarray) -> np.ndarray:
    """Scaled force constants in vibrational coordinates, from the square root of each coordinate's factor."""
    scaled = root_factors[:, None] * molecule.rows
    return scaled.T @ molecule.constants @ scaled


@dataclass(frozen=True)
class Lines:
    """Corrected lines, one entry per vibration, lowest first: cm-1, km/mol, angstrom**4/u."""

    frequencies: np.ndarray
    infrared: np.ndarray
    raman: np.ndarray


def strengths(derivatives: np.ndarray) -> np.ndarray:
    """Intensities (km/mol) of dipole derivatives (n, 3), activities (angstrom**4/u) of (n, 6)."""
    if derivatives.shape[1] == 3:
        return _KM * np.sum(derivatives**2, axis=1)
    return np.einsum("ki,ij,kj->k", derivatives, PLACZEK, derivatives)


def _placzek() -> np.ndarray:
    mean = np.zeros(6)
    mean[:3] = 1 / 3
    anisotropy = np.diag([1.0, 1.0, 1.0, 3.0, 3.0, 3.0])
    anisotropy[:3, :3] -= 0.5 * (1 - np.eye(3))
    return (45 * np.outer(mean, mean) + 7 * anisotropy) * _ANGSTROM2**2


#: Quadratic form of ``45 a'**2 + 7 g'**2`` on (xx, yy, zz, xy, xz, yz) in bohr**2/sqrt(u).
PLACZEK = _placzek()


def _of_classes(molecule: ForceField, factors: Mapping[str, float], default: float) -> np.ndarray:
    return np.array([factors.get(name, default) for name in molecule.classes])


def corrected_lines(molecule: ForceField, correction: Correction) -> Lines:
    """Vibrations of a molecule under a correction; negative frequencies stand for imaginary ones."""
    root = np.sqrt(_of_classes(molecule, correction.force, correction.default))
    values, modes = np.linalg.eigh(hessian(molecule, root))
    along = molecule.rows @ modes

    def strength(profile: Profile, derivatives: np.ndarray) -> np.ndarray:
        return strengths(along.T @ (_of_classes(molecule, profile.factors, 1.0)[:, None] * derivatives))

    return Lines(
        np.sign(values) * np.sqrt(np.abs(values)) * _CM,
        strength(correction.infrared, molecule.dipole),
        strength(correction.raman, molecule.polarizability),
    )


#: Softer modes are left out of spectra, cm-1: in a crystal or liquid they are no vibrations of one molecule,
#: while 1/v and Bose factors would let them drown everything else.
LOWEST_CM = 100.0


def corrected_spectrum(
    lines: Lines, correction: Correction, technique: str, grid: np.ndarray, laser_nm: float = 785.0
) -> np.ndarray:
    """Spectrum on `grid`, largest value 1: infrared absorbance, or Raman at `laser_nm`.

    Parameters
    ----------
    lines : Lines
        From :func:`corrected_lines`.
    correction : Correction
        The same.
    technique : {"raman", "infrared"}
    grid : ndarray, shape (n_grid,)
        cm-1.
    laser_nm : float
        For Raman.
    """
    profile = correction.raman if technique == "raman" else correction.infrared
    kept = lines.frequencies > LOWEST_CM
    frequencies = lines.frequencies[kept]
    if technique == "raman":
        areas = lines.raman[kept] * broaden.raman_factor(frequencies, laser_nm)
    else:
        areas = lines.infrared[kept]
    spectrum = broaden.broaden(frequencies, areas**profile.power, profile.fwhm_cm, grid)
    top = spectrum.max(initial=0.0)
    return spectrum / top if top > 0 else spectrum
