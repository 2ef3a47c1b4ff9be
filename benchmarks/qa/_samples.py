"""The real collections of the studies: samples with what is in them, and the library that judges them.

The samples are those of `benchmarks/identification/real.py` (which says what is derived and not measured);
here each gets what a manifest needs beside: unit, group of samples that are not independent, and levels.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "identification"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import real
from _wasatch import wasatch_library
from tracks import Query

from spectralid import LibraryBuilder, Spectrum, open_library, read, read_all
from spectralid.library import Compound, Tier

PARACETAMOL = (
    "ibcp-spectra-file-examples/txt.Renishaw/paracetamol.txt",
    "cdph-white-powders/Tylenol.txt",
)
PLATES = ("plate1_60mgml", "plate2_30mgml", "plate3_15mgml")
# Percent of paracetamol in rows of a plate; the rest is one of four polymers, none of them in a library. The
# rows between (95, 90, 80 and 75 %) are left out to keep the study short.
LOADINGS = {"A": 100, "D": 85, "G": 70, "H": 0}
SALTS = ("nitrate", "nitrite", "sulfate", "carbonate")


@dataclass(frozen=True)
class Row:
    """A sample: its spectrum and its line of the manifest.

    Attributes
    ----------
    scan : callable
        Gives the spectrum.
    truth : tuple of str
        What is in it.
    levels : mapping of str to float
        Share by weight (by volume of diesel) of what is graded, 0 where there is none of it.
    group : str
        What it shares with samples that are not independent of it.
    unit : str
        Instrument.
    """

    scan: Callable[[], Spectrum]
    truth: tuple[str, ...]
    levels: Mapping[str, float] = field(default_factory=dict)
    group: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Published:
    """A figure of others on the same kind of samples, with its source; ours is filled in by the study."""

    what: str
    figure: str
    source: str


@dataclass(frozen=True)
class Collection:
    """A study to be made."""

    slug: str
    title: str
    words: str
    library: str
    technique: str
    rows: tuple[Row, ...]
    published: tuple[Published, ...] = ()


def collections(data: Path, folder: Path) -> Iterator[Collection]:
    """Every study, one collection after the other; libraries are written into `folder`."""
    measured = wasatch_library(data, folder)
    held = {reference.compound_slug for reference in measured.references}
    yield from acetaminophen(data, folder)
    yield binaries(data, str(measured.path), held)
    yield from salts(data, folder)
    yield tablets(data, folder)
    yield biodiesel(data, folder)
    yield textiles(data, folder)


def acetaminophen(data: Path, folder: Path) -> Iterator[Collection]:
    """Raman of pure powder and a tablet on two units, films behind glass on a third; infrared of a tablet."""
    glass = read(data / "pcm-asd-lowfreq-raman/data/glass_reference.txt", technique="raman")
    builder = LibraryBuilder("wasatch and glass", created="2026-11-22")
    with open_library(folder / "wasatch.h5") as measured:
        for info in measured.references:
            reference = measured.reference(info.id)
            builder.add(
                reference.spectrum, measured.compound(info.compound_slug), tier=Tier.MEASURED,
                form=info.form, source=info.source,
            )  # fmt: skip
    builder.add(glass, Compound("glass", "glass"), tier=Tier.MEASURED, source="lca6/PCM_ASDs_PCA")
    builder.write(folder / "glass.h5")
    powder, tablet = (partial(real.one, data / file, "raman") for file in PARACETAMOL)
    rows = [
        Row(powder, ("acetaminophen",), {"acetaminophen": 1.0}, unit="Renishaw"),
        Row(tablet, ("acetaminophen",), unit="CDPH"),
    ]
    for plate in PLATES:
        wells = read_all(data / f"pcm-asd-lowfreq-raman/data/{plate}_multiwell.txt", technique="raman")
        for well, scan in enumerate(wells):
            row = "ABCDEFGH"[well // 12]
            if row not in LOADINGS:
                continue
            share = LOADINGS[row] / 100
            truth = ("glass", *(("acetaminophen",) if share else ()), *(("a polymer",) if share < 1 else ()))
            # Three columns are replicates of one solution; without a polymer, the whole row is.
            group = f"{plate} {row}" + (f" {well % 12 // 3}" if share < 1 else "")
            rows.append(
                Row(partial(real.given, scan), truth, {"acetaminophen": share}, group, f"LabRAM {plate}")
            )
    yield Collection(
        "acetaminophen",
        "Acetaminophen on other instruments, Raman",
        "One reference (a portable 785 nm unit; the library holds the other 79 spectra of that unit and "
        "the glass of the plates). Samples: pure powder on a Renishaw microscope; a tablet from a "
        "collection of unstated instruments; and dried films of paracetamol with 0, 15 and 30 % of one of "
        "four polymers, and of polymer alone, in three glass plates on a LabRAM microscope at 532 nm, "
        "from solutions of 60, 30 and 15 mg/mL. The authors list 48 of the 108 with paracetamol as "
        "crystalline. Three wells of one solution are a group; the twelve of a plate without a polymer "
        "are one. A plate (another day, filter and objective) counts as a unit.",
        str(folder / "glass.h5"),
        "raman",
        tuple(rows),
        (
            Published(
                "alarm on 100 pure opioids, one parent and three daughter units, no films",
                "97.3 %; right name 93.3 %",
                "FDA Forensic Chemistry Center, J. Forensic Sci. 65 (2020) 421",
            ),
        ),
    )
    found = list(real.omnic_tablet(data, folder))
    yield Collection(
        "acetaminophen-infrared",
        "Acetaminophen in a tablet of three, infrared",
        "One scan of a tablet with acetaminophen, aspirin and caffeine; the references are from two other "
        "laboratories, and none is of aspirin. Shares are not known.",
        found[0].library,
        "ftir_atr",
        tuple(Row(query.scan, (*query.true, "aspirin")) for query in found),
    )


def _truth(query: Query) -> tuple[str, ...]:
    return (*query.true, *(() if query.known else ("something else",)))


def binaries(data: Path, library: str, held: set[str]) -> Collection:
    """Two solvents by weight on a low-cost unit."""
    return Collection(
        "binaries",
        "Solvent binaries on a low-cost unit, Raman",
        "Ten mixtures of two solvents (10 to 90 %) on a unit whose axis is 5 to 7 cm⁻¹ off, judged with "
        "the library of a portable unit. In seven of them one solvent is in no reference. Every mixture "
        "was scanned once.",
        library,
        "raman",
        tuple(Row(query.scan, _truth(query)) for query in real.binaries(data, library, held)),
        (
            Published("these samples", "none found", "the collection states no result"),
            Published(
                "drugs in cutting agents, two handheld units",
                "more than 85 % right only for pure drugs and several 1:1 mixtures",
                "Chang, Forensic Sci. Int. (2025) 112512",
            ),
        ),
    )


def salts(data: Path, folder: Path) -> Iterator[Collection]:
    """Salt solutions by weight; the test set holds species that who calibrated did not expect."""
    weights = list(_salt_weights(data))
    for infrared, kind in ((False, "Raman"), (True, "infrared")):
        made = list(real.salts(data, folder, infrared=infrared))
        for library in dict.fromkeys(query.library for query in made):
            some = [query for query in made if query.library == library]
            seven = "seven" in Path(library).stem
            rows = []
            for query, (group, levels) in zip(some, weights, strict=True):
                names = tuple(s for s, share in levels.items() if share)
                inside = {s: levels[s] for s in (levels if seven else SALTS)}
                rows.append(Row(query.scan, ("water", *names), inside, group))
            yield Collection(
                f"salts-{kind.lower()}-{'seven' if seven else 'four'}",
                f"Salt solutions, {kind}, library of {'seven' if seven else 'four'} salts and water",
                "Solutions of two to seven sodium salts in water, weighed: 31 of nitrate, nitrite, sulfate "
                "and carbonate, 21 that hold phosphate, acetate or oxalate beside"
                + (". " if seven else ", which this library lacks (the unexpected species). ")
                + "Salts were added to one beaker one after the other; solutions of one beaker are a group.",
                library,
                "ftir_atr" if infrared else "raman",
                tuple(rows),
                (
                    Published(
                        "nitrate, nitrite and sulfate by PLS after blind source separation",
                        "no figure in what could be read (abstract)",
                        "Kocevska, Maggioni, Rousseau and Grover, Ind. Eng. Chem. Res. (2021)",
                    ),
                ),
            )


def _salt_weights(data: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Beaker, and share by weight of each salt in the solution, of every solution of two salts or more."""
    for part, names in (("training", real._SALTS[:4]), ("test", real._SALTS)):
        beaker = 0
        for row in real._sheet(data / "bss-plsr" / f"{part}_data.xlsx"):
            if not ("C" in row and "F" in row):
                continue
            # The date stands in the first row of each beaker only.
            beaker += "A" in row
            masses = {s: row.get(column, 0.0) for s, column in zip(names, "FGHIJKL", strict=False)}
            total = row["E"] + sum(masses.values())
            if sum(mass > 0 for mass in masses.values()) >= 2:
                yield f"{part} {beaker}", {s: masses.get(s, 0.0) / total for s in real._SALTS}


