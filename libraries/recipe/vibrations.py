"""GFN2-xTB geometry, force constants, dipole and polarizability derivatives, and what follows from them.

All quantities are in atomic units (hartree, bohr, elementary charge) unless a name says otherwise.
Two halves: the first asks tblite for energies and gradients (:func:`compute`), the second is plain linear
algebra on the derivatives (:func:`sticks`) and needs neither tblite nor RDKit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

METHOD = "GFN2-xTB"

GRADIENT_LIMIT = 1e-4  # largest component, hartree/bohr
_ROUGH_LIMIT = 4e-4  # enough to rank conformers
_DISPLACEMENT = 0.005  # bohr; see the README for how steps and accuracies were chosen
_FIELD = 0.001  # atomic units
_ACCURACY_OPTIMISE = 0.1
_ACCURACY_DERIVATIVE = 0.01
_IMAGINARY_LIMIT = 10.0  # cm-1; below this a "negative" mode is rounding in a free rotor
_PUSHES = 3
_SOFTEST = 0.002  # hartree/bohr**2; softer first guesses overshoot

AMU_IN_ELECTRON_MASSES = 1822.888486209
BOHR_IN_ANGSTROM = 0.529177210903
#: sqrt(hartree / (bohr**2 u)) as a wavenumber.
_CM_PER_ROOT_EIGENVALUE = 219474.6313632 / np.sqrt(AMU_IN_ELECTRON_MASSES)
#: (e/sqrt(u))**2 as an integrated absorption coefficient in km/mol.
_KM_PER_MOL = 974.8801

#: Order of the six independent components of a symmetric 3x3 tensor.
COMPONENTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


class NotConvergedError(RuntimeError):
    """The geometry or the electronic structure did not converge."""


@dataclass(frozen=True)
class Point:
    """Energy, gradient (n, 3) and dipole moment (3,) at one geometry and field."""

    energy: float
    gradient: np.ndarray
    dipole: np.ndarray


class Surface:
    """The potential-energy surface of one molecule.

    Parameters
    ----------
    numbers : ndarray, shape (n,)
        Atomic numbers.
    charge, unpaired : int
        Net charge and number of unpaired electrons.
    solvent : str
        ALPB solvent, or an empty string for the gas phase.
    """

    def __init__(self, numbers: np.ndarray, charge: int = 0, unpaired: int = 0, solvent: str = "") -> None:
        self.numbers = numbers
        self._charge = float(charge)
        self._unpaired = unpaired
        self._solvent = solvent
        self._calculators: dict[float, Any] = {}
        self._restart: Any = None
        self.evaluations = 0

    def calculator(self, positions: np.ndarray, accuracy: float, field: np.ndarray | None) -> Any:
        """Make a silent tblite calculator."""
        from tblite.interface import Calculator

        calculator = Calculator(METHOD, self.numbers, positions, self._charge, self._unpaired)
        calculator.set("verbosity", 0)
        calculator.set("accuracy", accuracy)
        if self._solvent:
            calculator.add("alpb-solvation", self._solvent)
        if field is not None:
            # A list, because the binding turns nothing else into a C array.
            calculator.add("electric-field", [float(component) for component in field])
        return calculator

    def __call__(
        self, positions: np.ndarray, accuracy: float = _ACCURACY_DERIVATIVE, field: np.ndarray | None = None
    ) -> Point:
        """Evaluate at `positions` (n, 3), optionally under a uniform electric `field` (3,)."""
        from tblite.exceptions import TBLiteRuntimeError
        from tblite.interface import Result

        if field is None:
            if accuracy not in self._calculators:
                self._calculators[accuracy] = self.calculator(positions, accuracy, None)
            calculator = self._calculators[accuracy]
            calculator.update(positions)
        else:
            calculator = self.calculator(positions, accuracy, field)
        self.evaluations += 1
        try:
            # The density of the point before is the best guess there is, but a copy: a failed
            # cycle must not spoil the next one.
            result = calculator.singlepoint(Result(self._restart) if self._restart is not None else None)
        except TBLiteRuntimeError:
            try:
                result = calculator.singlepoint()
            except TBLiteRuntimeError as error:
                raise NotConvergedError(f"electronic structure: {str(error).strip()}") from error
        self._restart = result
        return Point(float(result.get("energy")), result.get("gradient"), result.get("dipole"))


@dataclass(frozen=True)
class Optimum:
    """A stationary point: positions (n, 3), the point there, curvature learnt (3n, 3n), steps used."""

    positions: np.ndarray
    point: Point
    curvature: np.ndarray
    steps: int

    @property
    def largest_gradient(self) -> float:
        """Largest component of the gradient."""
        return float(np.abs(self.point.gradient).max())


def optimise(
    surface: Callable[..., Point],
    positions: np.ndarray,
    hessian: np.ndarray,
    limit: float = GRADIENT_LIMIT,
    max_steps: int = 400,
) -> Optimum:
    """Minimise by quasi-Newton steps (BFGS) inside a trust radius.

    Parameters
    ----------
    surface : callable
        ``surface(positions, accuracy) -> Point``.
    positions : ndarray, shape (n, 3)
        Start.
    hessian : ndarray, shape (3n, 3n)
        First guess; its negative and vanishing eigenvalues are lifted.
    limit : float
        Largest gradient component accepted.
    max_steps : int
        Evaluations before giving up.

    Raises
    ------
    NotConvergedError
        If `limit` is not reached.
    """
    values, vectors = np.linalg.eigh(hessian)
    curvature = (vectors * np.clip(np.abs(values), _SOFTEST, None)) @ vectors.T
    radius = 0.3
    x = positions.ravel().copy()
    here = surface(x.reshape(-1, 3), _ACCURACY_OPTIMISE)
    for step in range(max_steps):
        gradient = here.gradient.ravel()
        if np.abs(gradient).max() <= limit:
            return Optimum(x.reshape(-1, 3), here, curvature, step)
        move = _trust_step(curvature, gradient, radius)
        predicted = gradient @ move + 0.5 * move @ curvature @ move
        there = surface((x + move).reshape(-1, 3), _ACCURACY_OPTIMISE)
        actual = there.energy - here.energy
        change = there.gradient.ravel() - gradient
        along = change @ move
        if along > 1e-8 * np.linalg.norm(change) * np.linalg.norm(move):
            pushed = curvature @ move
            curvature += np.outer(change, change) / along - np.outer(pushed, pushed) / (move @ pushed)
        length = np.linalg.norm(move)
        quality = actual / predicted
        # Close to the minimum the energy differences drown in rounding: there the gradient decides.
        rising = actual > 1e-7
        if rising or quality < 0.25:
            radius = max(0.5 * length, 2e-3) if rising else max(0.7 * radius, 2e-2)
        elif quality > 0.7 and length > 0.8 * radius:
            radius = min(2 * radius, 0.8)
        if not rising or length <= 2.1e-3:
            x, here = x + move, there
    raise NotConvergedError(
        f"geometry: largest gradient {np.abs(here.gradient).max():.1e} after {max_steps} steps; "
        f"allowed {limit:.0e}"
    )


def _trust_step(curvature: np.ndarray, gradient: np.ndarray, radius: float) -> np.ndarray:
    """Newton step shortened to `radius` by a level shift; `curvature` is positive definite."""
    values, vectors = np.linalg.eigh(curvature)
    projected = vectors.T @ gradient
    values = np.clip(values, 1e-3, None)
    if np.linalg.norm(projected / values) <= radius:
        return vectors @ (-projected / values)
    low, high = 0.0, np.linalg.norm(projected) / radius
    for _ in range(60):
        shift = 0.5 * (low + high)
        if np.linalg.norm(projected / (values + shift)) > radius:
            low = shift
        else:
            high = shift
    return vectors @ (-projected / (values + high))


@dataclass(frozen=True)
class Derivatives:
    """Everything a spectrum needs, at one geometry.

    Attributes
    ----------
    hessian : ndarray, shape (3n, 3n)
        Cartesian, not mass-weighted.
    dipole : ndarray, shape (3n, 3)
        Derivative of the dipole moment by each coordinate.
    polarizability : ndarray, shape (3n, 6)
        Derivative of the polarizability, components in the order of :data:`COMPONENTS`.
    asymmetry : float
        Largest difference between the two halves of the raw Hessian.
    dipole_mismatch : float
        Largest difference between dipole derivatives from displacements and from fields.
    """

    hessian: np.ndarray
    dipole: np.ndarray
    polarizability: np.ndarray
    asymmetry: float
    dipole_mismatch: float


def displacement_derivatives(surface: Surface, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Raw Hessian (3n, 3n) and dipole derivatives (3n, 3) by central differences over coordinates."""
    size = positions.size
    hessian = np.empty((size, size))
    dipole = np.empty((size, 3))
    for k in range(size):
        ends = []
        for sign in (1.0, -1.0):
            moved = positions.copy()
            moved.ravel()[k] += sign * _DISPLACEMENT
            ends.append(surface(moved))
        hessian[k] = (ends[0].gradient - ends[1].gradient).ravel() / (2 * _DISPLACEMENT)
        dipole[k] = (ends[0].dipole - ends[1].dipole) / (2 * _DISPLACEMENT)
    return hessian, dipole


