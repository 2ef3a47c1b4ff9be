"""The chemist's bench: everything of a case, and the engine at hand for any question about it.

>>> from spectralid.reachback.bench.workbench import Workbench              # doctest: +SKIP
>>> bench = Workbench.open(case_material(db, case_id), library)       # doctest: +SKIP
>>> sheet = bench[0]                                                  # doctest: +SKIP
>>> sheet.refit({"caffeine": 0.3, "lactose": None}).rise              # doctest: +SKIP

The console in the browser (`spectralid.reachback.api.console`) asks the same objects. Nothing here decides:
a chemist does, by `Workbench.decision`, and says what that rests on.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spectralid.errors import InputError, ParameterError, SpectralIDError
from spectralid.identify.bench import TOLERANCE_CM1, Bench, HandFit, Mark, Peak, Proposal
from spectralid.identify.engine import Identifier
from spectralid.library import Compound, ReferenceLibrary
from spectralid.library.compounds import CompoundIndex
from spectralid.reachback.bench.material import Material, Scan
from spectralid.spectrum import Spectrum

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spectralid.identify.result import Identification
    from spectralid.reachback.bench.decisions import Decision

__all__ = ["NOTHING_EXCLUDED", "BlindError", "Evidence", "Sheet", "Workbench"]

NOTHING_EXCLUDED: Final = "What this spectrum does not show is not excluded."
_CANDIDATES: Final = 12
_LOOKED_UP: Final = 30


class BlindError(InputError):
    """A name was asked for before the first look was written down."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing a decision may rest on.

    Attributes
    ----------
    code : str
        ``bands``, ``fit``, ``rest``, ``engine``, ``axis``, ``check``, ``strips``, ``limits``.
    sentence : str
        What it is here, in one sentence with its numbers.
    """

    code: str
    sentence: str


class Sheet:
    """One spectrum of the case on the bench.

    Parameters
    ----------
    bench : Workbench
        Whose.
    scan : Scan
        Which.
    """

    def __init__(self, bench: Workbench, scan: Scan) -> None:
        self._bench = bench
        self.scan = scan
        self._lock = threading.RLock()
        self._hand: Bench | None = None
        self._identification: Identification | None = None

    @property
    def raw(self) -> Spectrum:
        """The spectrum as measured.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        if self.scan.spectrum is None:
            raise InputError(self.scan.problem)
        return self.scan.spectrum

    @property
    def identification(self) -> Identification:
        """What the engine makes of it: candidates, joint fit, families, quality.

        Raises
        ------
        BlindError
            If the first look has not been written down.
        SpectralIDError
            If the library holds nothing to compare it with.
        """
        self._bench.must_have_looked()
        return self._identified()

    def _identified(self) -> Identification:
        with self._lock:
            if self._identification is None:
                self._identification = self._bench.identifier.identify(self.raw, top=_CANDIDATES, leads=True)
            return self._identification

    @property
    def hand(self) -> Bench:
        """The engine's bench for this spectrum."""
        with self._lock:
            if self._hand is None:
                found = self._identified().analysis
                self._hand = self._bench.identifier.bench(self.raw, analysis=found)
            return self._hand

    def corrected(self) -> tuple[list[float], list[float | None]]:
        """The spectrum without its background, before any name is asked for: axis in cm⁻¹, relative heights.

        The background here is a smooth curve under the bands; a fit (`refit`) finds it together with the
        components.
        """
        import numpy as np

        scene = self.hand.scene
        heights = np.where(scene.known, scene.bands / (scene.height or 1.0), np.nan)
        grid = scene.references.grid
        return [float(x) for x in grid], [float(y) if np.isfinite(y) else None for y in heights]

    def refit(
        self,
        components: Mapping[str, float | None] | None = None,
        *,
        excluded: Collection[str] = (),
    ) -> HandFit:
        """Fit again, with the components and shares that a chemist wants.

        Parameters
        ----------
        components : mapping of str to float or None, optional
            Compounds by slug (or any name the library knows) and the share of the signal each is held at,
            0 … 1; ``None`` leaves it to the engine. Those of the engine if not given.
        excluded : collection of str
            Compounds that must not take part. If the components are the engine's, it looks for its best
            explanation without them.

        Returns
        -------
        HandFit
            Shares, curves, residual, χ² and by how much that is worse than with no share held.

        Raises
        ------
        BlindError
            If the first look has not been written down.
        ParameterError
            If a name is not known, or the shares do not fit into one.
        """
        self._bench.must_have_looked()
        gone = {self.slug(name) for name in excluded}
        with self._lock:
            if components is None:
                return self.hand.without(gone) if gone & set(self.hand.own) else self.hand.fit()
            named = {self.slug(name): share for name, share in components.items()}
            return self.hand.fit({slug: share for slug, share in named.items() if slug not in gone})

    def add(self, fit: HandFit, name: str) -> HandFit:
        """The same components and one more of the library, by any of its names; no share is held."""
        return self.refit(dict.fromkeys((*fit.shares, self.slug(name))))

    def peaks(self, fit: HandFit | None = None) -> tuple[Peak, ...]:
        """The bands of the spectrum, and which component accounts for each; without a fit, no names."""
        if fit is not None:
            self._bench.must_have_looked()
        with self._lock:
            return self.hand.peaks(fit)

    def marks(
        self, name: str, *, tolerance_cm1: float = TOLERANCE_CM1, fit: HandFit | None = None
    ) -> tuple[Mark, ...]:
        """The bands that a compound should show, and whether they are there within a tolerance."""
        self._bench.must_have_looked()
        with self._lock:
            return self.hand.marks(self.slug(name), tolerance_cm1=tolerance_cm1, fit=fit)

    def rest(self, fit: HandFit, *, count: int = 8, excluded: Collection[str] = ()) -> tuple[Proposal, ...]:
        """What explains the rest? Compounds that the residual speaks for, clearest first."""
        self._bench.must_have_looked()
        with self._lock:
            return self.hand.rest(fit, count=count, excluded={self.slug(name) for name in excluded})

    def limits(self, fit: HandFit, names: Sequence[str]) -> dict[str, float]:
        """Compounds not in the fit: the smallest share of each that this scan would have shown.

        Parameters
        ----------
        fit : HandFit
            What is there.
        names : sequence of str
            Compounds of the library.

        Returns
        -------
        dict
            Share of the signal, 0 … 1, found nine times in ten; 1 where the scan could show none.
        """
        self._bench.must_have_looked()
        with self._lock:
            return self.hand.limits(fit, [self.slug(name) for name in names])

    def looked_for(self, fit: HandFit, names: Sequence[str]) -> tuple[tuple[str, float, float, str], ...]:
        """What may be said of compounds that are not in the fit.

        Parameters
        ----------
        fit, names
            As for `limits`.

        Returns
        -------
        tuple of (str, float, float, str)
            Slug, smallest detectable share, standard deviations by which the rest speaks for it, and the
            sentence: none is ever said to be absent, nor *not detected* while the rest speaks for it.
        """
        from spectralid.reachback.bench.words import looked_for

        shares = self.limits(fit, names)
        with self._lock:
            speaks = self.hand.speaks(fit, list(shares))
        return tuple(
            (slug, share, speaks[slug], looked_for(self.compound(slug).name, share, speaks[slug]))
            for slug, share in shares.items()
        )

    def slug(self, name: str) -> str:
        """The slug of a compound that has a reference of this technique, by any name it goes by.

        Raises
        ------
        ParameterError
            If there is none, or its references are computed only.
        """
        return self._bench.slug_of(name, self.hand.slugs)

    def compound(self, name: str) -> Compound:
        """What the library knows of a compound, by any name it goes by."""
        return self._bench.identifier.library.compound(self.slug(name))

    def find(self, text: str) -> tuple[Compound, ...]:
        """Compounds with a reference of this technique whose name, synonym or CAS number holds a text."""
        self._bench.must_have_looked()
        return self._bench.find(text, self.hand.slugs)

    def evidence(self, fit: HandFit) -> tuple[Evidence, ...]:
        """What a decision on this spectrum may rest on, in sentences with numbers."""
        from spectralid.reachback.bench.words import evidence_of

        return evidence_of(self, fit, self._bench.material)

    def figure(self, fit: HandFit | None = None, *, title: str = "") -> Figure:
        """Measured spectrum and fit, components, and what is left, one above the other.

        Parameters
        ----------
        fit : HandFit, optional
            From `refit`; the engine's own if not given.
        title : str
            Heading; which packet by default.
        """
        from spectralid.plot.bench import bench_figure

        return bench_figure(
            fit or self.refit(),
            title=title or f"Packet {self.scan.name}",
            infrared=self.raw.technique.is_infrared,
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>Spectrum {escape(self.scan.name)} of the item {escape(self.scan.item_ref)}.</p>"


class Workbench(Sequence[Sheet]):
    """A case on the bench: a sequence of its spectra.

    Parameters
    ----------
    material : Material
        The case.
    identifier : Identifier
        The engine with its library.
    blind : bool
        Whether names wait for a first look.
    """

    def __init__(self, material: Material, identifier: Identifier, *, blind: bool = False) -> None:
        self.material = material
        self.identifier = identifier
        self._looked = not blind
        self._first_look = ""
        self._index = CompoundIndex(identifier.library.compounds)
        samples = [scan for scan in material.scans if scan.role == "sample"]
        self._sheets = tuple(Sheet(self, scan) for scan in samples or material.scans)

    @classmethod
    def open(
        cls, material: Material, library: ReferenceLibrary | Identifier, *, blind: bool = False
    ) -> Workbench:
        """Put a case on the bench.

        Parameters
        ----------
        material : Material
            From `case_material` (the server's database) or `read_material` (packets).
        library : ReferenceLibrary or Identifier
            What to compare with; an `Identifier` serves many cases and prepares its references once.
        blind : bool
            Hide what the engine and the field say until `look` was called.
        """
        identifier = library if isinstance(library, Identifier) else Identifier(library)
        return cls(material, identifier, blind=blind)

    def __len__(self) -> int:
        return len(self._sheets)

    def __getitem__(self, which: int | str) -> Sheet:  # type: ignore[override]
        """The spectrum of a number (0 is the first) or of a name (``"packet/spectrum"``)."""
        if isinstance(which, str):
            for sheet in self._sheets:
                if sheet.scan.name == which:
                    return sheet
            raise ParameterError("spectrum", which, "one of " + ", ".join(s.scan.name for s in self._sheets))
        return self._sheets[which]

    def __iter__(self) -> Iterator[Sheet]:
        return iter(self._sheets)

    # --- first look

    @property
    def blind(self) -> bool:
        """Whether names still wait for the first look."""
        return not self._looked

    @property
    def first_look(self) -> str:
        """What was written at the first look; empty where none was asked for."""
        return self._first_look

    def look(self, impression: str) -> None:
        """Write down the first impression; from then on names are shown.

        Parameters
        ----------
        impression : str
            1 … 4,000 characters.

        Raises
        ------
        InputError
            If nothing is written, or there was a first look before: it stays as it was.
        """
        if self._looked:
            raise InputError("The names are shown already; a first look comes before them.")
        if not impression.strip() or len(impression) > 4000:
            raise InputError("The first look is written down in 1 to 4,000 characters.")
        self._first_look, self._looked = impression.strip(), True

    def must_have_looked(self) -> None:
        """Refuse names before the first look.

        Raises
        ------
        BlindError
            Before it.
        """
        if not self._looked:
            raise BlindError("Write down the first look before names are shown.")

    # --- compounds

    def slug_of(self, name: str, known: Collection[str]) -> str:
        """The slug that a name stands for, among those of `known`."""
        if name in known:
            return name
        found = self._index.find(name=name)
        if found and found[0].slug in known:
            return found[0].slug
        if found:
            raise ParameterError("compound", name[:100], "one with a measured reference of this technique")
        near = ", ".join(c.name for c in self.find(name, known)[:5])
        raise ParameterError(
            "compound", name[:100], "a compound of the library" + (f" (perhaps {near})" if near else "")
        )

    def find(self, text: str, known: Collection[str]) -> tuple[Compound, ...]:
        """Compounds among `known` whose slug, name, synonym or CAS number holds a text; best first."""
        wanted = text.strip().casefold()
        if not wanted:
            return ()
        ranked = []
        for slug in known:
            compound = self._index.by_slug[slug]
            names = [n.casefold() for n in (slug, compound.name, *compound.synonyms, compound.cas) if n]
            if any(wanted in name for name in names):
                first = min(
                    0 if name == wanted else 1 if name.startswith(wanted) else 2
                    for name in names
                    if wanted in name
                )
                ranked.append((first, len(compound.name), compound.name, compound))
        ranked.sort(key=lambda one: one[:3])
        return tuple(one[3] for one in ranked[:_LOOKED_UP])

    # --- decision

    def basis(self, checked: Sequence[Evidence], text: str) -> str:
        """The basis of a decision: what was checked, and why that is enough.

        Parameters
        ----------
        checked : sequence of Evidence
            At least one of `Sheet.evidence`.
        text : str
            The chemist's own words, not empty.

        Raises
        ------
        InputError
            If either is missing, or both together are longer than 4,000 characters.
        """
        if not checked or not text.strip():
            raise InputError("A basis names what was checked, and says in words why that is enough.")
        whole = "\n".join([*(f"[{one.code}] {one.sentence}" for one in checked), text.strip()])
        if len(whole) > 4000:
            raise InputError("A basis has up to 4,000 characters.")
        return whole

    def decision(
        self,
        verdict: str,
        substances: Sequence[str] = (),
        *,
        headline: str,
        words: str,
        basis: str,
        precautions: Sequence[str] = (),
        high_hazard: bool = False,
    ) -> Decision:
        """What the chemist concludes, ready for `spectralid.reachback.bench.decisions.adjudicate`.

        Parameters
        ----------
        verdict : {"identified", "mixture", "class_only", "inconclusive", "no_match"}
            As packets say it.
        substances : sequence of str
            Slugs.
        headline, words, precautions, high_hazard, basis
            As `spectralid.reachback.bench.decisions.Decision`; the first look goes with it.
        """
        from spectralid.reachback.bench.decisions import Decision

        return Decision(
            verdict,  # type: ignore[arg-type]  # Decision refuses what it does not know.
            headline=headline,
            words=words,
            basis=basis,
            substances=tuple(substances),
            precautions=tuple(precautions),
            high_hazard=high_hazard,
            first_look=self._first_look,
        )


def problem_of(sheet: Sheet) -> str:
    """Why the engine cannot work on a spectrum; empty if it can."""
    try:
        sheet.hand  # noqa: B018 - whether it can be made is what is asked.
    except SpectralIDError as error:
        return str(error)
    return ""
