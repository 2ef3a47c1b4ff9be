"""Known vulnerabilities of what is locked, as pip-audit finds them; or, plainly, that nothing was checked.

python .ci/audit.py                        requirements/ci.txt against the package index's own list, then OSV
python .ci/audit.py --advisories FOLDER    against a snapshot: OSV records (*.json), a folder or a zip
python .ci/audit.py --lock core.txt        another lock of requirements/

Exit codes: 0 everything was checked and nothing is known; 1 something is known; 3 not checked, or not
everything. pip-audit ends with 0 and "no known vulnerabilities" when its source does not know a package at
all. So a package with a well-known vulnerability (requests 2.19.0) is asked for first: a source that does
not report it is not believed. Needs the extra ``release``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CANARY = ("requests", "2.19.0")
CHECKED, FOUND, NOT_CHECKED = 0, 1, 3


def locked(path: Path) -> dict[str, str]:
    """Name and version of everything in a lock, for every platform."""
    text = path.read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,.-]+\])?==([^\s;]+)", text, re.MULTILINE))


def pip_audit(service: str, packages: dict[str, str]) -> list[dict] | str:
    """pip-audit's answer for every package; or one line that says why there is none."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in packages.items())
        file.flush()
        options = f"--vulnerability-service {service} --format json --progress-spinner off --timeout 15"
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--requirement",
            file.name,
            "--no-deps",
            "--disable-pip",
        ]
        done = subprocess.run(
            [*command, *options.split()],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        return json.loads(done.stdout)["dependencies"]
    except (ValueError, LookupError):
        lines = done.stderr.strip().splitlines() or ["pip-audit said nothing"]
        return re.sub(r"https?://\S+|host='[^']*'", "…", lines[-1])[:200]


Answer = tuple[dict[str, list[str]], set[str], str]


def online(packages: dict[str, str]) -> Answer | None:
    """Vulnerabilities by package, packages the source does not know, the source; None if none is believed."""
    for service in ("pypi", "osv"):
        canary = pip_audit(service, dict([CANARY]))
        if isinstance(canary, str):
            print(f"{service}: cannot be reached ({canary})")
        elif not any(d.get("vulns") for d in canary):
            skipped = next((d["skip_reason"] for d in canary if "skip_reason" in d), "it lists none")
            print(f"{service}: knows nothing against {CANARY[0]} {CANARY[1]} ({skipped}); not believed")
        elif isinstance(answer := pip_audit(service, packages), str):
            print(f"{service}: {answer}")
        else:
            known = {d["name"]: [v["id"] for v in d["vulns"]] for d in answer if d.get("vulns")}
            return known, {d["name"] for d in answer if "skip_reason" in d}, f"pip-audit with {service}"
    return None


def records(path: Path) -> Iterator[dict]:
    """OSV records of a folder or a zip."""
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield json.loads(file.read_bytes())
    else:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".json"):
                    yield json.loads(archive.read(name))


def affects(affected: dict, version: str) -> bool:
    """Whether an `affected` entry of an OSV record holds a version: listed, or within a range."""
    from packaging.version import InvalidVersion, Version

    if version in affected.get("versions", ()):
        return True
    for bounds in affected.get("ranges", ()):
        if bounds.get("type") != "ECOSYSTEM":
            continue
        within = False
        try:
            events = sorted(
                (Version("0.dev0" if v == "0" else v), kind)
                for event in bounds["events"]
                for kind, v in event.items()
            )
            for at, kind in events:
                if Version(version) > at or (Version(version) == at and kind != "last_affected"):
                    within = kind == "introduced"
        except InvalidVersion:
            within = True  # Not understood: a person must look.
        if within:
            return True
    return False


def offline(packages: dict[str, str], path: Path) -> Answer | None:
    """As `online`, from a snapshot."""
    from packaging.utils import canonicalize_name

    wanted = {canonicalize_name(name): version for name, version in (*packages.items(), CANARY)}
    wanted_canary, n, newest = False, 0, ""
    known: dict[str, set[str]] = {}
    for record in records(path):
        n, newest = n + 1, max(newest, record.get("modified", ""))
        if record.get("withdrawn"):
            continue
        for affected in record.get("affected", ()):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") != "PyPI" or name not in wanted:
                continue
            wanted_canary |= name == CANARY[0] and affects(affected, CANARY[1])
            if name in packages and affects(affected, packages[name]):
                known.setdefault(name, set()).add(record["id"])
    print(f"snapshot: {n} advisories, the newest of {newest[:10] or 'no date'}")
    if not wanted_canary:
        print(f"snapshot: knows nothing against {CANARY[0]} {CANARY[1]}; not believed")
        return None
    return {name: sorted(ids) for name, ids in known.items()}, set(), "the snapshot"


def main() -> int:
    """Ask whoever can answer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lock", default="ci.txt")
    parser.add_argument("--advisories", type=Path)
    arguments = parser.parse_args()
    packages = locked(ROOT / "requirements" / arguments.lock)
    answer = offline(packages, arguments.advisories) if arguments.advisories else online(packages)
    if answer is None:
        print(f"NOT CHECKED: no advisory data here, for none of the {len(packages)} in {arguments.lock}.")
        print("Run this where an advisory source can be reached, or give a snapshot: --advisories FOLDER")
        return NOT_CHECKED
    known, unknown, source = answer
    for name, ids in sorted(known.items()):
        print(f"{name} {packages.get(name, '')}: {', '.join(sorted(ids))}")
    if known:
        return FOUND
    if unknown:
        print(f"NOT CHECKED: {source} does not know {', '.join(sorted(unknown))}; the others are clear.")
        return NOT_CHECKED
    print(f"{len(packages)} packages of {arguments.lock}: no known vulnerability, says {source}")
    return CHECKED


if __name__ == "__main__":
    sys.exit(main())
