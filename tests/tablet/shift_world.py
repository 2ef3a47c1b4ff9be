"""The simulated world of the shift: substances, the agency's library, and an infrared bench.

What is simulated: everything that is measured. Substances that the simulator has no band table of (fentanyl,
its kin, an unknown) get the lines of a computed molecule; the instrument is ``spectralid.devices.sim`` in a
process of its own; the infrared bench is the few lines at the end of this file. The agency's library is the
bundled one (literature references) and "measured" references of those substances, taken with another
simulated unit than the one on the shift: other seed, other axis error, other resolution. The unit of the
shift was characterised with pure substances, as an agency does. None of this shares code with what analyses
it: no engine, no preprocessing, no reader or writer takes part in making a spectrum.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from spectralid.devices.sim.models import BENCHES
from spectralid.devices.sim.physics import Bench, Detector, Scene
from spectralid.devices.sim.samples import bundled_samples, read_samples
from spectralid.devices.sim.scenes import compose
from spectralid.identify import Identifier, write_instrument_model
from spectralid.library import Compound, LibraryBuilder, Tier, open_library
from spectralid.spectrum import Acquisition, IntensityUnit, Spectrum, Technique

LIBRARIES = Path(__file__).resolve().parents[2] / "libraries"
CREATED = "2026-11-20"

# Molecules the simulator gets by their computed lines; of the last one no library has a reference.
COMPUTED = ("fentanyl", "xylazine", UNKNOWN := "albendazole")
# References the agency measured itself, beside the bundled ones.
MEASURED = (
    "fentanyl",
    "xylazine",
    "lactose",
    "caffeine",
    "acetaminophen",
    "sucrose",
    "ibuprofen",
    "melamine",
)
INFRARED = ("caffeine", "lactose", "acetaminophen", "sucrose", "melamine", "fentanyl")
_LASER_CM1 = 1e7 / 785.0
# The unit on the shift is the simulator's default; the one in the agency's laboratory is another and better.
_FIELD = BENCHES["ventana-785l"]
_LABORATORY = replace(_FIELD, drift_nm=tuple(-0.4 * c for c in _FIELD.drift_nm), resolution_nm=0.36)
# Pure substances the agency characterised its unit with: name in the simulator, slug in the library.
KNOWN = {
    "acetaminophen": "acetaminophen", "caffeine": "caffeine", "lactose": "lactose", "sucrose": "sucrose",
    "glucose": "d-glucose", "fructose": "d-fructose", "urea": "urea", "glycine": "glycine",
    "melamine": "melamine", "ibuprofen": "ibuprofen", "ketoprofen": "ketoprofen", "benzene": "benzene",
    "toluene": "toluene", "acetone": "acetone", "cyclohexane": "cyclohexane", "ethanol": "ethanol",
    "methanol": "methanol", "sodium carbonate": "sodium-carbonate", "sodium sulfate": "sodium-sulfate",
    "acetonitrile": "acetonitrile", "sodium bicarbonate": "sodium-bicarbonate", "fentanyl": "fentanyl",
    "polystyrene": "polystyrene", "xylazine": "xylazine",
}  # fmt: skip


@cache
def computed_lines(slug: str) -> dict[str, np.ndarray]:
    """Places, Raman activities and infrared intensities of a computed neutral molecule."""
    with (LIBRARIES / "compounds.csv").open(encoding="utf-8", newline="") as file:
        key = next(row["inchikey"] for row in csv.DictReader(file) if row["slug"] == slug)
    for batch in sorted((LIBRARIES / "computed").glob("sticks-*.npz")):
        with np.load(batch, allow_pickle=False) as data:
            ends = np.cumsum(data["lines"])
            for name, start, end in zip(data["key"], ends - data["lines"], ends, strict=True):
                if str(name) == f"neutral/{key}":
                    return {
                        "place": data["frequencies_cm"][start:end] * 0.975,
                        "raman": data["raman_a4_u"][start:end],
                        "infrared": data["ir_km_mol"][start:end],
                    }
    raise LookupError(slug)


def raman_bands(slug: str, *, seed: int = 5) -> list[tuple[float, float, float]]:
    """Position, height and width of the Raman bands of a solid made of that molecule."""
    lines = computed_lines(slug)
    rng = np.random.default_rng(seed)
    place = lines["place"]
    boson = 1 - np.exp(-lines["place"] / 207.2)
    height = lines["raman"] * ((_LASER_CM1 - lines["place"]) / 1e4) ** 4 / lines["place"] / boson
    # The band tables of the simulator end at 2303 cm⁻¹; heights are relative to the strongest up to there.
    kept = (place > 150) & (place < 2300)
    widths = rng.lognormal(np.log(7.0), 0.3, place.size)
    # A band table gives heights; a computed line has an area.
    tall = height / widths
    return [(float(p), float(t / tall[kept].max()), float(w))
            for p, t, w in zip(place[kept], tall[kept], widths[kept], strict=True)]  # fmt: skip


def write_band_table(path: Path) -> Path:
    """The substances the simulator does not know of itself."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["substance", "position_cm1", "height", "fwhm_cm1", "eta"])
        for name in COMPUTED:
            for place, height, width in raman_bands(name):
                writer.writerow([name, f"{place:.2f}", f"{height:.5f}", f"{width:.2f}", "0.6"])
    return path


