"""Learn the correction of :mod:`correction` on measured spectra, by gradient descent on a retrieval loss.

``python train_correction.py --packed DIR [--packed DIR2] --data MEASURED --out correction.json`` trains once
on everything and once per fold of the cross-validation, substances of the fold left out. Plain numpy: the
gradient is written out (:func:`backward`), because differentiating through an eigenvalue problem needs no
more than first-order perturbation theory.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import broaden
import correction
import fitness
import numpy as np

_START_FACTOR = 0.98
_LASER_NM = 785.0


@dataclass(frozen=True)
class Settings:
    """What is not learned.

    Attributes
    ----------
    steps : int
        Of gradient descent (Adam).
    rate : float
        Largest step, in logarithms of factors; falls to a tenth on a cosine.
    temperature : float
        Of the softmax over candidates, in units of the score.
    alignment : float
        Weight of ``1 - score of the right candidate`` beside the retrieval loss.
    force_spread, strength_spread, profile_spread : float
        Standard deviations of the Gaussian priors on logarithms of factors, widths and powers.
    prior : float
        Weight of the priors against the mean loss of a query.
    refresh : int
        Steps after which all candidates are computed again; between, only those that matter are.
    negatives : int
        Wrong candidates that are moved in each step.
    stride : int
        Use every so many points of the grids.
    """

    steps: int = 90
    rate: float = 0.03
    temperature: float = 0.05
    alignment: float = 4.0
    force_spread: float = 0.10
    strength_spread: float = 0.40
    profile_spread: float = 0.5
    prior: float = 0.01
    refresh: int = 15
    negatives: int = 60
    stride: int = 2


class Model:
    """Parameters as one vector of logarithms, and their meaning.

    Force factors come first, then the factors of both techniques, then width and power of both.
    """

    def __init__(self, classes: Iterable[str]) -> None:
        self.classes = sorted(set(classes) - {correction.REST})
        n = len(self.classes)
        self.size = 3 * n + 4
        self.force = slice(0, n)
        self.strength = {"raman": slice(n, 2 * n), "infrared": slice(2 * n, 3 * n)}
        self.width = {"raman": 3 * n, "infrared": 3 * n + 1}
        self.power = {"raman": 3 * n + 2, "infrared": 3 * n + 3}

    def start(self) -> np.ndarray:
        """One factor for all frequencies; nothing else."""
        vector = np.zeros(self.size)
        vector[self.force] = 2 * np.log(_START_FACTOR)
        for technique in fitness.TECHNIQUES:
            vector[self.width[technique]] = np.log(30.0)
            vector[self.power[technique]] = np.log(0.8)
        return vector

    def spreads(self, settings: Settings) -> np.ndarray:
        """Standard deviation of the prior of each parameter."""
        spread = np.full(self.size, settings.strength_spread)
        spread[self.force] = settings.force_spread
        spread[3 * len(self.classes) :] = settings.profile_spread
        return spread

    def correction(self, vector: np.ndarray, trained_on: Iterable[str] = ()) -> correction.Correction:
        """What a parameter vector stands for."""

        def named(part: slice) -> dict[str, float]:
            return dict(zip(self.classes, np.exp(vector[part]).tolist(), strict=True))

        profiles = {
            technique: correction.Profile(
                named(self.strength[technique]),
                float(np.exp(vector[self.width[technique]])),
                float(np.exp(vector[self.power[technique]])),
            )
            for technique in fitness.TECHNIQUES
        }
        return correction.Correction(
            force=named(self.force),
            default=_START_FACTOR**2,
            trained_on=tuple(sorted(trained_on)),
            **profiles,
        )


@dataclass(frozen=True)
class Pass:
    """What the forward pass of one molecule and technique leaves behind for the backward pass."""

    spectrum: np.ndarray
    frequencies: np.ndarray
    modes: np.ndarray
    along: np.ndarray
    root: np.ndarray
    factors: np.ndarray
    modal: np.ndarray
    strengths: np.ndarray
    areas: np.ndarray
    kept: np.ndarray
    shapes: np.ndarray


def forward(
    model: Model,
    molecule: correction.ForceField,
    index: np.ndarray,
    vector: np.ndarray,
    technique: str,
    grid: np.ndarray,
) -> Pass:
    """Spectrum of one molecule.

    Parameters
    ----------
    model : Model
    molecule : correction.ForceField
    index : ndarray of int, shape (n_coordinates,)
        Class of each coordinate, -1 for classes that are not learned.
    vector : ndarray
        Parameters.
    technique : {"raman", "infrared"}
    grid : ndarray
        cm-1.
    """
    learned = index >= 0
    root = np.where(learned, np.exp(0.5 * vector[model.force][index]), _START_FACTOR)
    factors = np.where(learned, np.exp(vector[model.strength[technique]][index]), 1.0)
    values, modes = np.linalg.eigh(correction.hessian(molecule, root))
    along = molecule.rows @ modes
    frequencies = np.sign(values) * np.sqrt(np.abs(values)) * correction._CM
    kept = frequencies > correction.LOWEST_CM
    source = molecule.dipole if technique == "infrared" else molecule.polarizability
    modal = along.T @ (factors[:, None] * source)
    strengths = correction.strengths(modal)
    if technique == "raman":
        strengths = strengths * broaden.raman_factor(frequencies, _LASER_NM)
    # A forbidden line has no logarithm; this floor is far below anything visible.
    strengths = np.maximum(strengths, 1e-9 * strengths.max(initial=1e-30))
    areas = strengths ** np.exp(vector[model.power[technique]])
    width = np.exp(vector[model.width[technique]])
    shapes = broaden.line_shapes(frequencies[kept], np.full(kept.sum(), width), grid)
    return Pass(
        areas[kept] @ shapes, frequencies, modes, along, root, factors, modal, strengths, areas, kept, shapes
    )


def backward(
    model: Model,
    molecule: correction.ForceField,
    index: np.ndarray,
    vector: np.ndarray,
    technique: str,
    grid: np.ndarray,
    done: Pass,
    slope: np.ndarray,
) -> np.ndarray:
    """Gradient of a loss by the parameters, from its gradient `slope` by the spectrum.

    Modes respond by first-order perturbation theory; close to a degeneracy their mixing is damped, which
    does not matter because the sum over the degenerate lines hardly depends on it.
    """
    gradient = np.zeros(model.size)
    kept = done.kept
    half = 0.5 * np.exp(vector[model.width[technique]])
    power = np.exp(vector[model.power[technique]])
    offset = grid - done.frequencies[kept][:, None]
    weighted = done.shapes * slope
    by_area = np.zeros(len(done.areas))
    by_area[kept] = weighted.sum(axis=1)
    per_shape = done.shapes * (np.pi / half)  # one over the squared distance, softened
    by_frequency = np.zeros(len(done.areas))
    by_frequency[kept] = done.areas[kept] * np.einsum("kg,kg,kg->k", weighted, 2 * offset, per_shape)
    by_log_half = done.areas[kept] @ np.einsum("kg,kg->k", weighted, 1 - 2 * half**2 * per_shape)
    gradient[model.width[technique]] = by_log_half
    by_log_area = by_area * done.areas
    gradient[model.power[technique]] = power * np.sum(by_log_area * np.log(done.strengths))
    by_log_strength = power * by_log_area
    if technique == "raman":
        by_frequency += by_log_strength * broaden.raman_factor_slope(done.frequencies, _LASER_NM)
        by_modal = 2 * done.modal @ correction.PLACZEK
    else:
        by_modal = 2 * correction._KM * done.modal
    plain_strength = np.maximum(correction.strengths(done.modal), 1e-30)
    by_modal *= (by_log_strength / plain_strength)[:, None]
    source = molecule.dipole if technique == "infrared" else molecule.polarizability
    scaled = done.factors[:, None] * source
    learned = index >= 0
    by_factor = np.einsum("ik,kc,ic->i", done.along, by_modal, source) * done.factors
    np.add.at(gradient[model.strength[technique]], index[learned], by_factor[learned])

    values = np.sign(done.frequencies) * (done.frequencies / correction._CM) ** 2
    by_value = np.where(kept, by_frequency * correction._CM / (2 * np.sqrt(np.maximum(values, 1e-12))), 0.0)
    mixing = (done.along.T @ scaled) @ by_modal.T  # V.T @ dL/dV
    apart = values[None, :] - values[:, None]
    damped = apart / (apart**2 + (1e-5 * np.abs(values).max()) ** 2)
    inner = np.diag(by_value) + damped * mixing
    inner = 0.5 * (inner + inner.T)
    by_constant = (done.along @ inner @ done.along.T) * molecule.constants
    by_force = done.root * (by_constant @ done.root)
    np.add.at(gradient[model.force], index[learned], by_force[learned])
    return gradient


@dataclass(frozen=True)
class Loss:
    """Value of the retrieval loss, its gradient by the candidates' spectra, and the scores."""

    value: float
    slopes: np.ndarray
    scores: np.ndarray