def tablets(data: Path, folder: Path) -> Collection:
    """Tablets with 5 to 9 % of an active."""
    from scipy.io import loadmat

    content = loadmat(data / "dyrby-raman-tablets/datasets/raman_tablets/data/Ramandata_tablets.mat")
    batches = [str(name).strip().split("_")[0] for name in content["ObjLabels"]][::2]
    made = list(real.tablets(data, folder))
    return Collection(
        "tablets",
        "Tablets with 5 to 9 % active, FT-Raman",
        "120 escitalopram tablets of twelve batches. The collection has no pure substance: the two "
        "references (active, excipients) are what least squares gets from every second tablet, the other "
        "60 are judged. A batch is a group; references and samples come from the same batches, so this is "
        "an upper bound.",
        made[0].library,
        "raman",
        tuple(
            Row(query.scan, _truth(query), {"active": query.true["active"]}, batch)
            for query, batch in zip(made, batches, strict=True)
        ),
        (
            Published(
                "root mean square error of the active, cross-validated PLS on the same 120 tablets",
                "0.56 % w/w (Raman), 0.30 % w/w (near infrared)",
                "Dyrby et al., Appl. Spectrosc. 56 (2002) 579, doi 10.1366/0003702021955358",
            ),
        ),
    )


def biodiesel(data: Path, folder: Path) -> Collection:
    """FAME in diesel."""
    made = list(real.biodiesel(data, folder))
    return Collection(
        "biodiesel",
        "FAME in diesel, 0.25 to 7.5 %, infrared",
        "Eight blends, one scan each; the reference of FAME is the difference of the 10 % and the 0 % "
        "sample of the same series, so those two are not judged and this is an upper bound.",
        made[0].library,
        "ftir_atr",
        tuple(Row(query.scan, _truth(query), {"fame": query.true["fame"]}) for query in made),
        (
            Published("lowest content that EN 14078 measures (cell, one band)", "about 0.05 % (V/V)",
                      "scope of EN 14078:2014"),
            Published("range of ASTM D7371 (FTIR-ATR, PLS)", "1 to 20 % (V/V)", "scope of ASTM D7371-12"),
        ),
    )  # fmt: skip