def measured(bench: Bench, scene: Scene, *, seed: int, frames: int = 60, name: str = "") -> Spectrum:
    """A spectrum by a simulated unit: frames with and without light, at an exposure that fills it."""
    detector = Detector(bench, scene, seed=seed)
    detector.laser = True
    brightest = float(detector.expected_electrons().max()) / detector.integration_s
    detector.integration_s = min(2.0, 0.7 * bench.gain_e * (bench.adc_max - bench.offset) / brightest)
    detector.restart()
    light = np.mean([detector.frame() for _ in range(frames)], axis=0)
    detector.laser = False
    dark = np.mean([detector.frame() for _ in range(frames)], axis=0)
    nanometres = np.polynomial.polynomial.polyval(np.arange(bench.pixels), bench.reported)
    return Spectrum(
        1e7 / bench.laser_nm - 1e7 / nanometres, light - dark, technique=Technique.RAMAN,
        unit=IntensityUnit.COUNTS, name=name,
        acquisition=Acquisition(instrument="simulated", laser_nm=bench.laser_nm),
    )  # fmt: skip


def under_probe(substances: str, bands: Path, **options: float | str) -> Scene:
    """A scene from words like ``lactose:0.9+fentanyl:0.1``."""
    tables = bundled_samples() | read_samples(bands)
    parts = [part.partition(":") for part in substances.split("+")] if substances else []
    return compose([(n, float(share or 1)) for n, _, share in parts], tables, **options)  # type: ignore[arg-type]


def photon_shares(shares: dict[str, float], bands: Path) -> str:
    """What to tell the simulator, whose shares are of band heights, for shares of the Raman photons."""
    area: dict[str, float] = {}
    for path, key in ((LIBRARIES / "bands" / "wasatch_bands.csv", "entry"), (bands, "substance")):
        lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
        for row in csv.DictReader(lines):
            area[row[key].lower()] = area.get(row[key].lower(), 0.0) + float(row["height"]) * float(
                row["fwhm_cm1"]
            )
    heights = {name: share / area[name] for name, share in shares.items()}
    total = sum(heights.values())
    return "+".join(f"{name}:{height / total:.5f}" for name, height in heights.items())


