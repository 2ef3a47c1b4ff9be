"""The bill of materials: complete, true to the files, and the same each time."""

from __future__ import annotations

import hashlib
import json

from tests.supply.conftest import ROOT


def test_the_bill_of_the_core(sbom, monkeypatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    text = sbom.bill(None)
    assert text == sbom.bill(None)
    bom = json.loads(text)
    assert bom["metadata"]["timestamp"].startswith("2023-11-14T22:13:20")
    assert not any(word in text for word in (str(ROOT), "file:", "127.0.0.1"))

    packages = {c["name"]: c for c in bom["components"] if c["type"] == "library"}
    assert {name: c["version"] for name, c in packages.items()} == {
        name: sbom.product.locked()[name][0] for name in sbom.product.closure()
    }
    assert all(c["licenses"] and c["externalReferences"][0]["hashes"] for c in packages.values())
    assert any(c["name"].startswith("libhdf5-") for c in packages["h5py"]["components"])

    data = {c["name"]: c for c in bom["components"] if c["type"] == "data"}
    for name, component in data.items():
        assert component["hashes"] == [
            {"alg": "SHA-256", "content": hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}
        ]
    manifest = json.loads((ROOT / "libraries" / "MANIFEST.json").read_text(encoding="utf-8"))
    library = data["libraries/spectralid.h5"]
    assert library["version"] == manifest["version"]
    assert sum(int(part["name"].split()[0]) for part in library["components"]) == manifest["references"]
    assert all(part["licenses"] for part in library["components"])

    depends = {d["ref"]: set(d.get("dependsOn", ())) for d in bom["dependencies"]}
    root = depends[bom["metadata"]["component"]["bom-ref"]]
    assert {packages[name]["bom-ref"] for name in ("numpy", "h5py", "tqdm")} <= root
    assert packages["numpy"]["bom-ref"] in depends[packages["scipy"]["bom-ref"]]


def test_every_data_file_of_the_wheel_is_there(sbom) -> None:
    names = set(sbom.data_files())
    assert {
        "libraries/spectralid.h5",
        "libraries/bands/wasatch_bands.csv",
        "spectralid/verdict/policy.toml",
    } <= names
    assert {"devices/99-spectralid.rules", "spectralid/report/dea_codes.csv"} <= names


def test_an_extra_brings_its_packages(sbom) -> None:
    core, tablet = sbom.product.closure(), sbom.product.closure(("tablet",))
    assert core.keys() < tablet.keys()
    assert {"tuf", "starlette", "cryptography", "anyio"} <= tablet.keys() - core.keys()
