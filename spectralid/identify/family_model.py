"""Trained models of families: values, storage, and what they find in a spectrum.

A model knows what the members of each family in a library have in common, and finds the family where the
member itself is in no library. Training is `spectralid.identify.family_training`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

import spectralid
from spectralid.errors import LibraryError, ParameterError
from spectralid.identify.family_evidence import Evidencer, Rest, class_gains
from spectralid.identify.hypotheses import Explanation, Scene
from spectralid.library import ReferenceLibrary, Tier
from spectralid.spectrum import FloatArray, Technique

__all__ = ["FALSE_ALARM_RATES", "FamilyFinding", "FamilyModel", "Weighing"]

SCHEMA: Final = "spectralid.families/1"
FALSE_ALARM_RATES: Final = (0.01, 0.001)
"""Shares of spectra without a member that may raise an alarm, for which thresholds are kept."""

N_WEIGHED: Final = 6
# Odds of a family before the spectrum is looked at: one spectrum in twenty holds an unknown member of it.
_PRIOR_LOG_ODDS: Final = math.log(1 / 19)
# How many of the nearest members and strangers are asked.
NEAREST: Final = 3
# A share below this is no evidence of anything.
_LEAST_SHARE: Final = 0.01
# A site is hinted at where members with it are this much nearer, and the hint held for this share of members.
_SITE_LEAD: Final = 0.03


@dataclass(frozen=True, slots=True)
class FamilyFinding:
    """How much a spectrum speaks for a member of a family that is not (or not necessarily) in the library.

    Attributes
    ----------
    family : str
        Which family.
    log_ratio : float
        Log likelihood ratio in nats of *a member is there* against *none is*, calibrated on references held
        out of training.
    probability : float
        Its probability if one spectrum in twenty holds such a member, 0 … 1.
    false_alarm_rate : float
        Strictest of `FALSE_ALARM_RATES` whose threshold is passed; 1 where none is.
    typical : bool
        Whether what is left looks as much like the family as held-out members do; what is far from everything
        known is no member of anything.
    site_hint : str
        For fentanyl-related substances the site or sites (A–E of 21 CFR 1308.11(h)(30)(i)) that its nearest
        members are modified at; empty where the evidence does not allow it. A hint, no finding.
    nearest : tuple of str
        Members it is most like, best first.
    beside : tuple of str
        Reference ids of the components that were taken as known.
    share_left : float
        Share of the signal beside them.
    how : str
        One sentence on what it rests on.
    members_trained_on : int
        Substances of the family behind the model.
    tier : Tier
        What those rest on. `COMPUTED` gives a lead, never a family identification.
    """

    family: str
    log_ratio: float
    probability: float
    false_alarm_rate: float
    typical: bool
    site_hint: str
    nearest: tuple[str, ...]
    beside: tuple[str, ...]
    share_left: float
    how: str
    members_trained_on: int
    tier: Tier

    @property
    def lead_only(self) -> bool:
        """Whether it may not stand as a family identification, because no measured member is behind it."""
        return self.tier is Tier.COMPUTED

    def alarm(self, rate: float = 0.01) -> bool:
        """Whether it passes the threshold of a false-alarm rate and looks like the family at all."""
        return self.typical and self.false_alarm_rate <= rate

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {
            "tier": self.tier.value,
            "nearest": list(self.nearest),
            "beside": list(self.beside),
            "lead_only": self.lead_only,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """Raw evidence of every family in one rest.

    Attributes
    ----------
    values : ndarray, shape (n_families, N_WEIGHED)
        Discriminant; likeness of the nearest members; of the nearest strangers; share that the class shape
        explains; share that the best rival explains; log of the energy left.
    likeness : ndarray, shape (n_references,)
        Cosine with every reference the model keeps.
    """

    values: FloatArray
    likeness: FloatArray


@dataclass(frozen=True, eq=False)
class FamilyModel:
    """Families of one library and technique, ready to be looked for.

    Attributes
    ----------
    technique : Technique
        ``RAMAN``, or ``FTIR`` for all infrared.
    grid : ndarray, shape (n_grid,)
        Common grid in cm⁻¹.
    families : tuple of str
        Families with enough members.
    tier : Tier
        What the training references rest on: `COMPUTED` if they were computed, the weaker one otherwise.
    weights : ndarray, shape (n_families, n_features)
        Linear discriminants.
    offsets : ndarray, shape (n_families,)
        Theirs.
    classes : tuple of str
        Families, then other categories as rivals.
    means : ndarray, shape (n_classes, n_grid)
        Mean members.
    directions : ndarray, shape (n_classes, n_directions, n_grid)
        How members differ.
    features : ndarray of float16, shape (n_references, n_features)
        Training references as features.
    slugs, labels, sites : tuple of str
        Of each row of `features`: compound, its class, and its sites of modification where known.
    calibration : ndarray, shape (N_WEIGHED + 1,)
        Logistic weights and offset that turn a weighing into a log likelihood ratio.
    thresholds : ndarray, shape (n_families, len(FALSE_ALARM_RATES))
        Log ratios that so many spectra without a member exceed.
    least_likeness : ndarray, shape (n_families,)
        Likeness with the nearest members that 99 % of held-out members have.
    site_trust : mapping of str to float
        Share of held-out members of each site's hint that were right.
    facts : mapping
        Provenance: library, version, SHA-256, counts, held-out figures.
    """

    technique: Technique
    grid: FloatArray
    families: tuple[str, ...]
    tier: Tier
    weights: FloatArray
    offsets: FloatArray
    classes: tuple[str, ...]
    means: FloatArray
    directions: FloatArray
    features: npt.NDArray[np.float16]
    slugs: tuple[str, ...]
    labels: tuple[str, ...]
    sites: tuple[str, ...]
    calibration: FloatArray
    thresholds: FloatArray
    least_likeness: FloatArray
    site_trust: Mapping[str, float]
    facts: Mapping[str, Any]

    @classmethod
    def train(
        cls,
        library: ReferenceLibrary,
        technique: Technique,
        *,
        tier: Tier | None = None,
        without: Iterable[str] = (),
        seed: int = 0,
    ) -> Self:
        """Learn the families of a library.

        Parameters
        ----------
        library : ReferenceLibrary
            Its references of `technique` train the model.
        technique : Technique
            Raman or an infrared one.
        tier : Tier, optional
            References of that tier only; by default the measured and literature ones.
        without : iterable of str
            Compounds that must leave no trace in the model (evaluations).
        seed : int
            Of the simulated variation.

        Raises
        ------
        LibraryError
            If no family has enough members there.
        """
        from spectralid.identify.family_training import train

        return train(cls, library, technique, tier=tier, without=frozenset(without), seed=seed)

    def __reduce__(self) -> tuple[Any, ...]:
        # A mappingproxy does not pickle; models travel to worker processes.
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        plain = {"site_trust": dict(self.site_trust), "facts": dict(self.facts)}
        return FamilyModel, tuple((values | plain).values())

    @classmethod
    def of(cls, library: ReferenceLibrary, technique: Technique, *, tier: Tier | None = None) -> Self:
        """The model kept beside a library, trained and kept there if there is none that belongs to it.

        Where nothing can be written it is trained anew each time. Parameters and errors are those of `train`.
        """
        if kept := cls.kept(library, technique, tier=tier):
            return kept
        model = cls.train(library, technique, tier=tier)
        with contextlib.suppress(OSError):
            model.save(cls.place(library, technique, tier=tier))
        return model

    @classmethod
    def kept(
        cls, library: ReferenceLibrary, technique: Technique, *, tier: Tier | None = None
    ) -> Self | None:
        """The model kept beside a library; ``None`` if there is none, or none that belongs to it."""
        path = cls.place(library, technique, tier=tier)
        if not path.exists():
            return None
        try:
            model = cls.load(path)
        except LibraryError:
            return None
        made_for = (model.facts["library_sha256"], model.facts["spectralid"])
        return model if made_for == (library.sha256, spectralid.__version__) else None

    @staticmethod
    def place(library: ReferenceLibrary, technique: Technique, *, tier: Tier | None = None) -> Path:
        """The file beside a library in which its model is kept."""
        kind = "infrared" if technique.is_infrared else "raman"
        return library.path.with_suffix(f".{kind}{'-' + tier.value if tier else ''}.families")

    # ------------------------------------------------------------------ use

    def evidencer(self) -> Evidencer:
        """What prepares spectra for this model; make it once."""
        return Evidencer(self.grid, self.technique)

    def weigh(self, evidencer: Evidencer, rest: Rest, rival: float = 0.0, *, without: str = "") -> Weighing:
        """Raw evidence in one rest.

        Parameters
        ----------
        evidencer : Evidencer
            Of this model.
        rest : Rest
            What is left of the spectrum.
        rival : float
            Share of it that known substances explain (those left in it on purpose).
        without : str
            Compound whose references are not asked (training).
        """
        x = evidencer.features(rest)
        likeness = (self._bank @ x.astype(np.float32)).astype(np.float64)
        asked = self._compound != self._number.get(without, -1)
        gains = class_gains(self._shapes, rest)
        energy = math.log(float(rest.y @ rest.y) / max(1, int(rest.known.sum())) + 1e-12)
        rows = [
            [
                float(self.weights[i] @ x) + self.offsets[i],
                nearest(likeness[self._members[i] & asked]),
                nearest(likeness[~self._members[i] & asked]),
                gains[i],
                max(float(np.delete(gains, i).max(initial=-1.0)), rival),
                energy,
            ]
            for i in range(len(self.families))
        ]
        return Weighing(np.array(rows), likeness)

    @cached_property
    def _bank(self) -> npt.NDArray[np.float32]:
        return self.features.astype(np.float32)

    @cached_property
    def _shapes(self) -> FloatArray:
        stacked = np.concatenate([self.means[:, None], self.directions], axis=1)
        return np.asarray(stacked, dtype=np.float64)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {slug: i for i, slug in enumerate(dict.fromkeys(self.slugs))}

    @cached_property
    def _compound(self) -> npt.NDArray[np.intp]:
        return np.array([self._number[s] for s in self.slugs], dtype=np.intp)

    @cached_property
    def _members(self) -> tuple[npt.NDArray[np.bool_], ...]:
        labels = np.array(self.labels)
        return tuple(labels == family for family in self.families)

    def log_ratios(self, weighing: Weighing) -> FloatArray:
        """Calibrated log likelihood ratios, shape (n_families,)."""
        return np.asarray(weighing.values @ self.calibration[:-1] + self.calibration[-1])

    def findings(
        self, scene: Scene, explanation: Explanation | None = None, *, evidencer: Evidencer | None = None
    ) -> tuple[FamilyFinding, ...]:
        """Look for every family in a spectrum, given what explains it.

        Components of the family itself never count as known: an unknown member is easily explained by its
        relatives. The others do, all of them or the strongest; or none, for what explains an unknown may be
        wrong as a whole.

        Parameters
        ----------
        scene : Scene
            The spectrum.
        explanation : Explanation, optional
            What the joint fit found.
        evidencer : Evidencer, optional
            From `evidencer`, to be made once for many spectra.

        Returns
        -------
        tuple of FamilyFinding
            One for each family, most likely first.
        """
        evidencer = evidencer or self.evidencer()
        rows = explanation.rows if explanation else ()
        label_of = dict(zip(self.slugs, self.labels, strict=True))
        infos = scene.references.rows
        cache: dict[tuple[int, ...], tuple[Rest, Weighing]] = {}

        def weighed(kept: tuple[int, ...]) -> tuple[Rest, Weighing]:
            if kept not in cache:
                rest = evidencer.of_scene(scene, explanation, kept)
                cache[kept] = rest, self.weigh(evidencer, rest)
            return cache[kept]

        whole: dict[tuple[int, ...], Rest] = {}
        found = []
        for i, family in enumerate(self.families):
            strangers = tuple(r for r in rows if label_of.get(infos[r].compound_slug) != family)
            bases = {(), strangers}
            if len(strangers) > 1 and explanation:
                order = sorted(strangers, key=lambda r: -explanation.amounts[explanation.rows.index(r)])
                bases.add((order[0],))
            best: tuple[float, tuple[int, ...], Rest, Weighing] | None = None
            for kept in sorted(bases):
                rest, weighing = weighed(kept)
                values = weighing.values[i].copy()
                if kept != strangers:
                    if strangers not in whole:
                        whole[strangers] = weighed(strangers)[0]
                    values[4] = max(values[4], explained_share(rest, whole[strangers]))
                ratio = float(values @ self.calibration[:-1] + self.calibration[-1])
                if best is None or ratio > best[0]:
                    best = ratio, kept, rest, Weighing(values[None], weighing.likeness)
            assert best is not None  # There is always the base without any component.
            found.append(self._finding(i, *best, beside=tuple(infos[r].id for r in best[1])))
        return tuple(sorted(found, key=lambda f: (-f.log_ratio, f.family)))

    def _finding(
        self,
        i: int,
        ratio: float,
        kept: tuple[int, ...],
        rest: Rest,
        weighing: Weighing,
        *,
        beside: tuple[str, ...],
    ) -> FamilyFinding:
        family = self.families[i]
        passed = [r for r, t in zip(FALSE_ALARM_RATES, self.thresholds[i], strict=True) if ratio >= t]
        mine = [j for j, label in enumerate(self.labels) if label == family]
        order = sorted(mine, key=lambda j: -weighing.likeness[j])
        nearest_members = tuple(dict.fromkeys(self.slugs[j] for j in order))[:NEAREST]
        _, alike, strange, own, rival, _ = weighing.values[0]
        members = len({self.slugs[j] for j in mine})
        return FamilyFinding(
            family=family,
            log_ratio=ratio,
            probability=1 / (1 + math.exp(-min(max(ratio + _PRIOR_LOG_ODDS, -500.0), 500.0))),
            false_alarm_rate=min(passed, default=1.0),
            typical=bool(alike >= self.least_likeness[i]) and rest.share >= _LEAST_SHARE,
            site_hint=self.site_hint(weighing.likeness),
            nearest=nearest_members,
            beside=beside,
            share_left=rest.share,
            how=(
                f"likeness {alike:.2f} with the nearest members, {strange:.2f} with the nearest others; the "
                f"family's shape explains {max(own, 0.0):.0%} of what is left beside {len(kept)} known "
                f"component{'' if len(kept) == 1 else 's'}, the best rival {max(rival, 0.0):.0%}"
            )
            if self.tier is not Tier.COMPUTED
            else "computed members only: a lead, no identification",
            members_trained_on=members,
            tier=self.tier,
        )

    def site_hint(self, likeness: FloatArray, without: str = "") -> str:
        """Sites of modification of the members that a rest is most like, where that can be told."""
        rows = [j for j, site in enumerate(self.sites) if site and self.slugs[j] != without]
        return site_hint([self.sites[j] for j in rows], [float(likeness[j]) for j in rows], self.site_trust)

    # ------------------------------------------------------------------ storage

    def to_bytes(self) -> bytes:
        """The model as an ``npz`` file of plain arrays without pickles."""
        plain = {
            "schema": SCHEMA,
            "technique": self.technique.value,
            "tier": self.tier.value,
            "families": list(self.families),
            "classes": list(self.classes),
            "slugs": list(self.slugs),
            "labels": list(self.labels),
            "sites": list(self.sites),
            "site_trust": dict(self.site_trust),
            "facts": dict(self.facts),
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        plain["sha256"] = _digest(plain, arrays)
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()
        stream = io.BytesIO()
        np.savez_compressed(stream, text=np.frombuffer(text, dtype=np.uint8), **arrays)
        return stream.getvalue()

    @property
    def sha256(self) -> str:
        """Identity of the trained values."""
        digest = hashlib.sha256()
        for name in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        digest.update(json.dumps([self.families, self.slugs, self.labels]).encode())
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file, whole or not at all."""
        target = Path(path)
        partial = target.with_name(target.name + ".part")
        partial.write_bytes(self.to_bytes())
        partial.replace(target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `save` wrote.

        Raises
        ------
        LibraryError
            If it cannot be read or is no family model of this version.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                plain = json.loads(bytes(data["text"]).decode())
                arrays = {name: data[name] for name in _ARRAYS}
            stated = plain.pop("sha256")
            if plain["schema"] != SCHEMA or stated != _digest(plain, arrays):
                raise ParameterError("schema", "another", SCHEMA)
            names: dict[str, Any] = {
                n: tuple(plain[n]) for n in ("families", "classes", "slugs", "labels", "sites")
            }
            return cls(
                technique=Technique(plain["technique"]),
                tier=Tier.parse(plain["tier"]),
                **names,
                site_trust=MappingProxyType(plain["site_trust"]),
                facts=MappingProxyType(plain["facts"]),
                **arrays,
            )
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise LibraryError(
                f"{os.fspath(path)} is no family model of this version ({type(error).__name__}); train it "
                "again from its library."
            ) from None


_ARRAYS: Final = (
    "grid", "weights", "offsets", "means", "directions", "features", "calibration", "thresholds",
    "least_likeness",
)  # fmt: skip


def _digest(plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """SHA-256 (hex) of all that a file holds."""
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode())
    for name in _ARRAYS:
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def nearest(likeness: FloatArray) -> float:
    """Mean of the `NEAREST` largest; -1 of none."""
    if likeness.size <= NEAREST:
        return float(likeness.mean()) if likeness.size else -1.0
    return float(np.partition(likeness, -NEAREST)[-NEAREST:].mean())


def explained_share(rest: Rest, less: Rest) -> float:
    """Share of a rest that further known components explain, by what is left of it then."""
    scale = np.where(rest.known, 1.0 / rest.tolerance, 0.0)
    before = float(np.sum((rest.values * scale) ** 2))
    after = float(np.sum((less.values * scale) ** 2))
    return float(np.clip(1 - after / before, -1.0, 1.0)) if before > 0 else 0.0


def site_hint(sites: Sequence[str], likeness: Sequence[float], trust: Mapping[str, float]) -> str:
    """Sites (``"A"`` … ``"E"``) that the nearest members share and others do not.

    Parameters
    ----------
    sites : sequence of str
        Of each member, like ``"D+E"``; ``"-"`` for the parent.
    likeness : sequence of float
        With each member.
    trust : mapping of str to float
        Sites that may be hinted at.
    """
    found = []
    for site in "ABCDE":
        with_it = [v for s, v in zip(sites, likeness, strict=True) if site in s.split("+")]
        without = [v for s, v in zip(sites, likeness, strict=True) if site not in s.split("+")]
        if site not in trust or not with_it or not without:
            continue
        if nearest(np.array(with_it)) - nearest(np.array(without)) > _SITE_LEAD:
            found.append(site)
    return "+".join(found)
