"""Software bill of materials, CycloneDX 1.6 JSON: one file for the core, one for each extra a user installs.

python .ci/sbom.py FOLDER     write spectralid.cdx.json, spectralid-tablet.cdx.json, … and validate each

Components are the installed packages, which must be those of ``requirements/ci.txt`` (versions and hashes
come from there), the native libraries within their wheels, and the bundled data with SHA-256, source and
licence. The same commit and the same lock give the same bytes: the serial number is drawn from the content,
and the time is that of the commit, or SOURCE_DATE_EPOCH. Needs the extra ``release``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import licences
import product
import rfc3987_syntax
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from packageurl import PackageURL
from packaging.utils import canonicalize_name

#: Data derived from others' files; all else is the project's own (Apache-2.0), facts with their sources.
TAKEN = {"libraries/bands/wasatch_bands.csv": "MIT, © 2026 Wasatch Photonics"}
DATA_SUFFIXES = {".h5", ".csv", ".json", ".toml", ".rules"}


def _sha256(path: Path) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(path.read_bytes()).hexdigest())


def _commit_time() -> datetime:
    epoch = (
        os.environ.get("SOURCE_DATE_EPOCH")
        or subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=product.ROOT, capture_output=True, text=True, check=True
        ).stdout
    )
    return datetime.fromtimestamp(int(epoch), UTC)


@cache
def package_component(package: product.Package, core: bool) -> Component:
    """An installed package, with the native libraries its wheel brought."""
    expression = licences.read(package.name, licences.stated(package))
    purl = PackageURL("pypi", None, package.name, package.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        bom_ref=purl.to_string(),
        purl=purl,
        scope=ComponentScope.REQUIRED,
        licenses=[LicenseExpression(expression)] if expression else [],
        # Which of the files was taken depends on the platform: the lock allows each of these.
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(purl.to_string()),
                hashes=[
                    HashType(alg=HashAlgorithm.SHA_256, content=h) for h in product.locked()[package.name][1]
                ],
            ),
            # What is linked into it (crates of Rust, mostly) stands in a bill that some wheels bring.
            *(
                ExternalReference(
                    type=ExternalReferenceType.BOM,
                    url=XsUri(str(file)),
                    hashes=[_sha256(Path(str(file.locate())))],
                )
                for file in package.distribution.files or ()
                if ".dist-info/sboms/" in str(file)
            ),
        ],
        properties=[Property(name="spectralid:asked-for-by", value="core" if core else "extra")],
        components=[
            Component(
                type=ComponentType.FILE,
                name=path.name,
                bom_ref=f"{purl.to_string()}#{path.name}",
                hashes=[_sha256(path)],
                licenses=[LicenseExpression(known)] if (known := licences.native_licence(name)) else [],
            )
            for name, path in licences.native_libraries(package)
        ],
    )


def data_files() -> list[str]:
    """Data files a wheel installs, as setup.cfg states them; texts of the pages and catalogues are code."""
    config = product.setup()
    folders = dict(
        (part.strip() for part in line.split("="))
        for line in config["options"]["package_dir"].splitlines()
        if "=" in line
    )
    found = set()
    for package, globs in config["options.package_data"].items():
        folder = product.ROOT / folders.get(package, package.replace(".", "/"))
        for glob in globs.split(","):
            found |= {p for p in folder.glob(glob.strip()) if p.suffix in DATA_SUFFIXES}
    names = (str(p.relative_to(product.ROOT)) for p in found)
    return sorted(n for n in names if "/static/" not in n and "/catalog/" not in n)


def _held(path: Path) -> tuple[str, list[Component]]:
    """Version of a library, and what it holds: per tier and licence, with the addresses of the sources."""
    from spectralid.library import open_library

    parts: dict[tuple[str, str], list[str]] = {}
    with open_library(path) as library:
        version = library.version
        for info in library.references:
            parts.setdefault((str(info.tier), info.licence), []).append(info.url)
    name = path.relative_to(product.ROOT)
    return version, [
        Component(
            type=ComponentType.DATA,
            name=f"{len(urls)} references, {tier}: {licence}",
            bom_ref=f"data:{name}#{number}",
            licenses=[DisjunctiveLicense(name=licence)],
            external_references=[
                ExternalReference(type=ExternalReferenceType.SOURCE_DISTRIBUTION, url=XsUri(url))
                for url in sorted(set(urls) - {""})
            ],
        )
        for number, ((tier, licence), urls) in enumerate(sorted(parts.items()))
    ]


@cache
def data_component(name: str) -> Component:
    """A bundled data file."""
    path = product.ROOT / name
    version, held = _held(path) if path.suffix == ".h5" else (None, [])
    return Component(
        type=ComponentType.DATA,
        name=name,
        version=version,
        bom_ref=f"data:{name}",
        hashes=[_sha256(path)],
        licenses=[] if held else [DisjunctiveLicense(name=TAKEN[name])] if name in TAKEN else [_OURS],
        components=held,
    )


# The validator parses every address by the full grammar, 0.1 s each, and the same addresses stand in every
# bill. It takes this function when it is imported, so it is imported after.
rfc3987_syntax.is_valid_syntax = cache(rfc3987_syntax.is_valid_syntax)
from cyclonedx.validation.json import JsonStrictValidator  # noqa: E402

_OURS = DisjunctiveLicense(id="Apache-2.0")


def bill(extra: str | None) -> str:
    """CycloneDX JSON of spectralid with one extra, or with none."""
    core, packages = product.closure(), product.closure((extra,) if extra else ())
    product.as_locked(packages)
    version = product.spectralid_version()
    purl = PackageURL("pypi", None, "spectralid", version)
    root = Component(
        type=ComponentType.APPLICATION,
        name=f"spectralid[{extra}]" if extra else "spectralid",
        version=version,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[_OURS],
    )
    components = {name: package_component(package, name in core) for name, package in packages.items()}
    data = [data_component(name) for name in data_files()]
    bom = Bom(components=[*components.values(), *data])
    bom.metadata.component = root
    bom.metadata.timestamp = _commit_time()
    bom.metadata.properties.add(Property(name="cdx:reproducible", value="true"))
    asked = {canonicalize_name(r.name) for r in product.asked((extra,) if extra else ())}
    bom.register_dependency(root, [*(components[name] for name in sorted(asked)), *data])
    for name, package in packages.items():
        bom.register_dependency(components[name], [components[need] for need in package.needs])
    # Drawn from everything but itself, so that the same content has the same number.
    bom.serial_number = uuid.UUID(int=0)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, JsonV1Dot6(bom).output_as_string())
    text = JsonV1Dot6(bom).output_as_string(indent=1) + "\n"
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"The bill of materials is not valid CycloneDX 1.6: {fault}")
    return text


def main() -> int:
    """Write every bill."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for extra in (None, *product.PRODUCT_EXTRAS):
        try:
            text = bill(extra)
        except product.NotAsLockedError as error:
            sys.exit(str(error))
        path = folder / f"spectralid{f'-{extra}' if extra else ''}.cdx.json"
        path.write_text(text, encoding="utf-8")
        bom = json.loads(text)
        kinds = Counter(c["type"] for c in bom["components"])
        native = sum(len(c.get("components", ())) for c in bom["components"] if c["type"] == "library")
        held = f"{kinds['library']} packages, {native} native libraries, {kinds['data']} data files"
        print(f"{path.name}: {held}; valid CycloneDX 1.6")
    return 0


if __name__ == "__main__":
    sys.exit(main())
