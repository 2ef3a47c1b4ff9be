"""Axis calibration on real spectra: how far off axes are before and after, and what that does to retrieval.

    python benchmarks/axis_calibration.py [--shared DIR]

Four tables. The first calibrates on every spectrum of a standard and predicts each band from the others
(leave one out). The second calibrates on one standard and looks at another of the same instrument. The third
is the cross-instrument study (`cross_instrument.py`) before and after, for the queries of instruments that
measured a standard too; the substance that calibrated is no query. The fourth names the wrong standard.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from _shared import shared_data
from _wasatch import wasatch_library
from cross_instrument import QUERIES, Matcher, rank_of, share
from tqdm import tqdm

from spectralid import SpectralIDError, Spectrum, read_all
from spectralid.calibration import (
    AxisCalibration,
    CalibrationError,
    axis_standard,
    calibrate_axis,
    find_peaks,
)

WASATCH = "wasatch-enlighten/default_matching_library"
SETS = "charisma-ramanchada2/datasets2"
NATIVE = "charisma-ramanchada-native/test"
VAMAS = "charisma-vamas"
# (instrument, file of the standard, standard, where its other spectra are: folder and pattern of the name)
INSTRUMENTS = (
    (
        "BWTek 532 (FNMT-M)",
        f"{SETS}/FMNT-M_BW532/PST10_iR532_Probe_100_3000msx7.txt",
        "polystyrene",
        f"{SETS}/FMNT-M_BW532",
        "",
    ),
    (
        "Horiba 785 OP01",
        f"{SETS}/FMNT-M_Ho785/PST10_iR785_OP01_40000msx4.txt",
        "polystyrene",
        f"{SETS}/FMNT-M_Ho785",
        "OP01",
    ),
    (
        "Horiba 785 OP02",
        f"{SETS}/FMNT-M_Ho785/PST10_iR785_OP02_50000msx2.txt",
        "polystyrene",
        f"{SETS}/FMNT-M_Ho785",
        "OP02",
    ),
    (
        "Horiba 785 OP03",
        f"{SETS}/FMNT-M_Ho785/PST10_iR785_OP03_8000msx2.txt",
        "polystyrene",
        f"{SETS}/FMNT-M_Ho785",
        "OP03",
    ),
    (
        "BWTek 532 (ICV) ×50",
        f"{SETS}/ICV_BW532/PST02_iRPlus532_Z050_100_2500msx5.txt",
        "polystyrene",
        f"{SETS}/ICV_BW532",
        "Z050",
    ),
    (
        "BWTek 532 (ICV) ×100",
        f"{SETS}/ICV_BW532/PST02_iRPlus532_Z100_100_50000ms.txt",
        "polystyrene",
        f"{SETS}/ICV_BW532",
        "Z100",
    ),
    (
        "BWTek 785 (ICV) ×20",
        f"{SETS}/ICV_BW785/PST02_iRPlus785_Z020_100_1300ms.txt",
        "polystyrene",
        f"{SETS}/ICV_BW785",
        "Z020",
    ),
    (
        "BWTek 785 (ICV) ×50",
        f"{SETS}/ICV_BW785/PST02_iRPlus785_Z050_100_3200ms.txt",
        "polystyrene",
        f"{SETS}/ICV_BW785",
        "Z050",
    ),
    (
        "BWTek 785 (ICV) ×100",
        f"{SETS}/ICV_BW785/PST02_iRPlus785_Z100_100_9000ms.txt",
        "polystyrene",
        f"{SETS}/ICV_BW785",
        "Z100",
    ),
    (
        "Horiba 633 (TOP)",
        f"{SETS}/TOP_Ho633/Pol_HLR633_Z010_100_15sx5.txt",
        "polystyrene",
        f"{SETS}/TOP_Ho633",
        "",
    ),
    (
        "BWTek 532 (VAMAS) ×20",
        f"{VAMAS}/Figure7 (Polystyrene)/S3/PST02_iRPlus532_Z020_100_550msx5.txt",
        "polystyrene",
        VAMAS,
        "",
    ),
    ("Renishaw ×20 (native)", f"{NATIVE}/POLYSTERENE_x20_1%_02.spc", "polystyrene", NATIVE, r"_x20_0?1%_0"),
    ("low-cost (whenfung)", "whenfung-raman/试剂标准品谱图/环己烷.txt", "cyclohexane", "whenfung-raman", ""),
    (
        "low-cost (xiafanzeng)",
        "xiafanzeng-rruff-raman/ref/Prepare incoming data/甲苯.txt",
        "toluene",
        "xiafanzeng-rruff-raman/ref",
        "",
    ),
)
# Standards of whose instrument nothing else is known.
ALONE = (
    *(
        (f"charisma-ramanchada2/tests/experimental/{name}", "polystyrene")
        for name in (
            "Horiba/PST10_iR785_OP01_8000msx8.txt",
            "InViaReflex/PST_Reflex532_Z050_010_10000msx2.spc",
            "Neegala/PST_532_SEX139.txt",
            "Neegala/PST_532nm_EZI860.txt",
            "Neegala/PST_AfCal_10min_532nm_EZI860.txt",
            "Witec/PST_WiICV532_Z050OP02_075_800msx10.txt",
            "Witec/PST_WITEcAlpha532_100x_075_10000ms_000_Spec.Data 1.spc",
            "Zolix/PST02_Zolix785_Probe_070_190ms.txt",
            "iRaman/PST02_iRPlus785_Z050_075_3200ms.txt",
        )
    ),
    *(
        (f"charisma-ramanchada-native/{name}", "polystyrene")
        for name in (
            "test/Polystyrene.spc",
            "ramanchada/src/ramanchada/testdata/27 polystyrene.spc",
            "ramanchada/src/ramanchada/testdata/72 polystyrene.spc",
            "ramanchada/src/ramanchada/testdata/PS 35000 no pinhole_x100_100%_sp1_01.txt",
        )
    ),
    (f"{WASATCH}/polystyrene.csv", "polystyrene"),
    (f"{WASATCH}/acetaminophen.csv", "acetaminophen"),
    (f"{WASATCH}/cyclohexane.csv", "cyclohexane"),
    (f"{WASATCH}/toluene.csv", "toluene"),
    ("ibcp-spectra-file-examples/txt.Renishaw/paracetamol.txt", "acetaminophen"),
    ("cdph-white-powders/Tylenol.txt", "acetaminophen"),
    (f"{NATIVE}/SULFUR_x20_01%_01.spc", "sulfur"),
    *(
        (f"arcadia-5-spectrometers/{name}", "acetonitrile")
        for name in (
            "Horiba_MacroRAM/acetonitrile.txt",
            "Renishaw_Qontor/acetonitrile_5x.txt",
            "Wasatch_WP532X/acetonitrile.csv",
            "Wasatch_WP785X/acetonitrile.csv",
        )
    ),
)
# Calibrated on the first, looked at with the second; the same instrument.
TRANSFERS = (
    (
        "Wasatch 785XS",
        f"{WASATCH}/polystyrene.csv",
        "polystyrene",
        f"{WASATCH}/acetaminophen.csv",
        "acetaminophen",
    ),
    (
        "Wasatch 785XS",
        f"{WASATCH}/acetaminophen.csv",
        "acetaminophen",
        f"{WASATCH}/polystyrene.csv",
        "polystyrene",
    ),
    (
        "Wasatch 785XS",
        f"{WASATCH}/polystyrene.csv",
        "polystyrene",
        f"{WASATCH}/cyclohexane.csv",
        "cyclohexane",
    ),
    ("Wasatch 785XS", f"{WASATCH}/acetaminophen.csv", "acetaminophen", f"{WASATCH}/Silicon.csv", "silicon"),
    (
        "low-cost (whenfung)",
        "whenfung-raman/试剂标准品谱图/环己烷.txt",
        "cyclohexane",
        "whenfung-raman/试剂标准品谱图/乙腈.txt",
        "acetonitrile",
    ),
    (
        "Renishaw ×20 (native)",
        f"{NATIVE}/POLYSTERENE_x20_1%_02.spc",
        "polystyrene",
        f"{NATIVE}/SULFUR_x20_01%_01.spc",
        "sulfur",
    ),
    (
        "Renishaw ×20 (native)",
        f"{NATIVE}/POLYSTERENE_x20_1%_02.spc",
        "polystyrene",
        f"{NATIVE}/SILICON_x20_1%_02.spc",
        "silicon",
    ),
)
SILICON = re.compile(r"^(S0B|S0N|S0P|S1N|Sil|Si)\w*_")


@dataclass(frozen=True)
class Found:
    """A standard, or why it gave no calibration."""

    file: str
    standard: str
    calibration: AxisCalibration | None
    problem: str = ""


class Study:
    """Spectra and calibrations of the files below `data`, each made once."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.spectrum: Callable[[str], Spectrum] = cache(self._spectrum)
        self.calibrated: Callable[[str, str], Found] = cache(self._calibrated)

    def _spectrum(self, file: str) -> Spectrum:
        return read_all(self.data / file, technique="raman")[0]

    def _calibrated(self, file: str, standard: str) -> Found:
        try:
            return Found(file, standard, calibrate_axis(self.spectrum(file), standard))
        except SpectralIDError as error:
            return Found(file, standard, None, str(error))