def field_derivatives(surface: Surface, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dipole (3n, 3) and polarizability (3n, 6) derivatives from gradients under electric fields.

    The energy's third derivative, twice by the field and once by a coordinate, does not care about the
    order: the second field derivative of the *gradient* is minus the coordinate derivative of the
    polarizability. So 18 gradients at one geometry replace a finite-field calculation at 6n geometries.
    """
    h = _FIELD
    unit = h * np.eye(3)
    middle = surface(positions).gradient.ravel()

    def gradient(field: np.ndarray) -> np.ndarray:
        return surface(positions, field=field).gradient.ravel()

    dipole = np.empty((positions.size, 3))
    polarizability = np.empty((positions.size, 6))
    for i in range(3):
        plus, minus = gradient(unit[i]), gradient(-unit[i])
        dipole[:, i] = -(plus - minus) / (2 * h)
        polarizability[:, i] = -(plus - 2 * middle + minus) / h**2
    for column, (i, j) in enumerate(combinations(range(3), 2), start=3):
        same = gradient(unit[i] + unit[j]) + gradient(-unit[i] - unit[j])
        opposite = gradient(unit[i] - unit[j]) + gradient(unit[j] - unit[i])
        polarizability[:, column] = -(same - opposite) / (4 * h**2)
    return dipole, polarizability


@dataclass(frozen=True)
class Sticks:
    """Normal modes as lines; every array has one entry per vibration, lowest first.

    Attributes
    ----------
    frequencies : ndarray
        In cm-1; negative stands for imaginary.
    ir : ndarray
        Integrated absorption, km/mol.
    raman : ndarray
        Activity 45 a'**2 + 7 g'**2, angstrom**4/u.
    depolarisation : ndarray
        Ratio for plane-polarised light; nan where the activity vanishes.
    modes : ndarray, shape (3n, n_vibrations)
        Cartesian displacement per unit of the mass-weighted normal coordinate, 1/sqrt(u).
    """

    frequencies: np.ndarray
    ir: np.ndarray
    raman: np.ndarray
    depolarisation: np.ndarray
    modes: np.ndarray


def external_motions(positions: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Orthonormal mass-weighted translations and rotations, shape (3n, 6), or (3n, 5) if linear."""
    centred = positions - masses @ positions / masses.sum()
    columns = []
    for axis in np.eye(3):
        columns.append(np.tile(axis, (len(masses), 1)))
        columns.append(np.cross(axis, centred))
    raw = np.array([(column * np.sqrt(masses)[:, None]).ravel() for column in columns]).T
    left, strength, _ = np.linalg.svd(raw, full_matrices=False)
    # The rotation about its own axis moves no atom of a linear molecule.
    return left[:, strength > 1e-3 * strength[0]]


def sticks(
    positions: np.ndarray,
    masses: np.ndarray,
    hessian: np.ndarray,
    dipole: np.ndarray,
    polarizability: np.ndarray,
) -> Sticks:
    """Derive normal modes, IR intensities and Raman activities in the double-harmonic approximation.

    Parameters
    ----------
    positions : ndarray, shape (n, 3)
        In bohr.
    masses : ndarray, shape (n,)
        In u.
    hessian : ndarray, shape (3n, 3n)
        Symmetric, Cartesian.
    dipole : ndarray, shape (3n, 3)
        Dipole derivatives.
    polarizability : ndarray, shape (3n, 6)
        Polarizability derivatives.

    References
    ----------
    .. [1] G. Placzek, Handbuch der Radiologie VI/2 (1934) 205.
    """
    weight = np.repeat(1 / np.sqrt(masses), 3)
    external = external_motions(positions, masses)
    # A basis of the vibrations alone: exact, and no zero modes to be told apart from soft ones.
    basis = np.linalg.svd(external, full_matrices=True)[0][:, external.shape[1] :]
    values, vectors = np.linalg.eigh(basis.T @ (hessian * np.outer(weight, weight)) @ basis)
    modes = weight[:, None] * (basis @ vectors)
    frequencies = np.sign(values) * np.sqrt(np.abs(values)) * _CM_PER_ROOT_EIGENVALUE
    ir = _KM_PER_MOL * np.sum((modes.T @ dipole) ** 2, axis=1)
    xx, yy, zz, xy, xz, yz = (modes.T @ polarizability).T * BOHR_IN_ANGSTROM**2
    mean_squared = ((xx + yy + zz) / 3) ** 2
    anisotropy_squared = 0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3 * (
        xy**2 + xz**2 + yz**2
    )
    raman = 45 * mean_squared + 7 * anisotropy_squared
    total = 45 * mean_squared + 4 * anisotropy_squared
    depolarisation = np.full(len(total), np.nan)
    np.divide(3 * anisotropy_squared, total, out=depolarisation, where=total > 1e-9)
    return Sticks(frequencies, ir, raman, depolarisation, modes)


@dataclass(frozen=True)
class Outcome:
    """The result of :func:`compute`."""

    optimum: Optimum
    derivatives: Derivatives
    sticks: Sticks
    conformer_energies: tuple[float, ...]
    pushes: int
    evaluations: int

    @property
    def imaginary(self) -> int:
        """Imaginary modes beyond rounding."""
        return int(np.sum(self.sticks.frequencies < -_IMAGINARY_LIMIT))


def compute(
    surface: Surface,
    starts: list[np.ndarray],
    masses: np.ndarray,
    guess: Callable[[np.ndarray], np.ndarray],
) -> Outcome:
    """Optimise, differentiate, and leave saddle points.

    Parameters
    ----------
    surface : Surface
        Where energies and gradients come from.
    starts : list of ndarray, shape (n, 3)
        Conformers, in bohr.
    masses : ndarray, shape (n,)
        In u.
    guess : callable
        ``guess(positions)`` gives the optimiser's first Hessian.

    Raises
    ------
    NotConvergedError
        If no conformer converges, or the chosen one not tightly.
    """
    optimum, energies = _lowest(surface, starts, guess)
    hessian = optimum.curvature
    for push in range(_PUSHES + 1):
        optimum = optimise(surface, optimum.positions, hessian)
        raw, dipole = displacement_derivatives(surface, optimum.positions)
        hessian = 0.5 * (raw + raw.T)
        probe = sticks(optimum.positions, masses, hessian, dipole, np.zeros((hessian.shape[0], 6)))
        if probe.frequencies.size == 0 or probe.frequencies[0] >= -_IMAGINARY_LIMIT or push == _PUSHES:
            break
        optimum = _pushed(surface, optimum, probe.modes[:, 0])
    from_field, polarizability = field_derivatives(surface, optimum.positions)
    derivatives = Derivatives(
        hessian,
        dipole,
        polarizability,
        float(np.abs(raw - raw.T).max()),
        float(np.abs(from_field - dipole).max()),
    )
    final = sticks(optimum.positions, masses, hessian, dipole, polarizability)
    return Outcome(optimum, derivatives, final, tuple(energies), push, surface.evaluations)


def _lowest(
    surface: Surface, starts: list[np.ndarray], guess: Callable[[np.ndarray], np.ndarray]
) -> tuple[Optimum, list[float]]:
    found: list[Optimum] = []
    problem: NotConvergedError | None = None
    for start in starts:
        try:
            found.append(optimise(surface, start, guess(start), _ROUGH_LIMIT, max_steps=200))
        except NotConvergedError as error:
            problem = error
    if not found:
        raise NotConvergedError(f"no conformer of {len(starts)} converged; last: {problem}")
    return min(found, key=lambda o: o.point.energy), [o.point.energy for o in found]


def _pushed(surface: Surface, optimum: Optimum, mode: np.ndarray) -> Optimum:
    """Step off a saddle point along `mode`, to the lower side."""
    direction = mode.reshape(-1, 3)
    # 0.3 bohr for the atom that moves most: clear of the ridge, short of the next bond.
    direction = direction * (0.3 / np.linalg.norm(direction, axis=1).max())
    sides = [optimum.positions + direction, optimum.positions - direction]
    points = [surface(side) for side in sides]
    best = int(points[1].energy < points[0].energy)
    return Optimum(sides[best], points[best], optimum.curvature, 0)