def textiles(data: Path, folder: Path) -> Collection:
    """Blends of cotton and polyester."""
    made = list(real.textiles(data, folder))
    files = sorted((data / "textile-mir-blends").glob("s_*.txt"))
    blends = [re.match(r"s_\d+_\d+", file.name)[0] for file in files]  # type: ignore[index]
    return Collection(
        "textiles",
        "Cotton and polyester, infrared",
        "Nine blends of 50 to 84 % cotton, six spots of each on two or three specimens; the references are "
        "fibres on another laboratory's spectrometer, from 1,250 cm⁻¹ up. A blend is a group.",
        made[0].library,
        "ftir_atr",
        tuple(
            Row(query.scan, _truth(query), {"cotton": query.true["cotton"]}, blend)
            for query, blend in zip(made, blends, strict=True)
        ),
        (
            Published(
                "error of the cotton content, PLS calibrated on blends",
                "6.5 points (calibration), below 8 points (other samples)",
                "Paz et al., Molecules 29 (2024) 3667",
            ),
            Published("the same", "2.4 %", "Koyama et al., Textiles Light Ind. Sci. Technol. 2 (2013)"),
        ),
    )


def thinned(rows: Sequence[Row], step: int) -> tuple[Row, ...]:
    """Every so many-th sample, for a quick look."""
    return tuple(rows[::step])