def head(*columns: str) -> str:
    """Head of a table."""
    return "| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|"


def rms(values: list[float]) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def left_out(study: Study) -> Iterator[str]:
    """Table 1: before, and after with each band predicted from the others."""
    yield head("standard", "spectrum", "bands", "order", "add at the pivot, cm⁻¹", "stretch, ‰",
               "mean off before", "rms before", "rms left out", "expected")  # fmt: skip
    within, total, refused = 0, 0, []
    files = [(file, standard) for _, file, standard, _, _ in INSTRUMENTS] + list(ALONE)
    for file, standard in tqdm(files, unit="standard", disable=None):
        found = study.calibrated(file, standard)
        if found.calibration is None:
            refused.append(found)
            continue
        c = found.calibration
        used = [p for p in c.peaks if p.used and p.left_out_cm1 is not None]
        before, after = [p.before_cm1 for p in used], [p.left_out_cm1 or 0.0 for p in used]
        expected = [p.left_out_sd_cm1 or 0.0 for p in used]
        within += sum(abs(a) <= 1.96 * e for a, e in zip(after, expected, strict=True))
        total += len(used)
        prior = c.prior()
        stretch = (
            f"{1e3 * prior.stretch:+.2f} ± {1e3 * prior.stretch_sd:.2f}" if len(c.coefficients) > 1 else "–"
        )
        yield (
            f"| {standard} | {'/'.join(Path(file).parts[-2:])} | {c.n_peaks}/{len(c.peaks)} | "
            f"{len(c.coefficients) - 1} | {prior.shift_cm1:+.2f} ± {prior.shift_sd_cm1:.2f} | {stretch} | "
            f"{np.mean(before):+.2f} | {rms(before):.2f} | {rms(after):.2f} | {rms(expected):.2f} |"
        )
    yield ""
    yield f"Left-out bands within 1.96 of their stated standard deviation: {share(within, total)}."
    yield ""
    yield "Refused:"
    yield ""
    yield from (f"* {f.file} as {f.standard}: {f.problem}" for f in refused)


