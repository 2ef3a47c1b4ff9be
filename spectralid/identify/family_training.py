"""Training of family models: simulated variation, discriminants, and calibration on held-out substances."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

import spectralid
from spectralid.errors import LibraryError
from spectralid.identify.families import family_of
from spectralid.identify.family_evidence import ClassShape, Evidencer, Rest
from spectralid.identify.references import ReferenceSet
from spectralid.identify.shapes import hats, splines
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.spectrum import FloatArray, Technique

if TYPE_CHECKING:
    from spectralid.identify.family_model import FamilyModel

__all__ = ["MINIMUM_MEMBERS", "train"]

_Model = TypeVar("_Model", bound="FamilyModel")

MINIMUM_MEMBERS: Final = 3
"""Substances a family needs before it is learned."""

# Rivals: categories of the library with at least so many substances.
_RIVAL_MEMBERS: Final = 4
_DIRECTIONS: Final = 3
# References of one substance, and of strangers altogether: the nearest strangers matter, not all of them.
_PER_COMPOUND: Final = 3
_MOST_STRANGERS: Final = 3000
# Simulated spectra of a family's members altogether, and the fewest and most of one member; half of them
# beside known others. Strangers have two, one of them alone.
_OF_FAMILY: Final = 90
_OF_MEMBER: Final = (4, 14)
# Strangers whose held-out spectra calibrate, and spectra of known substances alone that do.
_CALIBRATING: Final = 400
_KNOWN_ONLY: Final = 200
# Parts in which substances are held out.
_FOLDS: Final = 8
_LEAST_FRACTION: Final = 0.04
# Regularisation of the discriminants, per unit of total weight.
_RIDGE: Final = 0.005
# Tail of the strangers' log ratios from here on is taken as exponential.
_TAIL: Final = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Simulated spectra: features, rows they are of (−1: none), whether mixed, whether they calibrate."""

    rests: list[Rest]
    features: FloatArray
    row: npt.NDArray[np.intp]
    mixed: npt.NDArray[np.bool_]
    weighed: npt.NDArray[np.bool_]


