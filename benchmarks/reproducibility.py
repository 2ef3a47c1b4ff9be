"""Whether results are the same elsewhere: other versions of NumPy and SciPy, threads, kernels, processors.

Each setting is a process, where versions differ in a virtual environment of its own; every one identifies the
same spectra with the bundled library. What differs from the reference setting (the versions of the
environment this runs in, one thread, kernels as the processor likes them) is the result.

Settings that are finished are kept in ``--out`` and not run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
RESULT: Final = Path(__file__).with_suffix(".json")
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).parent))

SIMULATED: Final = 90
ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
NO_AVX512: Final = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
# Oldest that setup.cfg allows, and one between it and the newest.
OLDEST: Final = (
    "numpy==1.26.4",
    "scipy==1.16.0",
    "scikit-learn==1.4.2",
    "h5py==3.10.0",
    "pybaselines==1.2.0",
)
BETWEEN: Final = (
    "numpy==2.0.2",
    "scipy==1.16.3",
    "scikit-learn==1.7.2",
    "h5py==3.14.0",
    "pybaselines==1.2.1",
)
NEWEST: Final = ("numpy", "scipy", "scikit-learn", "h5py", "pybaselines")
BESIDE: Final = ("matplotlib", "pyserial", "threadpoolctl", "tqdm", "setuptools")

# Name: requirements (None: this environment), and what the process is started with.
SETTINGS: Final[Mapping[str, tuple[tuple[str, ...] | None, Mapping[str, str]]]] = {
    "reference": (None, ONE_THREAD),
    "again": (None, ONE_THREAD | {"PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}),
    "two threads": (None, {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}),
    "kernels of Haswell": (None, ONE_THREAD | {"OPENBLAS_CORETYPE": "Haswell"}),
    "kernels of Zen": (None, ONE_THREAD | {"OPENBLAS_CORETYPE": "Zen"}),
    "kernels of Sandybridge": (None, ONE_THREAD | {"OPENBLAS_CORETYPE": "Sandybridge"}),
    "kernels of Nehalem": (None, ONE_THREAD | {"OPENBLAS_CORETYPE": "Nehalem"}),
    "no AVX-512": (
        None,
        ONE_THREAD | {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": NO_AVX512},
    ),
    "oldest versions": (OLDEST, ONE_THREAD),
    "versions between": (BETWEEN, ONE_THREAD),
    "newest versions": (NEWEST, ONE_THREAD),
}


def simulated() -> list[Any]:
    """References of the library and mixtures of two, with noise and background."""
    import numpy as np

    from spectralid import Spectrum, open_library
    from spectralid.library import Tier

    rng = np.random.default_rng(20261122)
    made = []
    with open_library() as library:
        for number in range(SIMULATED):
            infrared = number % 3 == 2
            technique = "ftir_atr" if infrared else "raman"
            rows = [row for row in library.rows(technique) if row.tier is not Tier.COMPUTED]
            axis = library.grid(technique)
            axis = axis[(axis > 250) & (axis < 2400)] if not infrared else axis[axis > 550]
            mean, names = np.zeros(axis.size), []
            for share in (1.0,) if number % 2 else (0.7, 0.3):
                row = rows[int(rng.integers(len(rows)))]
                reference = library.reference(row.id).spectrum
                known = ~reference.missing
                shape = np.interp(axis, reference.axis[known], reference.intensity[known])
                mean += share * (shape - shape.min()) / np.ptp(shape)
                names.append(row.compound_slug)
            if infrared:
                values = 0.6 * mean + 0.05 + rng.normal(0.0, 0.002, axis.size)
            else:
                values = rng.poisson(3000 * mean + 2000 * np.exp(-axis / 900) + 200) + rng.normal(
                    0.0, 5.0, axis.size
                )
            made.append(
                Spectrum(
                    axis + float(rng.normal(0.0, 1.0)), values, technique=technique,
                    unit="absorbance" if infrared else "counts",
                    name=f"simulated {' + '.join(names)} {number}",
                )
            )  # fmt: skip
    return made


def real() -> list[Any]:
    """Measured spectra of several collections."""
    from _shared import shared_data

    from spectralid import read_all
    from spectralid.errors import SpectralIDError

    folders = {
        "whenfung-raman": "raman", "cdph-white-powders": "raman", "arcadia-5-spectrometers": "raman",
        "xiafanzeng-rruff-raman": "raman", "openspecy": "ftir", "enfsi-ftir": "ftir", "rruff-ir": "ftir",
        "spa-fixtures": "ftir", "cheminfo-ir": "ftir",
    }  # fmt: skip
    found = []
    for folder, technique in folders.items():
        here: list[Any] = []
        for path in sorted((shared_data() / folder).rglob("*")):
            if len(here) == 9:
                break
            if not path.is_file() or path.suffix.lower() not in (
                ".txt",
                ".csv",
                ".spa",
                ".jdx",
                ".spc",
                ".0",
            ):
                continue
            try:
                spectrum = read_all(path)[0]
            except SpectralIDError:
                continue
            if spectrum.technique.value == "unknown":
                spectrum = spectrum.replace(technique=technique)
            if spectrum.n_points > 100:
                here.append(spectrum.replace(name=f"{folder} {path.name}"))
        found += here
    return found


def told(engine: Any, spectrum: Any) -> dict[str, Any]:
    """What is compared of one result."""
    from spectralid.errors import InputError
    from spectralid.verdict import decide

    try:
        identification = engine.identify(spectrum)
    except InputError as error:
        return {"refused": str(error)}
    verdict = decide(identification, engine.library)
    analysis, confidence = identification.analysis, identification.confidence
    sure = {c.compound_slug: c.probability for c in confidence.components} if confidence else {}
    return {
        "identity": spectrum.sha256,
        "verdict": [verdict.kind.value, verdict.alarm.value, verdict.headline, *verdict.named],
        "codes": list(verdict.codes),
        "candidates": [c.compound_slug for c in identification.candidates],
        "components": [c.reference_id for c in analysis.components] if analysis else [],
        "score": [c.score for c in identification.candidates],
        "share": [c.share for c in analysis.components] if analysis else [],
        "probability": [
            *([c.probability for c in analysis.components] if analysis else []),
            *([analysis.nothing] if analysis else []),
            *[p for p in sure.values() if p is not None],
            *[p for p in ([confidence.nothing, confidence.unknown] if confidence else []) if p is not None],
        ],
        "log_odds": [analysis.log_odds] if analysis and analysis.log_odds is not None else [],
        "shift_cm1": [analysis.shift_cm1] if analysis else [],
        "json": hashlib.sha256(identification.to_json().encode()).hexdigest(),
    }


def work(spectra: Path, out: Path) -> None:
    """One setting: identify every spectrum, and say with what."""
    import numpy
    import scipy
    from threadpoolctl import threadpool_info

    from spectralid import open_library, read_all
    from spectralid.identify import Identifier

    with open_library() as library:
        engine = Identifier(library)
        results = {s.name: told(engine, s) for s in read_all(spectra)}
    loaded = [info for info in threadpool_info() if info["user_api"] == "blas"]
    blas = sorted(
        {" ".join(str(i.get(k, "")) for k in ("internal_api", "version", "architecture")) for i in loaded}
    )
    versions = {"python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__}
    out.write_text(json.dumps({"versions": versions, "blas": blas, "results": results}), encoding="utf-8")


def environment(folder: Path, requirements: tuple[str, ...]) -> Path:
    """Python of a virtual environment with these versions, made the first time."""
    python = folder / "bin" / "python"
    done = folder / "complete"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--only-binary", ":all:", *requirements, *BESIDE],
            check=True,
        )
        done.touch()
    return python


QUANTITIES: Final = ("score", "share", "probability", "log_odds", "shift_cm1")


def difference(reference: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Greatest differences of one setting from the reference, and what else changed."""
    greatest = dict.fromkeys(QUANTITIES, 0.0)
    changed: dict[str, list[str]] = {
        "verdict": [],
        "codes": [],
        "candidates": [],
        "components": [],
        "json": [],
    }
    for name, here in reference.items():
        there = other[name]
        assert here.get("identity") == there.get("identity"), name
        for what, names in changed.items():
            if here.get(what) != there.get(what):
                names.append(name)
        if here.get("components") != there.get("components"):
            continue
        for what in QUANTITIES:
            if here.get("candidates") != there.get("candidates") and what == "score":
                continue
            pairs = zip(here.get(what, []), there.get(what, []), strict=True)
            greatest[what] = max([greatest[what], *(abs(a - b) for a, b in pairs)])
    bytes_differ = len(changed.pop("json"))
    return {"greatest": greatest, "changed": changed, "results_not_bit_identical": bytes_differ}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "reproducibility")
    parser.add_argument("--only", nargs="*", choices=SETTINGS, help="settings to run; all by default")
    parser.add_argument("--save", action="store_true", help=f"write {RESULT.name}")
    parser.add_argument("--worker", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(*args.worker)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    spectra = args.out / "spectra.h5"
    if not spectra.exists():
        from spectralid import write

        write([*real(), *simulated()], spectra)
    found: dict[str, Any] = {}
    for name, (requirements, variables) in SETTINGS.items():
        out = args.out / f"{name.replace(' ', '-')}.json"
        if not out.exists() and (not args.only or name in args.only):
            python = Path(sys.executable)
            if requirements is not None:
                python = environment(args.out / f"venv-{name.replace(' ', '-')}", requirements)
            print(f"{name} …", file=sys.stderr, flush=True)
            subprocess.run(
                [python, __file__, "--worker", spectra, out],
                env={**os.environ, "PYTHONPATH": str(ROOT), **variables}, check=True,
            )  # fmt: skip
        if out.exists():
            found[name] = json.loads(out.read_text(encoding="utf-8"))
    if "reference" not in found:
        return
    reference = found["reference"]["results"]
    report = {
        "spectra": len(reference),
        "real": sum(not name.startswith("simulated") for name in reference),
        "processor": next(iter(found["reference"]["blas"]), ""),
        "settings": {
            name: {
                "versions": one["versions"],
                "blas": one["blas"],
                **difference(reference, one["results"]),
            }
            for name, one in found.items()
        },
    }
    print(f"{report['spectra']} spectra, {report['real']} of them measured")
    for name, one in report["settings"].items():
        greatest = " ".join(f"{what} {value:.1e}" for what, value in one["greatest"].items())
        changed = {what: len(names) for what, names in one["changed"].items() if names}
        print(f"{name:24} numpy {one['versions']['numpy']:8} {greatest} | changed: {changed or 'nothing'}; "
              f"not bit-identical: {one['results_not_bit_identical']}")  # fmt: skip
    if args.save:
        RESULT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