def transfers(study: Study) -> Iterator[str]:
    """Table 2: calibrated on one standard, looked at with another."""
    yield head("instrument", "calibrated on", "looked at", "bands", "mean off before", "rms before",
               "mean off after", "rms after", "stated sd of the axis")  # fmt: skip
    rows = list(TRANSFERS)
    for name, file, standard, folder, pattern in INSTRUMENTS:
        rows += [
            (name, file, standard, str(other.relative_to(study.data)), "silicon")
            for other in sorted((study.data / folder).rglob("*.txt"))
            if SILICON.match(other.name) and re.search(pattern, other.name)
        ]
    offsets: list[tuple[float, float, float]] = []
    for name, file, standard, other, checked in tqdm(rows, unit="pair", disable=None):
        calibration = study.calibrated(file, standard).calibration
        if calibration is None:
            continue
        try:
            raw = calibrate_axis(study.spectrum(other), checked, order=0)
        except SpectralIDError as error:
            yield f"| {name} | {standard} | {checked} ({Path(other).name}) | – | {error} | | | | |"
            continue
        found = np.array([p.found_cm1 for p in raw.peaks])
        true = np.array([p.standard_cm1 for p in raw.peaks])
        before, after = found - true, found + calibration.correction(found) - true
        sd = float(np.sqrt(np.mean(calibration.correction_sd(found) ** 2)))
        offsets.append((float(before.mean()), float(after.mean()), sd))
        yield (
            f"| {name} | {standard} | {checked} ({Path(other).name}) | {found.size} | {before.mean():+.2f} | "
            f"{rms(list(before)):.2f} | {after.mean():+.2f} | {rms(list(after)):.2f} | {sd:.2f} |"
        )
    b, a, s = (np.array(v) for v in zip(*offsets, strict=True))
    yield ""
    yield (
        f"{b.size} pairs: mean offset, rms {rms(list(b)):.2f} cm⁻¹ before and {rms(list(a)):.2f} after; "
        f"median of its size {np.median(np.abs(b)):.2f} before and {np.median(np.abs(a)):.2f} after. "
        f"Within 1.96 stated sd: {share(int(np.sum(np.abs(a) <= 1.96 * s)), a.size)}."
    )