def train(
    kind: type[_Model],
    library: ReferenceLibrary,
    technique: Technique,
    *,
    tier: Tier | None,
    without: frozenset[str],
    seed: int,
) -> _Model:
    """See `FamilyModel.train`."""
    references = ReferenceSet.of(
        technique, library.grid(technique), library.matrix(technique, tier), library.rows(technique, tier)
    )
    compounds = {c.slug: c for c in library.compounds}
    chosen = _chosen(references, compounds, without)
    slugs = [references.rows[r].compound_slug for r in chosen]
    labels = [_label(compounds[s]) for s in slugs]
    families, rivals = _classes(slugs, labels)
    if not families:
        raise LibraryError(
            f"No family has {MINIMUM_MEMBERS} members among the {technique.value} references of the library "
            f"{library.name!r}; import measured references of drugs."
        )
    # What cannot be learned as a class of its own is a stranger like any other.
    labels = [label if label in families or label in rivals else "" for label in labels]
    evidencer = Evidencer(references.grid, technique)
    values = references.values[chosen].astype(np.float64)
    known = references.known[chosen]
    rng = np.random.default_rng(seed)
    plain = np.array([evidencer.features(_pure(evidencer, v, k)) for v, k in zip(values, known, strict=True)])
    samples = _samples(evidencer, values, known, slugs, labels, families, rng)
    fold = _folds(slugs, labels, families)

    def model(keep: npt.NDArray[np.bool_], **learned: Any) -> _Model:
        """The model of the rows in `keep`."""
        means, directions = _shapes(
            values[keep], _pick(slugs, keep), _pick(labels, keep), [*families, *rivals]
        )
        weights, offsets = _discriminants(samples, keep, labels, families)
        rest: dict[str, Any] = {
            "calibration": np.zeros(7),
            "thresholds": np.zeros((len(families), 2)),
            "least_likeness": np.full(len(families), -1.0),
            "site_trust": MappingProxyType({}),
            "facts": MappingProxyType({}),
        } | learned
        return kind(
            technique=technique,
            grid=references.grid,
            families=tuple(families),
            tier=_weakest(references, chosen),
            weights=weights,
            offsets=offsets,
            classes=(*families, *rivals),
            means=means,
            directions=directions,
            features=plain[keep].astype(np.float16),
            slugs=tuple(_pick(slugs, keep)),
            labels=tuple(_pick(labels, keep)),
            sites=tuple(_site(compounds[s]) for s in _pick(slugs, keep)),
            **rest,
        )

    held = [(f, model(fold != f)) for f in np.unique(fold)]
    weighed, truth, row = _held_out(evidencer, samples, held, fold, labels, families)
    calibration = _calibrated(weighed, truth)
    ratios = weighed @ calibration[:-1] + calibration[-1]
    from spectralid.identify.family_model import FALSE_ALARM_RATES

    thresholds = _thresholds(ratios, truth, np.array([*slugs, ""])[row], FALSE_ALARM_RATES)
    least = np.array([_low(weighed[truth[:, i], i, 1]) for i in range(len(families))])
    everything = model(np.ones(len(chosen), dtype=bool))
    return replace(
        everything,
        calibration=calibration,
        thresholds=thresholds,
        least_likeness=least,
        site_trust=MappingProxyType(_site_trust(everything, plain)),
        facts=MappingProxyType(
            {
                "library": library.name,
                "library_version": library.version,
                "library_sha256": library.sha256,
                "spectralid": spectralid.__version__,
                "seed": seed,
                "left_out": sorted(without & set(compounds)),
                "references": [references.rows[r].id for r in chosen],
                "members": {
                    f: len({s for s, b in zip(slugs, labels, strict=True) if b == f}) for f in families
                },
                "strangers": len({s for s, b in zip(slugs, labels, strict=True) if b not in families}),
                "held_out": _figures(ratios, truth, thresholds, families),
            }
        ),
    )


def _label(compound: Compound) -> str:
    """Class of a compound: its family, else its category, which may become a rival."""
    return family_of(compound) or compound.category


def _site(compound: Compound) -> str:
    """Sites of modification of a fentanyl-related compound, ``-`` for the parent, else empty."""
    if compound.fentanyl_related == "parent":
        return "-"
    return compound.frs_modifications if compound.fentanyl_related == "yes" else ""


def _pick(items: Sequence[str], keep: npt.NDArray[np.bool_]) -> list[str]:
    return [item for item, kept in zip(items, keep, strict=True) if kept]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _weakest(references: ReferenceSet, chosen: Sequence[int]) -> Tier:
    tiers = {references.rows[r].tier for r in chosen}
    return next(t for t in (Tier.COMPUTED, Tier.LITERATURE, Tier.MEASURED) if t in tiers)


def _chosen(references: ReferenceSet, compounds: dict[str, Compound], without: frozenset[str]) -> list[int]:
    """Rows to learn from: all families, and strangers up to a number, chosen by the hash of their slug."""
    of_slug: dict[str, list[int]] = {}
    for row, info in enumerate(references.rows):
        usable = info.compound_slug not in without and references.values[row].any()
        if usable and len(of_slug.setdefault(info.compound_slug, [])) < _PER_COMPOUND:
            of_slug[info.compound_slug].append(row)
    strangers = sorted((s for s in of_slug if not family_of(compounds[s])), key=_hash)
    dropped = set(strangers[_MOST_STRANGERS:])
    return [row for slug, rows in of_slug.items() if slug not in dropped for row in rows]


