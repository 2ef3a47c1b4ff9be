"""What spectralid depends on, as installed here: from setup.cfg and the metadata of the packages."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "supply-chain.md"

#: Extras a user of the product installs. The others serve its makers.
PRODUCT_EXTRAS = ("formats", "chem", "recipe", "sign", "tablet", "reachback", "archive")
MAKERS_EXTRAS = ("test", "release")


@dataclass(frozen=True)
class Package:
    """One installed package that something asked for."""

    name: str
    version: str
    needs: tuple[str, ...]
    distribution: metadata.Distribution


class NotAsLockedError(Exception):
    """The environment is not the locked one; the message says how to get that."""


def setup() -> configparser.ConfigParser:
    """setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def asked(extras: tuple[str, ...]) -> list[Requirement]:
    """Requirements of the core and of `extras`."""
    config = setup()
    lines = config["options"]["install_requires"].splitlines()
    for extra in extras:
        lines += config["options.extras_require"][extra].splitlines()
    return [Requirement(line) for line in lines if line.strip()]


@cache
def closure(extras: tuple[str, ...] = ()) -> dict[str, Package]:
    """The core, `extras` and all they need here, by canonical name."""
    found: dict[str, Package] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement, "") for requirement in asked(extras)]
    while waiting:
        requirement, extra_of_parent = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra_of_parent}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise NotAsLockedError(
                f"{name} is not installed here. "
                "Run: python -m pip install --require-hashes -r requirements/ci.txt"
            ) from None
        needed = [Requirement(line) for line in distribution.requires or ()]
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(r, extra) for r in needed if not r.marker or r.marker.evaluate({"extra": extra})]
        applying = {
            canonicalize_name(r.name)
            for r in needed
            for extra in ("", *sorted(e for n, e in seen if n == name and e))
            if not r.marker or r.marker.evaluate({"extra": extra})
        }
        found[name] = Package(name, distribution.version, tuple(sorted(applying)), distribution)
    return dict(sorted(found.items()))


@cache
def locked() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Version and SHA-256 of the files of every package in ``requirements/ci.txt``."""
    text = (ROOT / "requirements" / "ci.txt").read_text(encoding="utf-8")
    entries: dict[str, tuple[str, tuple[str, ...]]] = {}
    for entry in re.split(r"\n(?=[\w])", text):
        if head := re.match(r"([\w.-]+)(?:\[[\w,.-]+\])?==(\S+)(?: ; ([^\\\n]+?))? \\\n", entry):
            name, version, marker = head.groups()
            if marker and not Requirement(f"{name}; {marker}").marker.evaluate():  # type: ignore[union-attr]
                continue
            entries[canonicalize_name(name)] = (version, tuple(re.findall(r"sha256:([0-9a-f]{64})", entry)))
    return entries


def as_locked(packages: dict[str, Package]) -> None:
    """Raise `NotAsLockedError` unless every package has the version of the lock."""
    lock = locked()
    other = [
        f"{p.name} {p.version} (locked: {lock[p.name][0] if p.name in lock else 'not at all'})"
        for p in packages.values()
        if p.name not in lock or Version(lock[p.name][0]) != Version(p.version)
    ]
    if other:
        raise NotAsLockedError(
            f"This environment is not the locked one: {', '.join(other[:5])}{' …' if other[5:] else ''}. "
            "Run: python -m pip install --require-hashes -r requirements/ci.txt"
        )


def spectralid_version() -> str:
    """Version of the product, from its source."""
    text = (ROOT / "spectralid" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__\s*=\s*"([^"]+)"', text, re.MULTILINE)
    if not found:
        raise NotAsLockedError("spectralid/__init__.py states no __version__.")
    return found.group(1)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fill(text: str, parts: dict[str, str]) -> str:
    """`text` with what stands between the markers of each part replaced."""
    for name, part in parts.items():
        pattern = rf"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)"
        text, n = re.subn(pattern, lambda m, part=part: f"{m[1]}\n{part}\n{m[2]}", text, flags=re.DOTALL)  # type: ignore[misc]
        if n != 1:
            raise SystemExit(f"docs/supply-chain.md has {n} places marked {name!r}, not one.")
    return text