def mistaken(study: Study) -> Iterator[str]:
    """What the matching does with the wrong standard: every other standard's name on every spectrum."""
    names = (
        "polystyrene",
        "acetaminophen",
        "cyclohexane",
        "toluene",
        "acetonitrile",
        "naphthalene",
        "sulfur",
        "benzonitrile",
    )
    files = [(file, standard) for _, file, standard, _, _ in INSTRUMENTS] + list(ALONE)
    accepted, tried = [], 0
    from spectralid.calibration.matching import match
    from spectralid.calibration.peaks import usable

    for file, truth in tqdm(files, unit="standard", disable=None):
        spectrum = study.spectrum(file)
        peaks = usable(find_peaks(spectrum))
        for name in names:
            if name == truth:
                continue
            tried += 1
            try:
                pairs = match(peaks, axis_standard(name, "raman"), spectrum.range, 1000.0)
            except CalibrationError:
                continue
            if len(pairs) >= 3:
                accepted.append(f"{Path(file).name} ({truth}) taken for {name}")
    yield f"The wrong standard named: accepted {share(len(accepted), tried)}."
    yield ""
    yield from (f"* {line}" for line in accepted)


def retrieval(study: Study) -> Iterator[str]:
    """Table 3: first places before and after."""
    import csv

    with QUERIES.open(encoding="utf-8", newline="") as file:
        queries = [q for q in csv.DictReader(file) if q["role"] == "pure"]
    yield head("instrument", "calibrated on", "correction, cm⁻¹", "queries", "first before", "first after",
               "cosine before", "cosine after")  # fmt: skip
    totals: list[tuple[bool, bool, float, float]] = []
    changed: list[str] = []
    with tempfile.TemporaryDirectory() as folder, wasatch_library(study.data, Path(folder)) as library:
        matcher = Matcher(library)
        for name, standard_file, standard, place, pattern in INSTRUMENTS:
            calibration = study.calibrated(standard_file, standard).calibration
            if calibration is None:
                continue
            rows = []
            for query in queries:
                path = f"{query['collection']}/{query['file']}"
                if not path.startswith(f"{place}/") or not re.search(pattern, Path(path).name):
                    continue
                if query["substance"] == standard:
                    continue
                spectrum = study.spectrum(path)
                ranked = [matcher.ranked(s, "derivative") for s in (spectrum, calibration.apply(spectrum))]
                first = [rank_of(query["substance"], r) == 1 for r in ranked]
                score = [dict(r).get(query["substance"], float("nan")) for r in ranked]
                rows.append((first[0], first[1], score[0], score[1]))
                if first[0] != first[1]:
                    changed.append(f"{path}: {query['substance']} {'gained' if first[1] else 'lost'}; "
                                   f"{score[0]:.2f} to {score[1]:.2f}")  # fmt: skip
            if rows:
                b, a, sb, sa = (np.array(v) for v in zip(*rows, strict=True))
                totals += rows
                yield (
                    f"| {name} | {standard} | {calibration.shift_cm1:+.1f} | {len(rows)} | "
                    f"{share(int(b.sum()), b.size)} | {share(int(a.sum()), a.size)} | "
                    f"{np.nanmean(sb):.3f} | {np.nanmean(sa):.3f} |"
                )
    b, a, sb, sa = (np.array(v) for v in zip(*totals, strict=True))
    yield (
        f"| **all** | | | {b.size} | {share(int(b.sum()), b.size)} | {share(int(a.sum()), a.size)} | "
        f"{np.nanmean(sb):.3f} | {np.nanmean(sa):.3f} |"
    )
    yield ""
    yield from (f"* {line}" for line in changed)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="folder that holds data/ (default: SPECTRALID_SHARED)")
    arguments = parser.parse_args()
    if arguments.shared:
        os.environ["SPECTRALID_SHARED"] = str(arguments.shared)
    study = Study(shared_data())
    for title, table in (
        ("Each band from the others", left_out),
        ("One standard from another", transfers),
        ("First places across instruments", retrieval),
        ("Mistaken standards", mistaken),
    ):
        print(f"## {title}\n")
        for line in table(study):
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