def _classes(slugs: Sequence[str], labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Families and rivals with enough substances."""
    from spectralid.identify.families import FAMILIES

    members: dict[str, set[str]] = {}
    for slug, label in zip(slugs, labels, strict=True):
        members.setdefault(label, set()).add(slug)
    families = [f for f in FAMILIES if len(members.get(f, ())) >= MINIMUM_MEMBERS]
    rivals = [c for c in sorted(members) if c and c not in FAMILIES and len(members[c]) >= _RIVAL_MEMBERS]
    return families, rivals


def _folds(slugs: Sequence[str], labels: Sequence[str], families: Sequence[str]) -> npt.NDArray[np.intp]:
    """Fold of every row: substances dealt out one after the other, so that every fold misses few of each."""
    order: dict[str, int] = {}
    for family in (*families, None):
        mine = {
            s
            for s, b in zip(slugs, labels, strict=True)
            if (b == family or (not family and b not in families))
        }
        for number, slug in enumerate(sorted(mine, key=_hash)):
            order[slug] = number % _FOLDS
    return np.array([order[s] for s in slugs], dtype=np.intp)


def _pure(evidencer: Evidencer, values: FloatArray, known: npt.NDArray[np.bool_]) -> Rest:
    return evidencer.rest(np.where(known, values, np.nan), [])


class _Variation:
    """Draws how one reference might look in another measurement."""

    def __init__(self, grid: FloatArray) -> None:
        self.grid = grid
        self._step = float(grid[1] - grid[0])
        self._gain = splines(grid, 500.0)
        self._band = hats(grid, 40.0)
        self._glow = splines(grid, 1200.0)

    def of(self, values: FloatArray, rng: np.random.Generator, size: float = 1.0) -> FloatArray:
        """One variant of a prepared reference, highest band 1."""
        from scipy.ndimage import gaussian_filter1d

        shift = rng.normal(0, 1.5 * size) + rng.normal(0, 5e-4 * size) * (self.grid - 1500)
        moved = np.interp(self.grid - shift, self.grid, values)
        moved = gaussian_filter1d(moved, abs(rng.normal(0, 2.5 * size)) / self._step + 1e-3)
        freedom = self._gain @ rng.normal(0, 0.12, self._gain.shape[1])
        freedom += self._band @ rng.normal(0, 0.12, self._band.shape[1])
        # Attenuated total reflection against transmission, and the slow response of instruments.
        freedom += rng.normal(0, 0.2) * np.log(self.grid / 1500)
        out = moved * np.exp(size * freedom)
        return np.asarray(out / max(float(out.max()), 1e-12))

    def finished(self, values: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Background and noise added."""
        height = float(values.max())
        glow = self._glow @ rng.uniform(0, 0.3, self._glow.shape[1])
        return np.asarray(values + height * (glow + rng.normal(0, rng.uniform(0.001, 0.01), values.size)))


def _samples(
    evidencer: Evidencer,
    values: FloatArray,
    known: npt.NDArray[np.bool_],
    slugs: Sequence[str],
    labels: Sequence[str],
    families: Sequence[str],
    rng: np.random.Generator,
) -> _Samples:
    """Spectra of every reference, alone and beside known others, and of known others only (row −1)."""
    rests: list[Rest] = []
    rows: list[int] = []
    mixed: list[bool] = []
    variation = _Variation(evidencer.grid)

    def add(row: int, fraction: float) -> None:
        own = variation.of(values[row], rng) if row >= 0 else np.zeros(evidencer.grid.size)
        shapes = []
        if fraction < 1:
            pool = [
                j
                for j in rng.permutation(len(values))[:8]
                if row < 0 or labels[j] != labels[row] or not labels[j]
            ]
            partners = [j for j in pool if j != row][: int(rng.integers(1, 3))]
            parts = rng.dirichlet(np.ones(len(partners)))
            own = fraction * own
            for share, j in zip(parts, partners, strict=True):
                own = own + (1 - fraction) * share * variation.of(values[j], rng, 0.5)
            shapes = [values[j] for j in partners]
        whole = variation.finished(own, rng)
        here = known[row] if row >= 0 else np.ones(whole.size, dtype=bool)
        rests.append(evidencer.rest(np.where(here, whole, np.nan), shapes))
        rows.append(row)
        mixed.append(fraction < 1)

    strangers = sorted(
        (r for r, label in enumerate(labels) if label not in families), key=lambda r: _hash(slugs[r])
    )
    calibrating = set(strangers[:_CALIBRATING])
    for row, label in enumerate(labels):
        copies = int(np.clip(_OF_FAMILY // labels.count(label), *_OF_MEMBER)) if label in families else 2
        mixed_copies = copies // 2 if label in families or row in calibrating else 0
        for _ in range(copies - copies // 2):
            add(row, 1.0)
        for _ in range(mixed_copies):
            add(row, math.exp(rng.uniform(math.log(_LEAST_FRACTION), math.log(0.9))))
    for _ in range(min(_KNOWN_ONLY, len(labels))):
        add(-1, 0.0)
    beyond = set(strangers[_CALIBRATING:])
    weighed = np.array([r not in beyond for r in rows])
    features = np.array([evidencer.features(r) for r in rests])
    return _Samples(rests, features, np.array(rows, dtype=np.intp), np.array(mixed), weighed)


def _shapes(
    values: FloatArray, slugs: Sequence[str], labels: Sequence[str], classes: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """Mean and directions of every class; a substance counts once."""
    means = np.zeros((len(classes), values.shape[1]))
    directions = np.zeros((len(classes), _DIRECTIONS, values.shape[1]))
    for i, name in enumerate(classes):
        of_slug: dict[str, list[int]] = {}
        for row, (slug, label) in enumerate(zip(slugs, labels, strict=True)):
            if label == name:
                of_slug.setdefault(slug, []).append(row)
        if len(of_slug) < 2:  # A fold may leave one member, which has no direction.
            means[i] = values[[r for rows in of_slug.values() for r in rows]].mean(axis=0) if of_slug else 0.0
            continue
        shape = ClassShape.of(np.array([values[rows].mean(axis=0) for rows in of_slug.values()]), _DIRECTIONS)
        means[i] = shape.mean
        directions[i, : shape.directions.shape[1]] = shape.directions.T
    return means.astype(np.float32), directions.astype(np.float32)


def _discriminants(
    samples: _Samples, keep: npt.NDArray[np.bool_], labels: Sequence[str], families: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """One-against-rest linear discriminants of all families: ridge regression on ±1, sides weighing alike.

    From spectra of single substances: with mixtures added they did worse even in mixtures, because what is
    left of a member at 5 % teaches mostly what the others leave.
    """
    used = ~samples.mixed & keep[samples.row]
    x = samples.features[used]
    label = np.array(labels)[samples.row[used]]
    # A substance counts once, however many spectra of it were drawn.
    _, which, count = np.unique(samples.row[used], return_inverse=True, return_counts=True)
    each = 1.0 / count[which]
    whole, total = (x * each[:, None]).T @ x, each @ x
    weights, offsets = [], []
    for family in families:
        mine = label == family
        own = x[mine] * each[mine, None]
        inside, outside = max(float(each[mine].sum()), 1e-12), max(float(each[~mine].sum()), 1e-12)
        high, low = own.sum(axis=0) / inside, (total - own.sum(axis=0)) / outside
        centre = 0.5 * (high + low)
        second = own.T @ x[mine]
        spread = 0.5 * second / inside + 0.5 * (whole - second) / outside - np.outer(centre, centre)
        spread.flat[:: len(spread) + 1] += _RIDGE
        weight = np.linalg.solve(spread, 0.5 * (high - low))
        weights.append(weight)
        offsets.append(-float(weight @ centre))
    return np.array(weights), np.array(offsets)


def _held_out(
    evidencer: Evidencer,
    samples: _Samples,
    held: Sequence[tuple[int, FamilyModel]],
    fold: npt.NDArray[np.intp],
    labels: Sequence[str],
    families: Sequence[str],
) -> tuple[FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Every simulated spectrum weighed by the model that did not see its substance.

    Returns weighings (n, n_families, N_WEIGHED), whether each is of each family, and the row it is of.
    """
    models = dict(held)
    numbers = sorted(models)
    used = np.flatnonzero(samples.weighed)
    weighed = []
    for i in used:
        row = int(samples.row[i])
        unseen = models[int(fold[row]) if row >= 0 else numbers[i % len(numbers)]]
        weighed.append(unseen.weigh(evidencer, samples.rests[i]).values)
    label = np.array([*labels, ""])[samples.row[used]]
    truth = label[:, None] == np.array(families)[None, :]
    return np.array(weighed), truth, samples.row[used]


def _calibrated(weighed: FloatArray, truth: npt.NDArray[np.bool_]) -> FloatArray:
    """Weights that turn weighings into log likelihood ratios, the same for all families.

    A family of six teaches no calibration of its own; what a likeness of so much means is the same for all.
    """
    from sklearn.linear_model import LogisticRegression

    x = weighed.reshape(-1, weighed.shape[2])
    y = truth.reshape(-1)
    size = np.array([0.5 / truth.sum(), 0.5 / (~truth).sum()])
    weight = np.where(y, size[0], size[1]) * len(y)
    centre, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    solver = LogisticRegression(C=1.0, max_iter=1000)
    solver.fit((x - centre) / spread, y, sample_weight=weight)
    coefficients = solver.coef_[0] / spread
    return np.append(coefficients, float(solver.intercept_[0]) - float(coefficients @ centre))


def _thresholds(
    ratios: FloatArray, truth: npt.NDArray[np.bool_], slug: npt.NDArray[np.str_], rates: Sequence[float]
) -> FloatArray:
    """Log ratios that so many held-out spectra without a member exceed, their tail taken as exponential.

    A substance counts once, however many spectra of it were drawn.
    """
    out = np.empty((ratios.shape[1], len(rates)))
    for i in range(ratios.shape[1]):
        null = ~truth[:, i]
        _, which, count = np.unique(slug[null], return_inverse=True, return_counts=True)
        order = np.argsort(ratios[null, i])
        height, weight = ratios[null, i][order], 1.0 / count[which][order]
        reached = np.cumsum(weight) / weight.sum()
        start = float(height[np.searchsorted(reached, _TAIL)])
        tail = height > start
        excess = float(np.average(height[tail] - start, weights=weight[tail])) if tail.any() else 0.0
        out[i] = [start + excess * math.log((1 - _TAIL) / rate) for rate in rates]
    return out


def _low(likeness: FloatArray) -> float:
    return float(np.quantile(likeness, 0.01)) if likeness.size else 1.0


def _figures(
    ratios: FloatArray, truth: npt.NDArray[np.bool_], thresholds: FloatArray, families: Sequence[str]
) -> dict[str, list[float]]:
    """Share of held-out simulated spectra of each family that pass each threshold."""
    return {
        family: [float((ratios[truth[:, i], i] >= t).mean()) for t in thresholds[i]]
        for i, family in enumerate(families)
    }


def _site_trust(model: FamilyModel, plain: FloatArray) -> dict[str, float]:
    """Sites whose hint was right for held-out members often enough, with that share."""
    from spectralid.identify.family_model import site_hint

    every = dict.fromkeys("ABCDE", 1.0)
    members = [j for j, site in enumerate(model.sites) if site]
    said: dict[str, list[bool]] = {}
    for j in members:
        others = [k for k in members if model.slugs[k] != model.slugs[j]]
        likeness = (plain[others] @ plain[j]).tolist()
        for site in site_hint([model.sites[k] for k in others], likeness, every).split("+"):
            said.setdefault(site, []).append(site in model.sites[j].split("+"))
    said.pop("", None)
    return {s: float(np.mean(r)) for s, r in sorted(said.items()) if len(r) >= 3 and np.mean(r) >= 0.75}
