"""Every kind of file that steers a result: how a good one is made, signed and taken."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import spectralid.verdict
from spectralid import _bundled
from spectralid.calibration import calibrate_axis, correction_of_polynomial
from spectralid.calibration._envelope import ALGORITHM, identity, signed_bytes
from spectralid.calibration.intensity import IntensityCorrection, load_intensity_correction
from spectralid.calibration.record import AxisCalibration, load_calibration
from spectralid.devices import bundled_profiles, load_profile
from spectralid.errors import FileError, InputError, LibraryError, SpectralIDError
from spectralid.identify import read_instrument_model, write_instrument_model
from spectralid.identify.instrument_model import instrument_model_for
from spectralid.keys import key_id, read_private_key
from spectralid.library import open_library, sign_library
from spectralid.library.schema import canonical_json, manifest_sha256
from spectralid.library.signing import beside, vouch_library
from spectralid.library.verify import verify_library
from spectralid.spectrum import Technique
from spectralid.verdict import load_policy
from spectralid.vouching import TrustedKeys, sign_file
from tests.calibration.simulated import POLYSTYRENE, spectrum
from tests.library.builders import build_small

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    name : str
        What it is.
    error : type
        What is raised where one is refused.
    make : callable
        Writes a good one to a path; with a schema and a version of spectralid that it needs, where given.
    sign : callable
        Signs the file at a path with the key at another.
    take : callable
        Takes the file at a path as tablet and commands do, with the keys trusted; returns all that it says.
    newer : str
        A schema of a later major version.
    older : str or None
        What an earlier version wrote as its schema, and is still taken; ``None`` where it stated none.
    """

    name: str
    error: type[SpectralIDError]
    make: Callable[..., None]
    sign: Callable[[Path, Path], None]
    take: Callable[[Path, TrustedKeys], Any]
    newer: str
    older: str | None


# --- libraries ---------------------------------------------------------------------------------------------


def _make_library(path: Path, schema: str = "", needs: str = "") -> None:
    build_small(path, raman=2, infrared=0)
    if not schema and not needs:
        return
    with h5py.File(path, "r+") as file:
        manifest = json.loads(file["manifest"][()].tobytes())
        if needs:
            manifest["needs_engine"] = needs
        if schema:
            file.attrs["schema"] = manifest["schema"] = schema
        manifest["sha256"] = manifest_sha256(manifest)
        del file["manifest"]
        file.create_dataset("manifest", data=np.frombuffer(canonical_json(manifest), np.uint8))


def _take_library(path: Path, trusted: TrustedKeys) -> Any:
    with vouch_library(open_library(path), trusted) as library:
        # A value is compared with its checksum when it is used.
        used = [library.reference(info.id).spectrum.sha256 for info in library.references]
        said = [library.compounds, library.matrix("raman").tobytes(), library.rows("raman"), used]
        # What is not used here is looked at by whoever verifies.
        if problems := verify_library(path):
            raise LibraryError(problems[0])
        return library.sha256, *said


def _sign_library(path: Path, key: Path) -> None:
    sign_library(open_library(path), key, beside(path))


# --- calibrations ------------------------------------------------------------------------------------------


@cache
def _axis() -> AxisCalibration:
    shown = spectrum(POLYSTYRENE, np.random.default_rng(1), shown=lambda x: x + 1.0)
    return calibrate_axis(shown, "polystyrene")


@cache
def _intensity() -> IntensityCorrection:
    return correction_of_polynomial([0.0, 1e-4], [float(x) for x in range(200, 220)])


def _make_record(record: Callable[[], Any]) -> Callable[..., None]:
    def make(path: Path, schema: str = "", needs: str = "") -> None:
        document = json.loads(record().to_json())
        if schema:
            document["version"] = int(schema)
        if needs:
            document["needs_engine"] = needs
            document["sha256"] = identity([document["calibration"], needs])
        path.write_text(json.dumps(document, indent=2))

    return make


def _sign_record(path: Path, key: Path) -> None:
    document = json.loads(path.read_text())
    private = read_private_key(key)
    id = key_id(private.public_key())
    value = base64.b64encode(private.sign(signed_bytes(id, document["sha256"]))).decode()
    document["signature"] = {"algorithm": ALGORITHM, "key_id": id, "value": value}
    path.write_text(json.dumps(document, indent=2))


# --- text and JSON with a signature beside -----------------------------------------------------------------

_POLICY = (Path(spectralid.verdict.__file__).parent / "policy.toml").read_text(encoding="utf-8")


def _make_policy(path: Path, schema: str = "", needs: str = "") -> None:
    text = _POLICY.replace('version = "1"', 'version = "7"')
    if schema:
        # Of a later version, it may hold what nobody here has heard of.
        text = text.replace("spectralid.policy/1", schema) + "\n[telepathy]\nrange_km = 3\n"
    if needs:
        text = f'needs_engine = "{needs}"\n{text}'
    path.write_text(text, encoding="utf-8")


def _make_profile(path: Path, schema: str = "", needs: str = "") -> None:
    text = _bundled.path("devices", f"{bundled_profiles()[0]}.toml").read_text(encoding="utf-8")
    head = f'schema = "{schema}"\n' if schema else ""
    head += f'needs_engine = "{needs}"\n' if needs else ""
    path.write_text(head + text, encoding="utf-8")


def _make_model(path: Path, schema: str = "", needs: str = "") -> None:
    write_instrument_model(replace(instrument_model_for(Technique.RAMAN), name="unit 7"), path)
    document = json.loads(path.read_text(encoding="utf-8"))
    if schema == "without a hash":
        del document["sha256"]
    elif schema or needs:
        document |= {"schema": schema or document["schema"]} | ({"needs_engine": needs} if needs else {})
        document.pop("sha256")
    path.write_text(json.dumps(document), encoding="utf-8")


def _signs(kind: str) -> Callable[[Path, Path], None]:
    def sign(path: Path, key: Path) -> None:
        sign_file(kind, path, key)

    return sign


KINDS = (
    Kind("library.h5", LibraryError, _make_library, _sign_library, _take_library, "2.0", "1.0"),
    Kind(
        "axis.json",
        FileError,
        _make_record(_axis),
        _sign_record,
        lambda path, trusted: load_calibration(path, trusted=trusted),
        "2",
        None,
    ),
    Kind(
        "intensity.json",
        FileError,
        _make_record(_intensity),
        _sign_record,
        lambda path, trusted: load_intensity_correction(path, trusted=trusted),
        "2",
        None,
    ),
    Kind(
        "policy.toml",
        FileError,
        _make_policy,
        _signs("policy"),
        lambda path, trusted: load_policy(path, trusted=trusted),
        "spectralid.policy/2",
        None,
    ),
    Kind(
        "profile.toml",
        FileError,
        _make_profile,
        _signs("profile"),
        lambda path, trusted: load_profile(str(path), trusted=trusted),
        "spectralid.profile/2",
        None,
    ),
    Kind(
        "model.json",
        InputError,
        _make_model,
        _signs("instrument-model"),
        lambda path, trusted: read_instrument_model(path, trusted=trusted),
        "spectralid.instrument-model/2",
        "without a hash",
    ),
)