def retrieval_loss(
    scorer: fitness.Scorer, spectra: np.ndarray, right: list[np.ndarray], settings: Settings
) -> Loss:
    """Cross-entropy of finding the right candidate, plus its distance.

    Parameters
    ----------
    scorer : fitness.Scorer
        Of the queries.
    spectra : ndarray, shape (n_candidates, n_grid)
    right : list of ndarray of int
        Columns of each query's substance; the first one is aligned, the others are no rivals.
    settings : Settings
    """
    scores = scorer(spectra)
    logits = scores / settings.temperature
    for row, own in enumerate(right):
        logits[row, own[1:]] = -np.inf
    logits -= logits.max(axis=1, keepdims=True)
    share = np.exp(logits)
    share /= share.sum(axis=1, keepdims=True)
    rows, first = np.arange(len(right)), np.array([own[0] for own in right])
    n = len(right)
    value = float(np.mean(-np.log(share[rows, first]) + settings.alignment * (1 - scores[rows, first])))
    by_score = share / settings.temperature
    by_score[rows, first] -= 1 / settings.temperature + settings.alignment
    return Loss(value, scorer.backward(spectra, by_score / n), scores)


class Trainer:
    """Everything that stays the same between trainings."""

    def __init__(
        self, candidates: fitness.Candidates, queries: list[fitness.Query], settings: Settings
    ) -> None:
        self.candidates, self.settings = candidates, settings
        self.queries = [query for query in queries if len(candidates.of(query.skeleton))]
        self.model = Model(name for molecule in candidates.molecules for name in molecule.classes)
        number = {name: i for i, name in enumerate(self.model.classes)}
        self.index = [np.array([number.get(c, -1) for c in m.classes]) for m in candidates.molecules]
        self.grids = {t: fitness.GRIDS[t][:: settings.stride] for t in fitness.TECHNIQUES}

    def _forward(self, number: int, vector: np.ndarray, technique: str) -> Pass:
        molecule = self.candidates.molecules[number]
        return forward(self.model, molecule, self.index[number], vector, technique, self.grids[technique])

    def _worth_moving(self, loss: Loss, table: np.ndarray, right: list[np.ndarray]) -> list[int]:
        """Right candidates, and the wrong ones that the loss depends on most."""
        own = {int(columns[0]) for columns in right}
        weight = np.abs(loss.slopes * table).sum(axis=1)
        rivals = [int(number) for number in np.argsort(-weight) if int(number) not in own]
        return sorted(own) + rivals[: self.settings.negatives]

    def train(self, queries: list[fitness.Query]) -> np.ndarray:
        """Parameters learned on `queries`; says how it goes on standard error."""
        settings, model = self.settings, self.model
        start = model.start()
        vector = start.copy()
        spread = model.spreads(settings)
        first, second = np.zeros(model.size), np.zeros(model.size)
        jobs = {}
        for technique in fitness.TECHNIQUES:
            own = [query for query in queries if query.technique == technique]
            if own:
                scorer = fitness.Scorer([query.values for query in own], technique, settings.stride)
                jobs[technique] = (scorer, [self.candidates.of(q.skeleton, q.form) for q in own])
        spectra = {t: np.zeros((len(self.candidates.molecules), len(self.grids[t]))) for t in jobs}
        moved: dict[str, list[int]] = {}
        for step in range(settings.steps):
            gradient = settings.prior * (vector - start) / spread**2
            total = 0.5 * settings.prior * float(np.sum(((vector - start) / spread) ** 2))
            for technique, (scorer, right) in jobs.items():
                table = spectra[technique]
                if step % settings.refresh == 0:
                    for number in range(len(table)):
                        table[number] = self._forward(number, vector, technique).spectrum
                    moved[technique] = self._worth_moving(
                        retrieval_loss(scorer, table, right, settings), table, right
                    )
                passes = {number: self._forward(number, vector, technique) for number in moved[technique]}
                for number, done in passes.items():
                    table[number] = done.spectrum
                loss = retrieval_loss(scorer, table, right, settings)
                total += loss.value
                for number, done in passes.items():
                    gradient += backward(
                        model,
                        self.candidates.molecules[number],
                        self.index[number],
                        vector,
                        technique,
                        self.grids[technique],
                        done,
                        loss.slopes[number],
                    )
            first = 0.9 * first + 0.1 * gradient
            second = 0.99 * second + 0.01 * gradient**2
            fade = 0.55 + 0.45 * np.cos(np.pi * step / settings.steps)
            corrected = (first / (1 - 0.9 ** (step + 1))) / (
                np.sqrt(second / (1 - 0.99 ** (step + 1))) + 1e-8
            )
            vector = vector - settings.rate * fade * corrected
            if step % settings.refresh == 0 or step == settings.steps - 1:
                print(f"  step {step}: loss {total:.3f}", file=sys.stderr, flush=True)
        return vector


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    fitness.add_arguments(parser)
    parser.add_argument("--out", type=Path, default=fitness.CORRECTION, help="file to write")
    parser.add_argument("--steps", type=int, default=Settings.steps, help="of gradient descent")
    parser.add_argument("--prior", type=float, default=Settings.prior, help="weight of the priors")
    arguments = parser.parse_args()
    began = time.process_time()
    settings = Settings(steps=arguments.steps, prior=arguments.prior)
    candidates = fitness.Candidates.read(arguments.packed)
    queries = fitness.load_queries(arguments.data, skeletons=candidates.skeletons)
    trainer = Trainer(candidates, queries, settings)
    corrections = []
    for held_out in [*range(fitness.FOLDS), None]:
        used = [query for query in trainer.queries if fitness.fold(query.inchikey) != held_out]
        print(f"held out {held_out}: {len(used)} spectra", file=sys.stderr, flush=True)
        learned = trainer.train(used)
        corrections.append(trainer.model.correction(learned, {query.inchikey for query in used}))
    notes = {
        "made_by": "train_correction.py",
        "settings": asdict(settings),
        "candidates": len(candidates.molecules),
        "spectra": {t: sum(q.technique == t for q in trainer.queries) for t in fitness.TECHNIQUES},
        "cpu_seconds": round(time.process_time() - began),
    }
    correction.save(arguments.out, corrections[-1], tuple(corrections[:-1]), notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