def build_library(path: Path, bands: Path) -> Path:
    """The agency's library: bundled references, and those of its own laboratory (simulated)."""
    builder = LibraryBuilder("agency", version="2026.11", created=CREATED)
    source = "agency laboratory (simulated)"
    with open_library() as bundled:
        for compound in bundled.compounds:
            builder.add_compound(compound)
        for info in {i.id: i for t in bundled.techniques for i in bundled.rows(t)}.values():
            if info.tier is Tier.LITERATURE:
                builder.add(
                    bundled.reference(info.id).spectrum, info.compound_slug, tier=info.tier,
                    source=info.source, licence=info.licence, url=info.url, citation=info.citation,
                    form=info.form,
                )  # fmt: skip
    for number, slug in enumerate(MEASURED):
        scene = under_probe(slug, bands, fluorescence=0.2)
        builder.add(measured(_LABORATORY, scene, seed=900 + number), slug, tier=Tier.MEASURED, source=source,
                    licence="CC0")  # fmt: skip
    # The agency measured an empty vial, too. It is filed where spectralid looks for what samples come in.
    vial = Compound(slug="vial-glass", name="Vial glass", category="polymer", hazards=("none",))
    empty = measured(_LABORATORY, under_probe("", bands, container="glass", fluorescence=0.0), seed=950)
    builder.add(empty, vial, tier=Tier.MEASURED, source=source, licence="CC0")
    for number, slug in enumerate(INFRARED):
        axis, absorbance = infrared(slug, seed=300 + number, noise=0.0004)
        spectrum = Spectrum(axis, absorbance, technique=Technique.FTIR_ATR, name=slug)
        builder.add(spectrum, slug, tier=Tier.MEASURED, source=source, licence="CC0")
    builder.write(path)
    return path


def characterise(path: Path, library: Path, bands: Path) -> Path:
    """What the agency knows of the unit on the shift, from pure substances it measured with it."""
    with open_library(library) as books:
        known = [
            (measured(_FIELD, under_probe(name, bands, fluorescence=0.5), seed=500 + n, name=name), slug)
            for n, (name, slug) in enumerate(KNOWN.items())
        ]
        model, _ = Identifier(books, families=()).characterise(known, "unit of the shift")
    write_instrument_model(model, path)
    return path


# --- the infrared bench ----------------------------------------------------------------------------------


def infrared(
    slug: str, *, seed: int, noise: float = 0.002, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Absorbance of a solid on a diamond; bands become stronger to the red, as with ATR."""
    lines = computed_lines(slug)
    rng = np.random.default_rng(seed)
    grain = np.random.default_rng(17)  # widths belong to the substance, not to the scan
    axis = np.arange(650.0, 3999.0, 1.9286)
    widths = grain.lognormal(np.log(9.0), 0.3, lines["place"].size)
    height = lines["infrared"] / widths / np.maximum(lines["place"], 400.0)
    half = widths / 2
    absorbance = (height * half**2 / ((axis[:, None] - lines["place"] - shift) ** 2 + half**2)).sum(axis=1)
    absorbance = 0.6 * absorbance / absorbance.max()
    tilt = rng.normal(0, 0.004, 2)
    absorbance = absorbance + 0.01 + tilt[0] + tilt[1] * (axis - 2300) / 1700
    return axis, absorbance + rng.normal(0, noise, axis.size)


def jcamp(name: str, axis: np.ndarray, absorbance: np.ndarray) -> str:
    """An infrared spectrum as JCAMP-DX 4.24, from its specification: (X++(Y..Y)), AFFN."""
    factor = 1e-6
    out = io.StringIO()
    step = (axis[-1] - axis[0]) / (axis.size - 1)
    for label, value in (
        ("TITLE", name), ("JCAMP-DX", "4.24"), ("DATA TYPE", "INFRARED SPECTRUM"), ("ORIGIN", "bench"),
        ("OWNER", "public domain"), ("SPECTROMETER/DATA SYSTEM", "simulated ATR bench"),
        ("SAMPLING PROCEDURE", "ATR"), ("RESOLUTION", "4"), ("DATE", "26/11/22"), ("TIME", "12:00:00"),
        ("XUNITS", "1/CM"), ("YUNITS", "ABSORBANCE"), ("XFACTOR", "1"), ("YFACTOR", f"{factor}"),
        ("FIRSTX", f"{axis[0]:.6f}"), ("LASTX", f"{axis[-1]:.6f}"), ("DELTAX", f"{step:.9f}"),
        ("NPOINTS", str(axis.size)), ("FIRSTY", f"{absorbance[0]:.8f}"), ("XYDATA", "(X++(Y..Y))"),
    ):  # fmt: skip
        out.write(f"##{label}={value}\r\n")
    counts = np.rint(absorbance / factor).astype(int)
    for start in range(0, axis.size, 8):
        row = " ".join(str(v) for v in counts[start : start + 8])
        out.write(f"{axis[0] + start * step:.4f} {row}\r\n")
    out.write("##END=\r\n")
    return out.getvalue()
